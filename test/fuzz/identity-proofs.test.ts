import { generateKeyPairSync, sign } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isCodedError, sha256, systemRandom } from '../../src/kernel/index.ts';
import {
  createDpopVerifier,
  createLoginThrottle,
  hashSessionToken,
  newSessionToken,
} from '../../src/identity/index.ts';
import type { ThrottleRow } from '../../src/identity/index.ts';
import { createReplayMemory } from '../../src/identity/replay-memory.ts';

const fixed = { seed: 20261123, numRuns: 500 };
const clock = { nowMs: () => Date.UTC(2026, 10, 23) };
const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

function forge(header: unknown, payload: unknown): string {
  const text = `${encode(header)}.${encode(payload)}`;
  const signature = sign('sha256', Buffer.from(text), { key: keys.privateKey, dsaEncoding: 'ieee-p1363' });
  return `${text}.${signature.toString('base64url')}`;
}
const header = { typ: 'dpop+jwt', alg: 'ES256', jwk: keys.publicKey.export({ format: 'jwk' }) };
const claims = { htm: 'GET', htu: 'https://b.example/v1/session', iat: clock.nowMs() / 1000, jti: 'x' };

async function codeOf(proof: string): Promise<string> {
  const verifier = createDpopVerifier({ origins: ['https://b.example'], clock });
  try {
    await verifier.verify({ proof, method: 'GET', path: '/v1/session' });
    return 'accepted';
  } catch (error) {
    if (isCodedError(error)) return error.code;
    throw error;
  }
}

describe('proofs, fuzzed', () => {
  it('start from one that is accepted', async () => {
    expect(await codeOf(forge(header, claims))).toBe('accepted');
  });
  it('that are any text give a coded error', async () => {
    const text = fc.oneof(
      fc.string(),
      fc.string({ unit: 'binary' }),
      fc.stringMatching(/^[\w-]*\.[\w-]*\.[\w-]*$/),
    );
    await fc.assert(
      fc.asyncProperty(text, async (proof) => {
        expect(await codeOf(proof)).toMatch(/^identity\.dpop_(invalid|missing)$/);
      }),
      fixed,
    );
  });
  it('with any header but a right one give a coded error', async () => {
    const member = fc.constantFrom('typ', 'alg', 'jwk', 'crit', 'b64');
    await fc.assert(
      fc.asyncProperty(member, fc.jsonValue(), async (name, value) => {
        expect(await codeOf(forge({ ...header, [name]: value }, claims))).toBe('identity.dpop_invalid');
      }),
      fixed,
    );
  });
  it('with any key but a right one give a coded error', async () => {
    const member = fc.constantFrom('kty', 'crv', 'x', 'y', 'd', 'k', 'oth');
    await fc.assert(
      fc.asyncProperty(member, fc.jsonValue(), async (name, value) => {
        const jwk = { ...header.jwk, [name]: value };
        expect(await codeOf(forge({ ...header, jwk }, claims))).toBe('identity.dpop_invalid');
      }),
      fixed,
    );
  });
  it('with any claim but a right one give a coded error', async () => {
    const member = fc.constantFrom('htm', 'htu', 'iat', 'ath');
    await fc.assert(
      fc.asyncProperty(member, fc.jsonValue(), async (name, value) => {
        expect(await codeOf(forge(header, { ...claims, [name]: value }))).toMatch(
          /^identity\.(dpop_invalid|dpop_wrong_url|clock_skew)$/,
        );
      }),
      fixed,
    );
  });
});

