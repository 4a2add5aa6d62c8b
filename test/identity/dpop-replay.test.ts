import { describe, expect, it } from 'vitest';
import { isCodedError } from '../../src/kernel/index.ts';
import { createDpopVerifier } from '../../src/identity/index.ts';
import { codeOf } from '../support/code-of.ts';
import { standingClock } from './fixtures.ts';
import {
  origin,
  path,
  otherEc,
  jwkOf,
  nowSeconds,
  claims,
  header,
  signEc,
  forge,
  newVerifier,
  request,
  verdicts,
} from './proofs.ts';
import type { Json, Options } from './proofs.ts';

describe('the time of a proof', () => {
  it.each([
    [-60, 'accepted'],
    [-60.001, 'identity.clock_skew'],
    [-3600, 'identity.clock_skew'],
    [30, 'accepted'],
    [30.001, 'identity.clock_skew'],
    [86_400, 'identity.clock_skew'],
  ])('%d s from ours: %s', async (seconds, code) => {
    expect(await verdicts(forge(header(), claims({ iat: nowSeconds + seconds })))).toEqual([code, code]);
  });
  it('is told beside the broker’s', async () => {
    const error: unknown = await newVerifier()
      .verify(request(forge(header(), claims({ iat: nowSeconds - 600 }))))
      .catch((cause: unknown) => cause);
    if (!isCodedError(error, 'identity.clock_skew')) expect.unreachable(String(error));
    expect(error.details).toEqual({
      brokerTime: '2026-11-23T08:00:00.000Z',
      clientTime: '2026-11-23T07:50:00.000Z',
    });
  });
});

describe('a proof from before', () => {
  const bornNow = (clockNow: Options['clock']) => createDpopVerifier({ origins: [origin], clock: clockNow });

  it.each([
    [0, 'accepted'],
    [30, 'accepted'],
    [-0.001, 'identity.dpop_forgotten'],
    [-1, 'identity.dpop_forgotten'],
    [-59, 'identity.dpop_forgotten'],
    [-61, 'identity.clock_skew'],
  ])('the second in which the verifier was made is refused: %d s from it', async (seconds, code) => {
    const moving = standingClock();
    moving.advance(400);
    const verifier = bornNow(moving);
    const proof = forge(header(), claims({ iat: nowSeconds + seconds }));
    expect(await codeOf(() => verifier.verify(request(proof)))).toBe(code);
  });

  it('a restart is not good again', async () => {
    const moving = standingClock();
    const proof = forge(header(), claims());
    expect(await codeOf(() => bornNow(moving).verify(request(proof)))).toBe('accepted');
    moving.advance(1000);
    const restarted = bornNow(moving);
    const error: unknown = await restarted.verify(request(proof)).catch((cause: unknown) => cause);
    if (!isCodedError(error, 'identity.dpop_forgotten')) expect.unreachable(String(error));
    expect(error.message).toContain('before this broker started');
    expect(error.next).toContain('Try again');
    const fresh = forge(header(), claims({ iat: nowSeconds + 1 }));
    expect(await codeOf(() => restarted.verify(request(fresh)))).toBe('accepted');
  });

  it('the clock was set forward and back is not good again, and one that nobody used is', async () => {
    const moving = standingClock();
    const verifier = newVerifier({ clock: moving });
    const used = forge(header(), claims());
    expect(await codeOf(() => verifier.verify(request(used)))).toBe('accepted');
    moving.advance(3_600_000);
    const inTheFuture = forge(header(), claims({ iat: nowSeconds + 3600 }));
    expect(await codeOf(() => verifier.verify(request(inTheFuture)))).toBe('accepted');
    moving.advance(-3_600_000);
    expect(await codeOf(() => verifier.verify(request(used)))).toBe('identity.dpop_forgotten');
    // Of the same second: it cannot be told from one that was used.
    expect(await codeOf(() => verifier.verify(request(forge(header(), claims()))))).toBe(
      'identity.dpop_forgotten',
    );
    moving.advance(1000);
    const later = forge(header(), claims({ iat: nowSeconds + 1 }));
    expect(await codeOf(() => verifier.verify(request(later)))).toBe('accepted');
    moving.advance(3_599_000);
    expect(await codeOf(() => verifier.verify(request(inTheFuture)))).toBe('identity.dpop_replayed');
  });

  it('the clock was set back is not good again', async () => {
    const moving = standingClock();
    const verifier = newVerifier({ clock: moving });
    const used = forge(header(), claims());
    expect(await codeOf(() => verifier.verify(request(used)))).toBe('accepted');
    moving.advance(-30_000);
    expect(await codeOf(() => verifier.verify(request(used)))).toBe('identity.dpop_replayed');
    moving.advance(-3_600_000);
    await codeOf(() => verifier.verify(request(forge(header(), claims({ iat: nowSeconds - 3630 })))));
    moving.advance(3_600_000);
    expect(await codeOf(() => verifier.verify(request(used)))).toBe('identity.dpop_replayed');
  });
});

