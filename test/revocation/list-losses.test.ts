import { generateKeyPairSync } from 'node:crypto';
import * as fc from 'fast-check';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { credentialFields } from '../../src/broker/entries.ts';
import { KrlPublisher, type Credential, type Publication, type Store } from '../../src/broker/index.ts';
import { createSshHostIssuer, createSshUserIssuer } from '../../src/issuance/index.ts';
import { systemRandom, type SshBlob } from '../../src/kernel/index.ts';
import { createSigner } from '../../src/keys/index.ts';
import { expiredMarginSeconds, ListWorker, lossesOf } from '../../src/revocation/index.ts';
import { encodeKrl, parseKrl } from '../../src/ssh/index.ts';
import { credential, entry, implementations, start, type Place } from '../contract/store-fixture.ts';

const newSigner = () => createSigner(generateKeyPairSync('ed25519').privateKey);
const issuer = createSshUserIssuer({ signer: newSigner(), random: systemRandom });
const hostIssuer = createSshHostIssuer({ signer: newSigner(), random: systemRandom });
const ca = issuer.caFingerprint;

function listOf(serials: readonly bigint[], caKey: SshBlob = issuer.caKey.blob): Buffer {
  return encodeKrl({
    version: 1n,
    generatedSeconds: 0n,
    comment: '',
    certificates: [{ caKey, serials: BigUint64Array.from(serials), keyIds: [] }],
    keys: [],
    sha256: [],
  });
}

describe('what a list has lost', () => {
  const caKey = issuer.caKey.blob;
  const lost = (after: readonly bigint[], before: readonly bigint[] | undefined, since: readonly bigint[]) =>
    lossesOf({
      after: listOf(after),
      before: before && listOf(before),
      since: [{ caKey, serials: BigUint64Array.from(since) }],
    }).flatMap(({ firsts, lasts }) =>
      [...firsts].flatMap((first, nth) =>
        Array.from({ length: Number((lasts[nth] ?? first) - first) + 1 }, (_, at) => first + BigInt(at)),
      ),
    );

  it('is what stood in the one before or was revoked since, and is not in it', () => {
    const serials = fc.array(fc.bigInt({ min: 1n, max: 60n }), { maxLength: 40 });
    fc.assert(
      fc.property(serials, fc.option(serials, { nil: undefined }), serials, (after, before, since) => {
        const expected = new Set([...(before ?? []), ...since].filter((one) => !after.includes(one)));
        expect(lost(after, before, since)).toEqual(
          [...expected].toSorted((one, other) => Number(one - other)),
        );
      }),
      { seed: 4, numRuns: 500 },
    );
  });

  it('is not what another CA revoked', () => {
    const other = hostIssuer.caKey.blob;
    const before = listOf([1n, 2n], other);
    const since = [{ caKey, serials: BigUint64Array.of(7n) }];
    expect(lossesOf({ after: listOf([7n]), before, since })).toEqual([]);
    const hosts = [{ caKey: other, serials: BigUint64Array.of() }];
    expect(lossesOf({ after: listOf([1n, 2n]), before, since: hosts })).toMatchObject([{ caKey: other }]);
  });

  it('is found in a thread when the lists are long', async () => {
    const worker = new ListWorker();
    const many = Array.from({ length: 50_000 }, (_, nth) => BigInt(nth * 7 + 1));
    const change = {
      after: listOf(many.toSpliced(31_337, 1)),
      before: listOf(many),
      since: [{ caKey, serials: new BigUint64Array() }],
    };
    const [found, ...others] = await worker.losses(change);
    expect([found?.firsts, found?.caKey, others]).toEqual([BigUint64Array.of(many[31_337] ?? 0n), caKey, []]);
    await worker.close();
  });
});