describe('the memory of used proofs, fuzzed', () => {
  it('lets nothing be used twice, however the clock is set', () => {
    const event = fc.record({
      atMs: fc.oneof(
        { weight: 9, arbitrary: fc.integer({ min: -20_000, max: 20_000 }) },
        fc.integer({ min: -200_000, max: 200_000 }),
      ),
      name: fc.nat(20),
    });
    let acceptedCount = 0;
    fc.assert(
      fc.property(fc.array(event, { maxLength: 100 }), (events) => {
        const memory = createReplayMemory(1000);
        const used = new Set<string>();
        for (const { atMs, name } of events) {
          const nowMs = 1_000_000_000_000 + atMs;
          // Twenty names, ten seconds apart, good for a minute, from half a minute before to a minute after their time.
          const issuedMs = 1_000_000_000_000 + (name - 10) * 10_000;
          if (nowMs < issuedMs - 30_000 || nowMs > issuedMs + 60_000) continue;
          if (memory.record(`name${name}`, issuedMs / 1000 + 60, nowMs) !== 'new') continue;
          expect(used.has(`name${name}`)).toBe(false);
          used.add(`name${name}`);
          acceptedCount += 1;
        }
      }),
      fixed,
    );
    expect(acceptedCount).toBeGreaterThan(500);
  });
  it('takes everything that is new while the clock only goes forward', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(40_000), { maxLength: 100 }), (movesMs) => {
        const memory = createReplayMemory(1000);
        let nowMs = 1_000_000_000_000;
        for (const [index, moveMs] of movesMs.entries()) {
          nowMs += moveMs;
          // As old as a proof may be.
          expect(memory.record(`name${index}`, Math.ceil(nowMs / 1000), nowMs)).toBe('new');
        }
      }),
      fixed,
    );
  });
});

describe('session tokens, fuzzed', () => {
  it('that are any text are looked up by their hash or not at all', () => {
    const text = fc.oneof(fc.string({ unit: 'binary' }), fc.stringMatching(/^sp1_[\w-]{43}$/));
    fc.assert(
      fc.property(text, (token) => {
        const hash = hashSessionToken(token);
        if (hash !== undefined) expect(hash).toEqual(sha256(token));
        else expect(/^sp1_[\w-]{42}[AEIMQUYcgkosw048]$/.test(token)).toBe(false);
      }),
      fixed,
    );
  });
  it('changed in one character are another token or none', () => {
    const { token, tokenHash } = newSessionToken(systemRandom);
    fc.assert(
      fc.property(fc.nat(token.length - 1), fc.string({ minLength: 1, maxLength: 1 }), (at, character) => {
        const changed = token.slice(0, at) + character + token.slice(at + 1);
        if (changed !== token) expect(hashSessionToken(changed)).not.toEqual(tokenHash);
      }),
      fixed,
    );
  });
});

describe('the throttle, fuzzed', () => {
  it('never lets more than its allowance through, never holds anybody longer than 15 minutes', () => {
    const event = fc.record({
      login: fc.constantFrom('alice', 'Alice ', 'CORP\\alice', 'bob', '\u0000', ''),
      address: fc.constantFrom('192.0.2.1', '2001:db8::1', '2001:db8::2', 'nonsense', ''),
      end: fc.constantFrom('failed', 'succeeded', 'turnedAway', 'withdrawn', 'open'),
      afterMs: fc.integer({ min: -10_000, max: 1_000_000 }),
    });
    fc.assert(
      fc.property(fc.array(event, { maxLength: 60 }), (events) => {
        let nowMs = Date.UTC(2026, 10, 23);
        const throttle = createLoginThrottle({ clock: { nowMs: () => nowMs }, capacity: 20 });
        const stored = new Map<string, ThrottleRow>();
        let admitted = 0;
        let told = 0;
        for (const { login, address, end, afterMs } of events) {
          const admission = throttle.admit({ login, address });
          if (admission.outcome === 'admitted') admitted += 1;
          if (admission.outcome === 'throttled') {
            expect(admission.retryAfterSeconds).toBeGreaterThan(0);
            expect(admission.retryAfterSeconds).toBeLessThanOrEqual(900);
            if (admission.first) told += 1;
          } else if (end === 'failed' || end === 'succeeded' || end === 'turnedAway') {
            for (const row of admission.ticket[end]()) stored.set(row.key, row);
          } else if (end === 'withdrawn') admission.ticket.withdrawn();
          nowMs += afterMs;
        }
        // An attempt that comes in starts at most three delays, and ends at most three.
        expect(told).toBeLessThanOrEqual(6 * admitted);
        for (const row of stored.values()) {
          expect(row.failures).toBeGreaterThanOrEqual(0);
          expect(row.forgetMs).toBeGreaterThan(row.lastMs);
        }
      }),
      { ...fixed, numRuns: 300 },
    );
  });
});
