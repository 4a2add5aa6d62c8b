import { describe, expect, it } from 'vitest';
import { judgeLogin, type IssuedCertificate, type LoginFacts } from '../../src/hosts/login-verdict.ts';
import type { SeenCredential, SeenLogin } from '../../src/hosts/seen-login.ts';

const nowMs = Date.UTC(2026, 10, 30, 8);
const nowSeconds = BigInt(nowMs / 1000);
const certificate = {
  keyType: 'ED25519',
  keyFingerprint: 'SHA256:key',
  keyId: 'id1',
  serial: 42n,
  caFingerprint: 'SHA256:ours',
};
const seen = (over: Partial<typeof certificate> = {}, login: Partial<SeenLogin> = {}): SeenLogin => ({
  account: 'alice',
  address: '192.0.2.7',
  port: 50_123,
  credential: { kind: 'certificate', certificate: { ...certificate, ...over } },
  ...login,
});
const issued: IssuedCertificate = {
  keyFingerprint: 'SHA256:key',
  keyId: 'id1',
  principals: ['alice', 'web-admins'],
  validAfter: nowSeconds - 60n,
  validBefore: nowSeconds + 3600n,
  revokedMs: undefined,
  sourceAddress: undefined,
};
const facts = (over: Partial<LoginFacts> = {}): LoginFacts => ({
  atMs: nowMs,
  ourAuthorities: new Set(['SHA256:ours', 'SHA256:ours-before']),
  issued,
  accountPrincipals: undefined,
  breakGlassKeys: new Set(['SHA256:glass']),
  graceMs: 5000,
  skewMs: 2000,
  ...over,
});
const by = (credential: SeenCredential): SeenLogin => ({ ...seen(), credential });

describe('a login is', () => {
  it('explained by the certificate with its serial, under a past CA of ours as well', () => {
    expect(judgeLogin(seen(), facts())).toBe('explained');
    expect(judgeLogin(seen({ caFingerprint: 'SHA256:ours-before' }), facts())).toBe('explained');
  });

  it.each([
    ['password_or_other', by({ kind: 'other', method: 'password' }), {}],
    ['static_key', by({ kind: 'key', keyType: 'RSA', keyFingerprint: 'SHA256:other' }), {}],
    ['break_glass', by({ kind: 'key', keyType: 'RSA', keyFingerprint: 'SHA256:glass' }), {}],
    ['foreign_ca', seen({ caFingerprint: 'SHA256:theirs' }), {}],
    ['foreign_ca', seen({ caFingerprint: 'SHA256:theirs' }), { issued: undefined }],
    ['unknown_serial', seen(), { issued: undefined }],
    ['mismatch', seen({ keyFingerprint: 'SHA256:thief' }), {}],
    ['mismatch', seen({ keyId: 'id2' }), {}],
    ['out_of_window', seen(), { atMs: nowMs - 62_001 }],
    ['out_of_window', seen(), { atMs: nowMs + 3_602_000 }],
    ['revoked_used', seen(), { issued: { ...issued, revokedMs: nowMs - 5001 } }],
    ['principal_mismatch', seen({}, { account: 'root' }), {}],
    ['principal_mismatch', seen(), { accountPrincipals: ['db-admins'] }],
    ['principal_mismatch', seen(), { accountPrincipals: [] }],
    ['principal_mismatch', seen({}, { account: 'Alice' }), {}],
    ['source_mismatch', seen(), { issued: { ...issued, sourceAddress: '198.51.100.0/24' } }],
    ['source_mismatch', seen(), { issued: { ...issued, sourceAddress: 'nonsense' } }],
    [
      'source_mismatch',
      seen({}, { address: 'UNKNOWN' }),
      { issued: { ...issued, sourceAddress: '0.0.0.0/0' } },
    ],
  ] as const)('%s', (verdict, login, over) => {
    expect(judgeLogin(login, facts(over))).toBe(verdict);
  });

  it.each([
    ['at the first second, by a clock that is behind', { atMs: nowMs - 62_000 }],
    ['before the last second, by a clock that is ahead', { atMs: nowMs + 3_601_999 }],
    ['while the revocation was on its way', { issued: { ...issued, revokedMs: nowMs - 5000 } }],
    ['before the revocation', { issued: { ...issued, revokedMs: nowMs + 1 } }],
    ['by a role of the account', { accountPrincipals: ['web-admins'] }],
    ['from where it may come', { issued: { ...issued, sourceAddress: '10.0.0.0/8,192.0.2.0/24' } }],
  ])('explained %s', (_how, over) => {
    expect(judgeLogin(seen(), facts(over))).toBe('explained');
  });
});
