import { array, assert, property, string, stringMatching } from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  allowedClaims,
  matchesName,
  parseAddressRange,
  parseHostName,
  parseNamePattern,
} from '../../src/hosts/index.ts';
import { isCodedError } from '../../src/kernel/index.ts';
import { codeOfSync } from '../support/code-of.ts';

describe('the name of a host', () => {
  it.each(['db1', 'DB1.Example.COM', 'a-b.c', '1a.example', 'x'.repeat(63)])('may be %s', (name) => {
    expect(parseHostName(name)).toBe(name.toLowerCase());
  });

  it.each([
    '',
    '.',
    'a..b',
    'a.',
    '.a',
    '-a',
    'a-',
    'a_b',
    'a b',
    'a,b',
    '*',
    '*.example.com',
    'a\n',
    '192.0.2.7',
    '1',
    'é.example',
    'x'.repeat(64),
    `${'a.'.repeat(127)}a`,
    '../etc',
    'a#b',
  ])('may not be %j', (name) => {
    expect(codeOfSync(() => parseHostName(name))).toBe('hosts.bad_name');
  });
});

describe('a pattern of names', () => {
  it.each<[string, string[], string[]]>([
    [
      'web-*.example.com',
      ['web-1.example.com', 'web-a-b.example.com'],
      ['web-.example.com', 'web-1.x.example.com', 'xweb-1.example.com', 'web-1.example.org'],
    ],
    ['*.example.com', ['a.example.com'], ['example.com', 'a.b.example.com']],
    ['db1.example.com', ['db1.example.com'], ['db1.example.comx', 'db12.example.com']],
    ['n*-eu', ['n7-eu'], ['n-eu', 'n7-us', 'n7-eu.example.com']],
  ])('%s fits what it should, and no more', (pattern, fitting, others) => {
    const parsed = parseNamePattern(pattern);
    expect(fitting.filter((name) => !matchesName([parsed], name))).toEqual([]);
    expect(others.filter((name) => matchesName([parsed], name))).toEqual([]);
  });

  it.each([
    '',
    '*',
    '*.*',
    'example.*',
    'a.b*',
    '**.example.com',
    'a?.example.com',
    '[a].example.com',
    '-*.example.com',
    '*.',
    '.*',
    'a b.example.com',
  ])('may not be %j', (pattern) => {
    expect(codeOfSync(() => parseNamePattern(pattern))).toBe('hosts.bad_name');
  });

  it('never lets a star stand for a dot, whatever the name', () => {
    const label = stringMatching(/^[a-z0-9]{1,12}$/);
    assert(
      property(array(label, { minLength: 1, maxLength: 5 }), (labels) => {
        const name = `${labels.join('.')}.example.com`;
        expect(matchesName(['*.example.com'], name)).toBe(labels.length === 1);
      }),
      { seed: 7, numRuns: 300 },
    );
  });

  it('is a pattern or refused with a code, whatever the text', () => {
    assert(
      property(string({ maxLength: 300 }), (text) => {
        try {
          expect(matchesName([parseNamePattern(text)], 'a')).toEqual(expect.any(Boolean));
        } catch (error) {
          expect(isCodedError(error, 'hosts.bad_name')).toBe(true);
        }
      }),
      { seed: 8, numRuns: 1000 },
    );
  });
});

describe('what a host claims', () => {
  it('is kept as far as the token allows it, each once', () => {
    const allowed = {
      names: ['a*.example.com'],
      addresses: [parseAddressRange('10.0.0.0/8'), '2001:db8::/32'],
    };
    const claimed = {
      names: ['a1.example.com', 'b.example.com', 'a1.example.com'],
      addresses: ['10.1.2.3', '192.0.2.1', '2001:db8::7', '::ffff:10.0.0.1', 'nonsense'],
    };
    expect(allowedClaims(allowed, claimed)).toEqual({
      names: ['a1.example.com'],
      addresses: ['10.1.2.3', '2001:db8::7', '::ffff:10.0.0.1'],
    });
    expect(allowedClaims({ names: [], addresses: [] }, claimed)).toEqual({ names: [], addresses: [] });
  });

  it.each(['10.0.0.0/33', '10.1.2.3/8', 'example.com', '', '10.0.0.0/8,::/0'])('no range is %j', (text) => {
    expect(codeOfSync(() => parseAddressRange(text))).toBe('hosts.bad_address');
  });
});
