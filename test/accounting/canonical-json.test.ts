import { describe, expect, it } from 'vitest';
import { canonicalJson } from '../../src/accounting/index.ts';
import { parseCanonical } from '../../src/accounting/verify/entry.ts';
import { codeOf } from './log-fixture.ts';

describe('canonicalJson', () => {
  it('sorts keys as RFC 8785 section 3.2.3 shows', () => {
    const value = {
      '\u20ac': 'Euro Sign',
      '\r': 'Carriage Return',
      '\ufb33': 'Hebrew Letter Dalet With Dagesh',
      '1': 'One',
      '\ud83d\ude00': 'Emoji: Grinning Face',
      '\u0080': 'Control',
      '\u00f6': 'Latin Small Letter O With Diaeresis',
    };
    const names = Object.values(JSON.parse(canonicalJson(value)) as Record<string, string>);
    // JSON.parse puts integer-like keys first, so the order is read from the text.
    expect(names).toHaveLength(7);
    const text = canonicalJson(value);
    const order = ['Carriage', 'One', 'Control', 'Latin', 'Euro', 'Emoji', 'Hebrew'].map((name) =>
      text.indexOf(name),
    );
    expect(order).toEqual(order.toSorted((a, b) => a - b));
  });

  it('escapes as RFC 8785 section 3.2.2.2 shows', () => {
    expect(canonicalJson('\u20ac$\u000f\nA\'B"\\\\"/\u007f')).toBe(
      '"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/\u007f"',
    );
    expect(canonicalJson('\b\t\n\f\r\u0000\u001f')).toBe('"\\b\\t\\n\\f\\r\\u0000\\u001f"');
  });

  it.each([
    [
      { b: 1, a: [true, false, null, -1, 0], c: { z: '', y: {} } },
      '{"a":[true,false,null,-1,0],"b":1,"c":{"y":{},"z":""}}',
    ],
    [{ '10': 1, '9': 2, a: 3 }, '{"10":1,"9":2,"a":3}'],
    [-0, '0'],
    [9_007_199_254_740_991, '9007199254740991'],
    [[], '[]'],
    [{}, '{}'],
  ])('writes %j', (value, text) => {
    expect(canonicalJson(value)).toBe(text);
  });

  it.each([
    ['a fraction', 1.5],
    ['an unsafe integer', 2 ** 53],
    ['infinity', Number.POSITIVE_INFINITY],
    ['no number', Number.NaN],
    ['a lone surrogate', 'a\ud800b'],
    ['a lone surrogate in a key', { '\udc00': 1 }],
  ])('refuses %s', (_name, value) => {
    expect(codeOf(() => canonicalJson(value as number))).toBe('accounting.not_canonical');
  });

  it('refuses nesting past 16 levels, and not at 16', () => {
    const nested = (levels: number): never => JSON.parse('['.repeat(levels) + ']'.repeat(levels)) as never;
    expect(canonicalJson(nested(17))).toHaveLength(34);
    expect(codeOf(() => canonicalJson(nested(18)))).toBe('accounting.not_canonical');
  });
});

describe('the reader of canonical JSON', () => {
  it.each(['{"a":1,"b":"\u20ac"}', '{"10":1,"9":2}', '{"a":[1,{"b":null}]}', '{"__proto__":1}', '{}'])(
    'accepts %s',
    (text) => {
      expect(parseCanonical(Buffer.from(text))).toBeDefined();
    },
  );
  it.each([
    '',
    ' {}',
    '{} ',
    '{"a": 1}',
    '{"b":1,"a":1}',
    '{"a":1,"a":1}',
    '{"a":1.0}',
    '{"a":1e3}',
    '{"a":-0}',
    '{"a":9007199254740993}',
    '{"a":0.5}',
    '{"a":"\\u0041"}',
    '{"a":"\\/"}',
    '{"a":"\\ud800"}',
    '{"a":"\\u000A"}',
    '[]',
    '"a"',
    'null',
    '{"a":1}{"b":1}',
    '\uFEFF{}',
    `{"a":${'['.repeat(17)}${']'.repeat(17)}}`,
  ])('refuses %s', (text) => {
    expect(parseCanonical(Buffer.from(text))).toBeUndefined();
  });
  it('lets no value stand inside more than 16 lists and objects, the outermost counted', () => {
    const inside = (levels: number, value: string): Buffer =>
      Buffer.from(`{"a":${'['.repeat(levels - 1)}${value}${']'.repeat(levels - 1)}}`);
    for (const value of ['1', '"x"', 'null', '[]', '{}']) {
      expect(parseCanonical(inside(16, value)), value).toBeDefined();
      expect(parseCanonical(inside(17, value)), value).toBeUndefined();
    }
  });
  it('refuses bytes that are no UTF-8', () => {
    expect(parseCanonical(Buffer.from('{"a":"\xff"}', 'latin1'))).toBeUndefined();
  });
});