describe.each(implementations)('a publisher over $name whose rows lose a revocation', ({ newPlace }) => {
  let place: Place;
  let store: Store;
  let nowMs: number;
  /** No question of the publisher finds these, as if their rows had been changed. */
  let hidden: bigint[];
  const worker = new ListWorker();
  const listSigner = newSigner();
  afterAll(() => worker.close());
  beforeEach(async () => {
    place = newPlace();
    store = await place.open();
    [nowMs, hidden] = [start, []];
  });
  afterEach(async () => {
    await store.close();
    place.remove();
  });

  const newPublisher = (over: Partial<Store> = {}): KrlPublisher =>
    new KrlPublisher({
      store: {
        ...bound(store),
        revokedSerials: async (...asked) =>
          (await store.revokedSerials(...asked)).filter((serial) => !hidden.includes(serial)),
        ...over,
      },
      issuer,
      hostIssuer,
      listSigner,
      worker,
      clock: { nowMs: () => nowMs },
    });

  async function revoked(): Promise<Credential> {
    const { first } = await store.reserveSerials(ca, 1);
    const made = credential({ caFingerprint: ca, serial: first });
    await store.commit({ credential: made, entries: [entry()] });
    await store.commit({
      revoke: { credentials: [made], atMs: nowMs, reason: 'x' },
      entries: [entry({ type: 'cred.revoke', timeMs: nowMs, fields: { cred: credentialFields(made) } })],
    });
    return made;
  }
  const isIn = (list: Publication | undefined, { serial }: Credential): boolean => {
    const [key, krl] = [issuer.caKey.blob, list && parseKrl(list.bytes)];
    return krl?.isRevoked({ key, caKey: key, serial }).revoked === true;
  };

  it('has it in the list nevertheless, with what is new, says so, and goes on once it is back', async () => {
    const publisher = newPublisher();
    const one = await revoked();
    const list = await publisher.resume();
    expect([isIn(list, one), publisher.loss]).toEqual([true, undefined]);
    hidden.push(one.serial);
    const other = await revoked();
    const whole = await publisher.publish();
    expect([isIn(whole, one), isIn(whole, other)]).toEqual([true, true]);
    expect(publisher.loss).toMatchObject({
      code: 'revocation.list_lost',
      details: { serial: String(one.serial) },
    });
    const [logged] = await store.searchLog({ type: 'krl.publish', limit: 1 });
    expect(JSON.parse(logged?.bytes.toString('utf8') ?? '')).toMatchObject({
      outcome: 'success',
      reason_code: 'revocation.list_lost',
      list: { serials: 2 },
    });
    // Another broker, or the next start, is no way around.
    expect(isIn(await newPublisher().publish(), one)).toBe(true);
    hidden.pop();
    const next = await publisher.publish();
    expect([isIn(next, one), isIn(next, other), publisher.loss]).toEqual([true, true, undefined]);
  });

  it('has what was revoked a moment ago', async () => {
    const publisher = newPublisher();
    await publisher.resume();
    const one = await revoked();
    hidden.push(one.serial);
    expect(isIn(await publisher.publish(), one)).toBe(true);
  });

  it('finds it among many that were revoked at once', async () => {
    const publisher = newPublisher();
    await publisher.resume();
    const first = await revoked();
    for (let made = 0; made < 40; made += 1) await revoked();
    hidden.push(first.serial);
    expect(isIn(await publisher.publish(), first)).toBe(true);
  });

  it('goes by the whole log where the list before is not the one that the log speaks of', async () => {
    const one = await revoked();
    await newPublisher().resume();
    hidden.push(one.serial);
    expect(isIn(await newPublisher({ publication: async () => undefined }).publish(), one)).toBe(true);
    const forged: Store['publication'] = async (kind) => {
      const kept = await store.publication(kind);
      return kept && { ...kept, bytes: listOf([]) };
    };
    expect(isIn(await newPublisher({ publication: forged }).publish(), one)).toBe(true);
  });

  it('forgets what has expired, by what the log says and not the rows', async () => {
    const publisher = newPublisher();
    const one = await revoked();
    await publisher.resume();
    const endMs = Number(one.validBefore + expiredMarginSeconds) * 1000;
    hidden.push(one.serial);
    nowMs = endMs - 1;
    const earlier: Store['credential'] = async () => ({ ...one, validBefore: 1n });
    expect(isIn(await newPublisher({ credential: earlier }).publish(), one)).toBe(true);
    expect(isIn(await publisher.publish(), one)).toBe(true);
    nowMs = endMs + 1000;
    expect(isIn(await publisher.publish(), one)).toBe(false);
  });

  it('keeps a range that is too long to be looked at', async () => {
    const range = { first: 500n as never, last: (2n ** 40n) as never };
    const publisher = newPublisher({ revokedRanges: async (authority) => (authority === ca ? [range] : []) });
    await publisher.resume();
    const after = await newPublisher().publish();
    const section = parseKrl(after.bytes).certificates.find(({ caKey }) => caKey?.equals(issuer.caKey.blob));
    expect([[...(section?.serials.firsts ?? [])], [...(section?.serials.lasts ?? [])]]).toEqual([
      [500n],
      [2n ** 40n],
    ]);
  });

  it('goes by rows and ranges for what only a log before this one revoked', async () => {
    const { first } = await store.reserveSerials(ca, 1);
    const made = credential({ caFingerprint: ca, serial: first });
    await store.commit({ credential: made, entries: [entry()] });
    await store.commit({ revoke: { credentials: [made], atMs: nowMs, reason: 'x' }, entries: [entry()] });
    const ranges: Store['revokedRanges'] = async (fingerprint, second) =>
      fingerprint === ca && second < made.validBefore
        ? [{ first: 500n as never, last: (2n ** 40n) as never }]
        : [];
    const publisher = newPublisher({ revokedRanges: ranges });
    await publisher.resume();
    nowMs = Number(made.validBefore + expiredMarginSeconds) * 1000 + 1000;
    const next = await publisher.publish();
    expect(parseKrl(next.bytes).certificates.flatMap(({ serials }) => [...serials.firsts])).toEqual([]);
  });
});

/** A store's methods, each of which may be replaced. */
function bound(store: Store): Store {
  return new Proxy(store, {
    ownKeys: () => Object.keys(store),
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? (value as () => unknown).bind(target) : value;
    },
  });
}
