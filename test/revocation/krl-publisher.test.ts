import { generateKeyPairSync } from 'node:crypto';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { KrlPublisher, type Credential, type Publication, type Store } from '../../src/broker/index.ts';
import { createSshHostIssuer, createSshUserIssuer } from '../../src/issuance/index.ts';
import { CodedError, systemRandom } from '../../src/kernel/index.ts';
import { createSigner } from '../../src/keys/index.ts';
import { expiredMarginSeconds, ListWorker } from '../../src/revocation/index.ts';
import { parseKrl } from '../../src/ssh/index.ts';
import { credential, entry, implementations, start, type Place } from '../contract/store-fixture.ts';

const newSigner = () => createSigner(generateKeyPairSync('ed25519').privateKey);
const issuer = createSshUserIssuer({ signer: newSigner(), random: systemRandom });
const hostIssuer = createSshHostIssuer({ signer: newSigner(), random: systemRandom });
const ca = issuer.caFingerprint;

describe.each(implementations)('the publisher of lists over $name', ({ newPlace }) => {
  let place: Place;
  let store: Store;
  let nowMs = start;
  let failing = false;
  let signatures = 0;
  let publisher: KrlPublisher;

  const listKey = newSigner();
  const listSigner = {
    ...listKey,
    sign(message: Uint8Array) {
      if (failing) throw new CodedError('keys.bad_signature', 'x');
      signatures += 1;
      return listKey.sign(message);
    },
  };
  const worker = new ListWorker();
  afterAll(() => worker.close());
  const newPublisher = (): KrlPublisher =>
    new KrlPublisher({ store, issuer, hostIssuer, listSigner, worker, clock: { nowMs: () => nowMs } });
  beforeEach(async () => {
    place = newPlace();
    store = await place.open();
    [nowMs, failing, signatures] = [start, false, 0];
    publisher = newPublisher();
  });
  afterEach(async () => {
    await store.close();
    place.remove();
  });

  const issue = async (over: Partial<Credential> = {}): Promise<Credential> => {
    const { first } = await store.reserveSerials(ca, 1);
    const made = credential({ caFingerprint: ca, serial: first, ...over });
    await store.commit({ credential: made, entries: [entry()] });
    return made;
  };
  const revoke = (...credentials: Credential[]): Promise<unknown> =>
    store.commit({ revoke: { credentials, atMs: nowMs, reason: 'x' }, entries: [entry()] });
  const serialsOf = ({ bytes }: Publication): bigint[] => {
    const krl = parseKrl(bytes);
    const found: bigint[] = [];
    for (const { serials } of krl.certificates) {
      for (const [at, first] of serials.firsts.entries())
        for (let serial = first; serial <= (serials.lasts[at] ?? 0n); serial += 1n) found.push(serial);
    }
    return found;
  };
  const inForce = (): Publication => {
    const { current } = publisher;
    if (current === undefined) throw new Error('nothing is in force');
    return current;
  };
  const publishEntries = async (): Promise<number> =>
    (await store.searchLog({ type: 'krl.publish', limit: 1000 })).length;

  it('starts with a list that revokes nothing, recorded before it is served', async () => {
    expect(publisher.current).toBeUndefined();
    const first = await publisher.resume();
    expect(publisher.current).toBe(first);
    expect([first.version, serialsOf(first)]).toEqual([1n, []]);
    expect((await store.publication('krl'))?.sha256).toBe(first.sha256);
    expect(await publishEntries()).toBe(1);
  });

  it('always raises the version, and carries what was committed before the call', async () => {
    await publisher.resume();
    const seen: bigint[] = [];
    for (let round = 0; round < 5; round += 1) {
      const made = await issue();
      await revoke(made);
      const list = await publisher.publish();
      seen.push(list.version);
      expect(serialsOf(list)).toContain(made.serial);
      expect(parseKrl(list.bytes).version).toBe(list.version);
    }
    expect(seen).toEqual([2n, 3n, 4n, 5n, 6n]);
  });

  it('lets calls that come together share a list, which carries what each of them committed', async () => {
    await publisher.resume();
    const made: Credential[] = [];
    for (let count = 0; count < 30; count += 1) made.push(await issue());
    signatures = 0;
    const lists = await Promise.all(
      made.map(async (one) => {
        await revoke(one);
        const list = await publisher.publish();
        expect(serialsOf(list)).toContain(one.serial);
        return list;
      }),
    );
    expect(signatures).toBeLessThan(10);
    const versions = [...new Set(lists.map(({ version }) => version))];
    expect(versions.length).toBe(signatures);
    expect(await publishEntries()).toBe(1 + signatures);
    expect(serialsOf(inForce())).toEqual(made.map(({ serial }) => serial));
  });

  it('serves what another broker published, and publishes nothing itself then', async () => {
    await publisher.resume();
    const other = newPublisher();
    await other.resume();
    const made = await issue();
    await revoke(made);
    const list = await other.publish();
    signatures = 0;
    await publisher.catchUp();
    expect([inForce().version, inForce().sha256, signatures]).toEqual([list.version, list.sha256, 0]);
    expect(await publishEntries()).toBe(2);
  });

  it('takes the list of whoever was quicker when it holds everything, and makes the next one when it does not', async () => {
    await publisher.resume();
    const other = newPublisher();
    await other.resume();
    for (let round = 0; round < 10; round += 1) {
      const made = await issue();
      await revoke(made);
      const lists = await Promise.all([publisher.publish(), other.publish()]);
      for (const list of lists) expect(serialsOf(list)).toContain(made.serial);
    }
    const entries = await store.searchLog({ type: 'krl.publish', limit: 1000 });
    const versions = entries.map(({ bytes }) =>
      Number((JSON.parse(bytes.toString()) as { artifact: { version: string } }).artifact.version),
    );
    expect(versions).toEqual(versions.map((_, at) => versions.length - at));
    // As it does every second: the other one may have published last.
    await publisher.catchUp();
    expect(inForce().version).toBe((await store.publication('krl'))?.version);
  });

  it('serves the old list while the new one fails, and catches up without being asked again', async () => {
    const before = await publisher.resume();
    const made = await issue();
    await revoke(made);
    failing = true;
    await expect(publisher.publish()).rejects.toMatchObject({ code: 'keys.bad_signature' });
    await expect(publisher.catchUp()).rejects.toMatchObject({ code: 'keys.bad_signature' });
    expect(publisher.current).toBe(before);
    expect((await store.publication('krl'))?.version).toBe(before.version);
    expect(await publishEntries()).toBe(1);
    failing = false;
    await publisher.catchUp();
    expect(serialsOf(inForce())).toEqual([made.serial]);
    expect(inForce().version).toBe(2n);
  });

  it('passes a failure on to everybody who waits for it, and works again for the next', async () => {
    await publisher.resume();
    failing = true;
    const answers = await Promise.allSettled([publisher.publish(), publisher.publish(), publisher.publish()]);
    expect(answers.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    failing = false;
    expect((await publisher.publish()).version).toBe(2n);
  });

  it('does nothing when there is nothing to catch up with', async () => {
    await publisher.resume();
    signatures = 0;
    for (let count = 0; count < 5; count += 1) await publisher.catchUp();
    expect([signatures, inForce().version]).toEqual([0, 1n]);
  });

  it('does not publish a second time for what is just being published', async () => {
    await publisher.resume();
    await revoke(await issue());
    signatures = 0;
    await Promise.all([publisher.publish(), publisher.catchUp(), publisher.catchUp()]);
    await publisher.catchUp();
    expect(signatures).toBe(1);
  });

  it('serves after a restart what was published last, byte by byte', async () => {
    await revoke(await issue());
    const last = await publisher.resume();
    await store.close();
    store = await place.open();
    publisher = newPublisher();
    signatures = 0;
    expect(await publisher.resume()).toEqual(last);
    expect([signatures, publisher.current?.version]).toEqual([0, last.version]);
  });

  it('publishes at a start what was revoked and never got out', async () => {
    await publisher.resume();
    const made = await issue();
    await revoke(made);
    await store.close();
    store = await place.open();
    publisher = newPublisher();
    const list = await publisher.resume();
    expect([list.version, serialsOf(list)]).toEqual([2n, [made.serial]]);
  });

  it('keeps a certificate in the list for its life and a day, and then lets it go', async () => {
    const short = await issue({ validBefore: BigInt(start / 1000) + 10n });
    const long = await issue({ validBefore: BigInt(start / 1000) + 3600n });
    await revoke(short, long);
    await publisher.resume();
    const goneMs = start + (10 + Number(expiredMarginSeconds)) * 1000;
    nowMs = goneMs;
    await publisher.prune();
    expect(serialsOf(inForce())).toEqual([short.serial, long.serial]);
    nowMs = goneMs + 1000;
    await publisher.prune();
    expect(serialsOf(inForce())).toEqual([long.serial]);
    const { version } = inForce();
    await publisher.prune();
    expect(inForce().version).toBe(version);
  });

  it('lets go after a restart what expired meanwhile', async () => {
    const short = await issue({ validBefore: BigInt(start / 1000) + 10n });
    const long = await issue({ validBefore: BigInt(start / 1000) + 3600n });
    await revoke(short, long);
    await publisher.resume();
    nowMs = start + (11 + Number(expiredMarginSeconds)) * 1000;
    publisher = newPublisher();
    expect(serialsOf(await publisher.resume())).toEqual([short.serial, long.serial]);
    await publisher.prune();
    expect(serialsOf(inForce())).toEqual([long.serial]);
  });

  it('holds keys for ever, and key ids as long as their certificates', async () => {
    const made = await issue();
    const { keyId, keyFingerprint, validBefore } = made;
    const fingerprint = `SHA256:${Buffer.alloc(32, 5).toString('base64').replace('=', '')}`;
    await store.commit({
      revokeKey: { fingerprint, revokedMs: nowMs, reason: 'x' },
      revokeKeyIds: [{ keyId, caFingerprint: ca, validBefore }],
      entries: [],
    });
    expect(keyFingerprint).not.toBe(fingerprint);
    const krl = parseKrl((await publisher.resume()).bytes);
    expect(krl.sha256.map((hash) => hash.toString('hex'))).toEqual([Buffer.alloc(32, 5).toString('hex')]);
    expect(krl.certificates.flatMap(({ keyIds }) => keyIds)).toEqual([keyId]);
    nowMs = Number(validBefore + expiredMarginSeconds + 1n) * 1000;
    const later = parseKrl((await publisher.publish()).bytes);
    expect([later.sha256.length, later.certificates.flatMap(({ keyIds }) => keyIds)]).toEqual([1, []]);
  });

  it('gives way to a newer list that somebody else published', async () => {
    await publisher.resume();
    const other = newPublisher();
    await other.resume();
    const both = await Promise.allSettled([publisher.publish(), other.publish()]);
    // One of them collected under a version that the other took: it fails, keeps its list, and is repaired by its next turn.
    expect(both.filter(({ status }) => status === 'fulfilled').length).toBeGreaterThan(0);
    expect((await publisher.publish()).version).toBeGreaterThan((await other.publish()).version - 2n);
    const versions = (await store.searchLog({ type: 'krl.publish', limit: 100 }))
      .map(
        ({ bytes }) => (JSON.parse(bytes.toString()) as { artifact: { version: string } }).artifact.version,
      )
      .toReversed();
    expect(versions).toEqual(versions.map((_, at) => String(at + 1)));
  });
});
