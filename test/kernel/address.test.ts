import * as fc from 'fast-check';
import { BlockList, isIP } from 'node:net';
import { describe, expect, it } from 'vitest';
import {
  contains,
  formatAddress,
  networkOf,
  parseAddress,
  parseNetwork,
  parsePeerAddress,
  unmapped,
} from '../../src/kernel/index.ts';

const fixed = { seed: 20261123, numRuns: 1000 };

describe('parseAddress', () => {
  it.each<readonly [string, 32 | 128, bigint]>([
    ['0.0.0.0', 32, 0n],
    ['10.1.2.3', 32, 0x0a010203n],
    ['255.255.255.255', 32, 0xffffffffn],
    ['::', 128, 0n],
    ['::1', 128, 1n],
    ['1::', 128, 1n << 112n],
    ['2001:DB8::1', 128, (0x20010db8n << 96n) | 1n],
    ['1:2:3:4:5:6:7:8', 128, 0x00010002000300040005000600070008n],
    ['1:2:3:4:5:6:7::', 128, 0x00010002000300040005000600070000n],
    ['::2:3:4:5:6:7:8', 128, 0x00000002000300040005000600070008n],
    ['::10.1.2.3', 128, 0x0a010203n],
    ['::ffff:10.1.2.3', 128, 0xffff0a010203n],
    ['::FFFF:0a01:0203', 128, 0xffff0a010203n],
    ['1:2:3:4:5:6:10.1.2.3', 128, 0x0001000200030004000500060a010203n],
    ['ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255', 128, (1n << 128n) - 1n],
  ])('reads %s', (text, bits, value) => {
    expect(parseAddress(text)).toEqual({ bits, value });
  });

  it.each([
    '',
    ' ',
    '10.0.0.1 ',
    ' ::1',
    '10.1',
    '10.1.2',
    '10.1.2.3.4',
    '010.0.0.1',
    '256.0.0.1',
    '0x0a.0.0.1',
    '167772161',
    '1.2.3.4%eth0',
    'fe80::1%eth0',
    'fe80::1%',
    '[::1]',
    '10.0.0.1:22',
    '10.0.0.0/8',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '12345::',
    'g::',
    '::ffff:10.1.2',
    '::ffff:010.1.2.3',
    '10.1.2.3::',
    'localhost',
    '１０.0.0.1',
    '10.0.0.1\n',
    '10.0.0.1\0',
    `::${'0'.repeat(100_000)}`,
  ])('refuses %j', (text) => {
    expect(parseAddress(text)).toBeUndefined();
  });

  it('comes back from its own text, whatever the number', () => {
    const address = fc.oneof(
      fc.bigInt(0n, 2n ** 32n - 1n).map((value) => ({ bits: 32 as const, value })),
      fc.bigInt(0n, 2n ** 128n - 1n).map((value) => ({ bits: 128 as const, value })),
    );
    fc.assert(
      fc.property(address, (one) => {
        expect(parseAddress(formatAddress(one))).toEqual(one);
      }),
      fixed,
    );
  });
  it('reads exactly what Node takes for an address without a zone', () => {
    const text = fc.oneof(
      fc.ipV4(),
      fc.ipV4Extended(),
      fc.ipV6(),
      fc.string(),
      fc.stringMatching(/^[0-9a-f:.%]{0,20}$/),
    );
    fc.assert(
      fc.property(text, (one) => {
        expect(parseAddress(one) !== undefined).toBe(isIP(one) !== 0 && !one.includes('%'));
      }),
      fixed,
    );
  });
});

describe('an IPv4 address in IPv6 clothes', () => {
  it.each([
    ['::ffff:10.1.2.3', '10.1.2.3'],
    ['::ffff:0:0', '0.0.0.0'],
    ['::10.1.2.3', '0:0:0:0:0:0:a01:203'],
    ['::fffe:10.1.2.3', '0:0:0:0:0:fffe:a01:203'],
    ['1::ffff:10.1.2.3', '1:0:0:0:0:ffff:a01:203'],
    ['10.1.2.3', '10.1.2.3'],
  ])('%s is %s', (text, bare) => {
    const address = parseAddress(text);
    expect(address && formatAddress(unmapped(address))).toBe(bare);
    const peer = parsePeerAddress(text);
    expect(peer && formatAddress(peer)).toBe(bare);
  });
});

describe('the other end of a connection', () => {
  it.each([
    ['fe80::1%eth0', 'fe80:0:0:0:0:0:0:1'],
    ['fe80::1%1', 'fe80:0:0:0:0:0:0:1'],
    ['::ffff:10.1.2.3%eth0', '10.1.2.3'],
  ])('%s loses its zone', (text, bare) => {
    const peer = parsePeerAddress(text);
    expect(peer && formatAddress(peer)).toBe(bare);
  });
  it.each([
    '',
    '%',
    '%eth0',
    '::1%',
    '10.0.0.1%eth0',
    'fe80::1%eth 0',
    `::1%${'a'.repeat(1000)}`,
    'name%eth0',
  ])('%j is none', (text) => {
    expect(parsePeerAddress(text)).toBeUndefined();
  });
});