describe('a proof used before', () => {
  it('is refused as long as it could be used', async () => {
    const moving = standingClock();
    const verifier = newVerifier({ clock: moving });
    const proof = forge(header(), claims({ iat: nowSeconds + 30 }));
    expect(await codeOf(() => verifier.verify(request(proof)))).toBe('accepted');
    for (let second = 0; second <= 90; second += 1) {
      expect(await codeOf(() => verifier.verify(request(proof)))).toBe('identity.dpop_replayed');
      moving.advance(1000);
    }
    expect(await codeOf(() => verifier.verify(request(proof)))).toBe('identity.clock_skew');
  });
  it('wins once when it comes many times at once', async () => {
    const verifier = newVerifier();
    const proof = forge(header(), claims());
    const codes = await Promise.all(
      Array.from({ length: 50 }, () => codeOf(() => verifier.verify(request(proof)))),
    );
    expect(codes.filter((code) => code === 'accepted')).toHaveLength(1);
    expect(codes.filter((code) => code === 'identity.dpop_replayed')).toHaveLength(49);
  });
  it('is known by its id, whatever else changed', async () => {
    const verifier = newVerifier();
    const make = (change: Json) => forge(header(), claims({ jti: 'once', ...change }));
    expect(await codeOf(() => verifier.verify(request(make({}))))).toBe('accepted');
    expect(await codeOf(() => verifier.verify(request(make({ iat: nowSeconds + 7 }))))).toBe(
      'identity.dpop_replayed',
    );
  });
  it('is not one of another key with the same id', async () => {
    const verifier = newVerifier();
    const other = header({ jwk: jwkOf(otherEc.publicKey) });
    expect(await codeOf(() => verifier.verify(request(forge(header(), claims({ jti: 'x' })))))).toBe(
      'accepted',
    );
    const proof = forge(other, claims({ jti: 'x' }), (text) => signEc(text, otherEc.privateKey));
    expect(await codeOf(() => verifier.verify(request(proof)))).toBe('accepted');
  });
});

describe('the memory of used proofs', () => {
  const fresh = () => request(forge(header(), claims()));
  it('is closed when it is full, and opens when the oldest can no longer be used', async () => {
    const moving = standingClock();
    const verifier = newVerifier({ clock: moving, replayCapacity: 3 });
    const first = fresh();
    expect(await codeOf(() => verifier.verify(first))).toBe('accepted');
    for (let count = 0; count < 2; count += 1)
      expect(await codeOf(() => verifier.verify(fresh()))).toBe('accepted');
    expect(await codeOf(() => verifier.verify(fresh()))).toBe('identity.busy');
    expect(await codeOf(() => verifier.verify(first))).toBe('identity.dpop_replayed');
    moving.advance(61_000);
    const later = request(forge(header(), claims({ iat: nowSeconds + 61 })));
    expect(await codeOf(() => verifier.verify(later))).toBe('accepted');
  });
  it('takes no proof that is not right in every respect', async () => {
    const verifier = newVerifier({ replayCapacity: 1 });
    const junk = [
      forge(header(), claims(), () => Buffer.alloc(64, 1).toString('base64url')),
      forge(header(), claims({ htm: 'GET' })),
      forge(header(), claims({ htu: `${origin}/v1/login` })),
      forge(header(), claims({ iat: nowSeconds - 61 })),
      forge(header(), claims({ ath: 'x' })),
    ];
    for (const proof of junk)
      expect(await codeOf(() => verifier.verify(request(proof)))).not.toBe('accepted');
    expect(await codeOf(() => verifier.verify(fresh()))).toBe('accepted');
  });
  it('cannot be filled for sessions by strangers who log in', async () => {
    const verifier = newVerifier({ replayCapacity: 1 });
    const login = () => ({ proof: forge(header(), claims({ ath: undefined })), method: 'POST', path });
    expect(await codeOf(() => verifier.verify(login()))).toBe('accepted');
    expect(await codeOf(() => verifier.verify(login()))).toBe('identity.busy');
    expect(await codeOf(() => verifier.verify(fresh()))).toBe('accepted');
  });
});
