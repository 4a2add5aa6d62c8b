import { describe, expect, it } from 'vitest';
import { isCodedError, parsePrincipal, parseSerial, printable } from '../../src/kernel/index.ts';

const codeOf = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    if (isCodedError(error)) return error.code;
    throw error;
  }
  return 'accepted';
};

describe('parseSerial', () => {
  it.each(['42', '0x2a', '00:2a', ' 0X2A ', '00:00:00:00:00:00:00:2a'])(
    'reads %j as the same serial',
    (text) => {
      expect(parseSerial(text)).toBe(42n);
    },
  );
  it('keeps all 64 bits', () => {
    expect(parseSerial('18446744073709551615')).toBe(2n ** 64n - 1n);
  });
  it.each([
    '',
    '0',
    '0x0',
    '-1',
    '1e3',
    '2a',
    '0x',
    '18446744073709551616',
    '00:2',
    '1:2',
    '0x10000000000000000',
    '4 2',
    '١',
  ])('refuses %j', (text) => {
    expect(codeOf(() => parseSerial(text))).toBe('kernel.bad_serial');
  });
});

describe('parsePrincipal', () => {
  it.each(['alice', 'QSECOFR', 'svc$', 'CORP\\alice', 'alice@corp.example', 'a.b-c_d+e'])(
    'accepts %j',
    (text) => {
      expect(parsePrincipal(text)).toBe(text);
    },
  );
  it.each([
    '',
    'a,b',
    'a b',
    'a\n',
    'a\0',
    '*',
    'a?',
    '#a',
    '!a',
    '-a',
    'é',
    'a=b',
    'a"',
    'x'.repeat(129),
    'ａｌｉｃｅ',
  ])('refuses %j', (text) => {
    expect(codeOf(() => parsePrincipal(text))).toBe('kernel.bad_principal');
  });
});

describe('printable', () => {
  it('leaves no escape sequence and no bidirectional override', () => {
    expect(printable('\u001B[31mred\u202E\n')).toBe('?[31mred??');
  });
});