describe('parseNetwork', () => {
  it.each([
    ['10.0.0.0/8', '10.0.0.0', 8],
    ['0.0.0.0/0', '0.0.0.0', 0],
    ['192.0.2.7', '192.0.2.7', 32],
    ['192.0.2.7/32', '192.0.2.7', 32],
    ['2001:db8::/32', '2001:db8:0:0:0:0:0:0', 32],
    ['::/0', '0:0:0:0:0:0:0:0', 0],
    ['::ffff:10.0.0.0/104', '0:0:0:0:0:ffff:a00:0', 104],
  ])('reads %s', (text, address, prefixBits) => {
    const network = parseNetwork(text);
    if (typeof network === 'string') expect.unreachable(network);
    expect([formatAddress(network.address), network.prefixBits]).toEqual([address, prefixBits]);
  });

  it.each([
    ['', 'no_address'],
    ['/8', 'no_address'],
    ['example.org/8', 'no_address'],
    ['10/8', 'no_address'],
    ['fe80::%eth0/10', 'no_address'],
    ['10.0.0.0 /8', 'no_address'],
    ['!10.0.0.0/8', 'no_address'],
    ['10.0.0.0,11.0.0.0', 'no_address'],
    ['10.0.0.0/', 'bad_prefix'],
    ['10.0.0.0/-1', 'bad_prefix'],
    ['10.0.0.0/+8', 'bad_prefix'],
    ['10.0.0.0/08', 'bad_prefix'],
    ['10.0.0.0/ 8', 'bad_prefix'],
    ['10.0.0.0/8 ', 'bad_prefix'],
    ['10.0.0.0/0x8', 'bad_prefix'],
    ['10.0.0.0/1e1', 'bad_prefix'],
    ['10.0.0.0/8/8', 'bad_prefix'],
    ['10.0.0.0/255.0.0.0', 'bad_prefix'],
    ['10.0.0.0/1000', 'bad_prefix'],
    ['10.0.0.0/8,11.0.0.0/8', 'bad_prefix'],
    ['10.0.0.0/33', 'prefix_too_long'],
    ['::/129', 'prefix_too_long'],
    ['10.1.2.3/8', 'host_bits'],
    ['10.0.0.0/0', 'host_bits'],
    ['2001:db8::1/32', 'host_bits'],
    ['::1/127', 'host_bits'],
  ])('refuses %j: %s', (text, problem) => {
    expect(parseNetwork(text)).toBe(problem);
  });
});

describe('contains', () => {
  it.each([
    ['10.0.0.0/8', '10.255.255.255', true],
    ['10.0.0.0/8', '11.0.0.0', false],
    ['10.0.0.0/8', '9.255.255.255', false],
    ['0.0.0.0/0', '203.0.113.9', true],
    ['192.0.2.7', '192.0.2.8', false],
    ['::/0', '10.0.0.1', false],
    ['::/0', '::ffff:10.0.0.1', true],
    ['0.0.0.0/0', '::ffff:10.0.0.1', false],
    ['0.0.0.0/0', '::', false],
    ['2001:db8::/32', '2001:db8:ffff::1', true],
    ['2001:db8::/32', '2001:db9::', false],
    ['::ffff:10.0.0.0/104', '::ffff:10.1.2.3', true],
  ])('%s, %s: %s', (networkText, addressText, expected) => {
    const [network, address] = [parseNetwork(networkText), parseAddress(addressText)];
    if (typeof network === 'string' || address === undefined) expect.unreachable();
    expect(contains(network, address)).toBe(expected);
  });

  it('agrees with Node’s own list of networks', () => {
    const family = fc.constantFrom(32 as const, 128 as const);
    const sample = family.chain((bits) =>
      fc.record({
        bits: fc.constant(bits),
        value: fc.bigInt(0n, (1n << BigInt(bits)) - 1n),
        prefixBits: fc.integer({ min: 0, max: bits }),
        flip: fc.integer({ min: 0, max: bits - 1 }),
      }),
    );
    fc.assert(
      fc.property(sample, ({ bits, value, prefixBits, flip }) => {
        // Mapped addresses are the one thing in which Node's list differs: it joins the families.
        fc.pre(bits === 32 || value >> 32n !== 0xffffn);
        const near = { bits, value: value ^ (1n << BigInt(flip)) };
        const network = networkOf({ bits, value }, prefixBits);
        const oracle = new BlockList();
        const type = bits === 32 ? 'ipv4' : 'ipv6';
        oracle.addSubnet(formatAddress({ bits, value }), prefixBits, type);
        expect(contains(network, { bits, value })).toBe(true);
        expect(contains(network, near)).toBe(oracle.check(formatAddress(near), type));
        expect(parseNetwork(`${formatAddress(network.address)}/${prefixBits}`)).toEqual(network);
      }),
      fixed,
    );
  });
});
