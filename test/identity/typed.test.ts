import { describe, expect, it } from 'vitest';
import { isPossibleLogin, isPossiblePassword } from '../../src/identity/typed.ts';

describe('a login name', () => {
  it.each([
    'alice',
    ' alice ',
    'Zoë',
    'Zoe\u0308',
    '李雷',
    'ａlice',
    'a b',
    'CORP\\alice',
    '*',
    'x'.repeat(256),
    '😀',
  ])('may be %j', (login) => {
    expect(isPossibleLogin(login)).toBe(true);
  });
  it.each([
    '',
    ' ',
    '\u00a0\u3000',
    '\talice',
    'alice\n',
    'al\0ice',
    'a\u001b[2J',
    'a\u007fb',
    'a\u200bb',
    'a\u202eb',
    'a\u00adb',
    'a\u2028b',
    'a\u2029b',
    'a\ud800',
    '\udc00a',
    'a\ue000',
    'a\u0378',
    'x'.repeat(257),
    '😀'.repeat(129),
  ])('may not be %j', (login) => {
    expect(isPossibleLogin(login)).toBe(false);
  });
});

describe('a password', () => {
  it.each(['x', ' ', '\n', '*)(uid=*', 'é'.repeat(128), '😀'.repeat(64), 'x'.repeat(256)])(
    'may be %j',
    (typed) => {
      expect(isPossiblePassword(typed)).toBe(true);
    },
  );
  it.each(['', '\0', 'a\0', '\0a', 'é'.repeat(129), '😀'.repeat(65), 'x'.repeat(257), '\udc00', 'a\ud800b'])(
    'may not be %j',
    (typed) => {
      expect(isPossiblePassword(typed)).toBe(false);
    },
  );
});
