import { describe, expect, it } from 'vitest';
import { matchesSourceAddress, parseSourceAddressList } from '../../src/ssh/index.ts';
import { codeOf } from './fixtures.ts';

const matches = (list: string, address: string): boolean =>
  matchesSourceAddress(parseSourceAddressList(list), address);

describe('a source-address list', () => {
  it.each([
    ['192.0.2.7', '192.0.2.7'],
    ['10.0.0.0/8', '10.255.255.255'],
    ['0.0.0.0/0', '203.0.113.9'],
    ['10.0.0.0/8,2001:db8::/32', '2001:db8:ffff::1'],
    ['2001:db8::1', '2001:0DB8:0:0::1'],
    ['::/0', 'fe80::1'],
    ['192.0.2.128/25', '192.0.2.128'],
    ['10.0.0.0/8', '::ffff:10.1.2.3'],
    ['2001:db8::10.0.0.1', '2001:db8::a00:1'],
  ])('%s holds %s', (list, address) => {
    expect(matches(list, address)).toBe(true);
  });

  it.each([
    ['192.0.2.7', '192.0.2.8'],
    ['10.0.0.0/8', '11.0.0.0'],
    ['0.0.0.0/0', '::1'],
    ['::/0', '203.0.113.9'],
    ['::/0', '::ffff:203.0.113.9'],
    ['192.0.2.128/25', '192.0.2.127'],
    ['2001:db8::/32', '2001:db9::'],
    ['10.0.0.0/8', ''],
    ['10.0.0.0/8', '10.1'],
    ['10.0.0.0/8', 'localhost'],
    ['fe80::/10', 'fe80::1%eth0'],
  ])('%s does not hold %j', (list, address) => {
    expect(matches(list, address)).toBe(false);
  });

  it.each([
    '',
    ',',
    '10.0.0.0/8,',
    ',10.0.0.0/8',
    '10.1.2.3/8',
    '2001:db8::1/32',
    '10.0.0.0/33',
    '::/129',
    '10.0.0.0/',
    '10.0.0.0/-1',
    '10.0.0.0/08',
    '10.0.0.0/8/8',
    '10.0.0.0/0x8',
    '10.0.0.0/255.0.0.0',
    '10.1/16',
    '010.0.0.0/8',
    '10.0.0.0 /8',
    ' 10.0.0.0/8',
    '!10.0.0.0/8',
    '*',
    'localhost',
    'fe80::1%eth0',
    '[::1]',
    '1:2:3:4:5:6:7',
    '256.0.0.1',
    `${'10.0.0.1,'.repeat(600)}10.0.0.1`,
  ])('cannot be %j', (text) => {
    expect(codeOf(() => parseSourceAddressList(text))).toBe('ssh.bad_source_address');
  });
});
