import { describe, expect, it } from 'vitest';
import { policyState, readPolicy, standingState } from '../../src/identity/ldap/account-state.ts';
import { readBind } from '../../src/identity/ldap/bind-verdict.ts';
import { toDirectoryEntry } from '../../src/identity/ldap/entry.ts';
import { parseGeneralizedTime } from '../../src/identity/ldap/generalized-time.ts';
import { isLdapLogin } from '../../src/identity/ldap/login-name.ts';

const nowMs = Date.UTC(2026, 10, 23, 16, 30);
const entry = (attributes: Record<string, string | string[]>): ReturnType<typeof toDirectoryEntry> =>
  toDirectoryEntry({ dn: 'uid=x', ...attributes });
const policy = { maxAgeSeconds: 3600, lockoutSeconds: 60 };

describe('the state of an LDAP account', () => {
  it.each<readonly [string | undefined, Record<string, string | string[]>]>([
    [undefined, {}],
    [undefined, { shadowExpire: '-1' }],
    [undefined, { shadowExpire: '99999' }],
    [undefined, { nsAccountLock: 'FALSE' }],
    [undefined, { krbPrincipalExpiration: '20991231235959Z' }],
    ['account_expired', { shadowExpire: '0' }],
    ['account_expired', { shadowExpire: '20000' }],
    ['disabled', { NSACCOUNTLOCK: 'true' }],
    ['account_expired', { krbPrincipalExpiration: '20200101000000Z' }],
    ['account_expired', { krbPrincipalExpiration: 'soon' }],
  ])('stands as %s with %j', (state, attributes) => {
    expect(standingState(entry(attributes), nowMs)).toBe(state);
  });

  it.each<readonly [string | undefined, Record<string, string | string[]>]>([
    [undefined, {}],
    [undefined, { pwdAccountLockedTime: '20261123162859Z' }],
    [undefined, { pwdChangedTime: '20261123153000Z' }],
    [undefined, { pwdReset: 'FALSE' }],
    [undefined, { pwdStartTime: '20200101000000Z', pwdEndTime: '20300101000000Z' }],
    ['locked', { pwdAccountLockedTime: '20261123162901Z' }],
    ['disabled', { pwdAccountLockedTime: '000001010000Z' }],
    ['locked', { pwdAccountLockedTime: 'garbage' }],
    ['must_change_password', { pwdReset: 'TRUE' }],
    ['password_expired', { pwdChangedTime: '20261123152959Z' }],
    ['account_expired', { pwdEndTime: '20261123163000Z' }],
    ['disabled', { pwdStartTime: '20261123163001Z' }],
  ])('is %s by policy with %j', (state, attributes) => {
    expect(policyState(entry(attributes), policy, nowMs)).toBe(state);
  });

  it('takes a lockout of unknown length for lasting, and no password for expired', () => {
    expect(policyState(entry({ pwdAccountLockedTime: '20200101000000Z' }), undefined, nowMs)).toBe('locked');
    expect(policyState(entry({ pwdChangedTime: '20200101000000Z' }), undefined, nowMs)).toBeUndefined();
    expect(readPolicy(entry({ pwdMaxAge: 'x' }))).toEqual({ maxAgeSeconds: 0, lockoutSeconds: 0 });
  });
});

describe('the answer to a bind', () => {
  it.each([
    [49, undefined, 'wrong_password', false],
    [49, 0, 'password_expired', true],
    [49, 1, 'locked', false],
    [49, 6, 'wrong_password', false],
    [0, 0, 'password_expired', true],
    [0, 1, 'locked', false],
    [0, 2, 'must_change_password', true],
    [19, undefined, 'locked', false],
    [32, undefined, 'wrong_password', false],
    [48, undefined, 'wrong_password', false],
    [50, undefined, 'wrong_password', false],
    [53, undefined, 'disabled', false],
  ])(
    'reads result %s with policy error %s as %s (password proved: %s)',
    (resultCode, policyError, reason, passwordProved) => {
      const answer = { resultCode, diagnostic: '', ...(policyError === undefined ? {} : { policyError }) };
      expect(readBind(answer)).toEqual({ outcome: 'refused', reason, passwordProved });
    },
  );

  it("accepts success alone, and takes what is not about the person for the server's", () => {
    expect(readBind({ resultCode: 0, diagnostic: '' })).toEqual({ outcome: 'accepted' });
    for (const resultCode of [1, 2, 7, 8, 10, 13, 14, 34, 80, 248])
      expect(readBind({ resultCode, diagnostic: '' })).toBeUndefined();
  });
});

describe('what is typed', () => {
  it.each([
    'alice',
    'Zoë',
    '李雷',
    'a b',
    'alice@corp.example',
    'CORP\\alice',
    "o'neil",
    '*',
    'x'.repeat(256),
  ])('asks a directory about %j', (login) => {
    expect(isLdapLogin(login)).toBe(true);
  });

  it.each([
    '',
    ' ',
    'alice ',
    ' alice',
    '\talice',
    'alice\n',
    'al\0ice',
    'ａlice',
    'ﬁona',
    'Zoe\u0308',
    'a\u200bb',
    'a\u202eb',
    'a\ud800',
    '\u2028',
    'K\u212a',
    'x'.repeat(257),
  ])('asks no directory about %j', (login) => {
    expect(isLdapLogin(login)).toBe(false);
  });
});

describe('generalized time', () => {
  it.each([
    ['20261123163000Z', nowMs],
    ['202611231630Z', nowMs],
    ['2026112316Z', nowMs - 1_800_000],
    ['20261123163000.123456Z', nowMs],
    ['20261123183000+0200', nowMs],
    ['20261123113000-05', nowMs],
  ])('reads %s', (text, timeMs) => {
    expect(parseGeneralizedTime(text)).toBe(timeMs);
  });

  it.each([
    '',
    'Z',
    '20261123',
    '20261123163000',
    '2026-11-23T16:30:00Z',
    '20261123163000Z ',
    '20261123163000.Z',
    '20261123163000+1',
  ])('refuses %j', (text) => {
    expect(parseGeneralizedTime(text)).toBeUndefined();
  });
});
