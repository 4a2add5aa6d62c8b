import { describe, expect, it } from 'vitest';
import { parsePersonId, systemRandom } from '../../src/kernel/index.ts';
import {
  hashSessionToken,
  newSessionToken,
  sessionVerdict,
  unknownSession,
} from '../../src/identity/index.ts';
import type { Session } from '../../src/identity/index.ts';

const { token, tokenHash, id } = newSessionToken(systemRandom);
const session: Session = {
  tokenHash,
  id,
  personId: parsePersonId('built-in:99331903-19fd-42bb-8be1-e66f33c1a707'),
  login: 'alice',
  directory: 'built-in',
  keyThumbprint: 'thumb',
  createdMs: 1000,
  expiresMs: 2000,
};

describe('session tokens', () => {
  it('have a recognisable form and are found again by their hash', () => {
    expect(token).toMatch(/^sp1_[A-Za-z0-9_-]{43}$/);
    expect(hashSessionToken(token)).toEqual(tokenHash);
    expect(tokenHash).toHaveLength(32);
  });
  it('never repeat, nor do their ids', () => {
    const drawn = Array.from({ length: 1000 }, () => newSessionToken(systemRandom));
    expect(new Set(drawn.map((one) => one.token)).size).toBe(1000);
    expect(new Set(drawn.map((one) => one.id)).size).toBe(1000);
  });
  it('take token and id from different random bytes', () => {
    const drawn: number[] = [];
    const fixed = newSessionToken((sizeBytes) => {
      drawn.push(sizeBytes);
      return Buffer.alloc(sizeBytes, drawn.length);
    });
    expect(drawn).toEqual([32, 12]);
    expect(fixed.id).toBe(`s-${Buffer.alloc(12, 2).toString('base64url')}`);
  });
  it.each([
    '',
    'sp1_',
    token.slice(0, -1),
    `${token}A`,
    ` ${token}`,
    `${token}\n`,
    token.replace('sp1_', 'sp2_'),
    token.replace('sp1_', 'SP1_'),
    `sp1_${'='.repeat(43)}`,
    `sp1_${'A'.repeat(42)}+`,
    // The last character carries two unused bits: only one of four spellings is the token.
    `sp1_${'A'.repeat(42)}B`,
    'a'.repeat(100_000),
  ])('does not look up what is no token: %j', (text) => {
    expect(hashSessionToken(text)).toBeUndefined();
  });
});

describe('sessionVerdict', () => {
  const codeOf = (...args: Parameters<typeof sessionVerdict>): string => {
    const verdict = sessionVerdict(...args);
    return verdict.outcome === 'valid' ? 'valid' : verdict.error.code;
  };
  it('accepts the holder of the key until the session ends', () => {
    expect(sessionVerdict(session, 1999, 'thumb')).toEqual({ outcome: 'valid', session });
  });
  it('is dead at the instant of its end', () => {
    expect(codeOf(session, 2000, 'thumb')).toBe('identity.session_expired');
  });
  it('counts a time that is not a number as expired', () => {
    expect(codeOf({ ...session, expiresMs: Number.NaN }, 1500, 'thumb')).toBe('identity.session_expired');
    expect(codeOf(session, Number.NaN, 'thumb')).toBe('identity.session_expired');
  });
  it('is useless with another key, and does not tell a thief whether it still lives', () => {
    expect(codeOf(session, 1500, 'thief')).toBe('identity.session_wrong_key');
    expect(codeOf(session, 2500, 'thief')).toBe('identity.session_wrong_key');
    expect(codeOf({ ...session, keyThumbprint: '' }, 1500, '')).toBe('identity.session_wrong_key');
  });
  it('refuses what is not found', () => {
    expect(sessionVerdict(undefined, 1500, 'thumb')).toEqual({ outcome: 'refused', error: unknownSession() });
    expect(unknownSession().code).toBe('identity.session_unknown');
  });
  it('names the next step and never the token', () => {
    const verdict = sessionVerdict(session, 2500, 'thumb');
    if (verdict.outcome === 'valid') expect.unreachable();
    expect(verdict.error.next).toContain('sallyport login');
    expect(JSON.stringify(verdict) + verdict.error.stack).not.toContain(token);
  });
});
