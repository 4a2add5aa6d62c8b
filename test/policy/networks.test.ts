import { describe, expect, it } from 'vitest';
import { parsePeerAddress } from '../../src/kernel/index.ts';
import { isWithin, parseListedNetwork } from '../../src/policy/networks.ts';

function isIn(address: string, ...networks: readonly string[]): boolean {
  const list = networks.map((text) => {
    const network = parseListedNetwork(text);
    if (typeof network === 'string') throw new Error(`${text} ${network}`);
    return network;
  });
  const parsed = parsePeerAddress(address);
  return parsed !== undefined && isWithin(parsed, { list, line: 1 });
}

describe('addresses in networks', () => {
  it.each([
    ['10.255.255.255', '10.0.0.0/8', true],
    ['11.0.0.0', '10.0.0.0/8', false],
    ['9.255.255.255', '10.0.0.0/8', false],
    ['192.0.2.7', '192.0.2.7', true],
    ['192.0.2.8', '192.0.2.7/32', false],
    ['203.0.113.9', '0.0.0.0/0', true],
    ['::ffff:10.1.2.3', '10.0.0.0/8', true],
    ['::FFFF:0a01:0203', '10.0.0.0/8', true],
    ['::10.1.2.3', '10.0.0.0/8', false],
    ['2001:db8:1::1', '2001:db8::/32', true],
    ['2001:db9::', '2001:db8::/32', false],
    ['fe80::1%eth0', 'fe80::/10', true],
    ['10.0.0.1', '::/0', false],
    ['2001:db8::1', '0.0.0.0/0', false],
    ['::1', '::1', true],
    ['1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7:8/128', true],
    ['1::8', '1:0:0:0:0:0:0:8', true],
    ['not an address', '0.0.0.0/0', false],
    ['10.1', '0.0.0.0/0', false],
    ['010.0.0.1', '0.0.0.0/0', false],
    ['', '::/0', false],
  ])('%s in %s: %s', (address, network, expected) => {
    expect(isIn(address, network)).toBe(expected);
  });
});

describe('texts that are no networks', () => {
  it.each([
    [''],
    ['example.org'],
    ['10.0.0.0/'],
    ['10.0.0.0/8/8'],
    ['10.0.0.0/33'],
    ['10.0.0.0/08'],
    ['10.0.0.0/-1'],
    ['10.0.0.0/255.0.0.0'],
    ['10.1.2.3/8'],
    ['10.0.0.0/0'],
    ['10.0.0/8'],
    ['2001:db8::1/32'],
    ['2001:db8::/129'],
    ['::ffff:10.0.0.0/104'],
    ['fe80::1%eth0'],
    ['10.0.0.0/8,11.0.0.0/8'],
    ['!10.0.0.0/8'],
    ['10.*.*.*'],
  ])('%j', (text) => {
    expect(typeof parseListedNetwork(text)).toBe('string');
  });
});
