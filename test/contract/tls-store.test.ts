import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CrlPublication, Store, TlsCredential, X509Serial } from '../../src/broker/index.ts';
import { codeOf, implementations, type Place } from './store-fixture.ts';
import { parsePersonId } from '../../src/kernel/index.ts';

const ca = 'SHA256:the-tls-authority';
const alice = parsePersonId('corp:alice');
const boss = parsePersonId('corp:boss');
const nowMs = 1_700_000_000_000;
const now = BigInt(nowMs / 1000);
let count = 0;

const newSerial = (): X509Serial => `4${(count += 1).toString(16).padStart(39, '0')}` as X509Serial;

function certificate(over: Partial<TlsCredential> = {}): TlsCredential {
  return {
    caFingerprint: ca,
    serial: newSerial(),
    kind: 'tls-server',
    personId: boss,
    login: 'boss',
    profile: 'ibmi',
    commonName: 'as400',
    names: ['dns:as400', 'ip:10.1.2.3'],
    keyType: 'rsa',
    keyFingerprint: 'SHA256:key',
    notBefore: now - 3600n,
    notAfter: now + 86_400n,
    issuedMs: nowMs,
    ...over,
  };
}

const crl = (number: bigint, over: Partial<CrlPublication> = {}): CrlPublication => ({
  caFingerprint: ca,
  number,
  publishedMs: nowMs,
  nextUpdateMs: nowMs + 86_400_000,
  full: Buffer.from(`full ${number}`),
  delta: Buffer.from(`delta ${number}`),
  acts: 3,
  base: { number: 1n, acts: 0, publishedMs: nowMs - 5 },
  nextBase: { number: 2n, acts: 1, publishedMs: nowMs - 4 },
  ...over,
});

for (const { name, newPlace } of implementations) {
  describe(`X.509 in the store on ${name}`, () => {
    let place: Place;
    let store: Store;
    beforeEach(async () => {
      place = newPlace();
      store = await place.open();
    });
    afterEach(async () => {
      await store.close();
      place.remove();
    });
    const issue = async (over: Partial<TlsCredential> = {}): Promise<TlsCredential> => {
      const credential = certificate(over);
      await store.commit({ tls: { credential }, entries: [] });
      return credential;
    };
    const revoke = (serials: readonly X509Serial[], atMs = nowMs): Promise<unknown> =>
      store.commit({
        tls: { revoke: { serials, atMs, reason: 'left', code: 'keyCompromise' } },
        entries: [],
      });
    const serialsOf = (found: readonly TlsCredential[]): string[] => found.map(({ serial }) => serial);

    it('gives certificates back as they were, and a serial is there once', async () => {
      const first = await issue();
      const { row, ...same } = (await store.tlsCredential(first.serial)) ?? expect.unreachable();
      expect(same).toEqual(first);
      expect(typeof row).toBe('bigint');
      const servedBy = { applications: ['telnet', 'as-signon'], label: 'telnet-2026-11' };
      const renewed = await issue({ renews: first.serial, subjectId: alice, kind: 'tls-client', servedBy });
      expect(await store.tlsCredential(renewed.serial)).toMatchObject(renewed);
      expect(await store.tlsCredential(newSerial())).toBeUndefined();
      expect(await codeOf(store.commit({ tls: { credential: first }, entries: [] }))).not.toBe('done');
    });

    it('finds what a target names: a person’s own, not what they asked for', async () => {
      const server = await issue({ personId: alice });
      const own = await issue({
        personId: alice,
        subjectId: alice,
        kind: 'tls-client',
        keyFingerprint: 'SHA256:own',
      });
      const old = await issue({ subjectId: alice, notAfter: now - 1n, issuedMs: nowMs - 1000 });
      const live = async (target: Parameters<Store['liveTls']>[0]): Promise<string[]> =>
        serialsOf(await store.liveTls(target, nowMs));
      expect(await live({ kind: 'person', personId: alice })).toEqual([own.serial]);
      expect(await live({ kind: 'serial', serial: server.serial })).toEqual([server.serial]);
      expect(await live({ kind: 'key', fingerprint: 'SHA256:own' })).toEqual([own.serial]);
      expect(await live({ kind: 'before', beforeMs: nowMs })).toEqual([]);
      expect(await live({ kind: 'before', beforeMs: nowMs + 1 })).toEqual([server.serial, own.serial]);
      expect(await store.everIssuedTls({ kind: 'serial', serial: old.serial })).toBe(true);
      expect(await store.everIssuedTls({ kind: 'serial', serial: newSerial() })).toBe(false);
      // Alive at its last second.
      expect(serialsOf(await store.liveTls({ kind: 'serial', serial: old.serial }, nowMs - 1000))).toEqual([
        old.serial,
      ]);
    });

    it('lists page by page, newest first, and by when they end', async () => {
      const all = [await issue(), await issue({ notAfter: now + 10n }), await issue({ subjectId: alice })];
      const newest = all.map(({ serial }) => serial).toReversed();
      const first = await store.tlsCredentials({ live: false, limit: 2, nowMs });
      expect(serialsOf(first)).toEqual(newest.slice(0, 2));
      const before = first[1]?.row ?? 0n;
      expect(serialsOf(await store.tlsCredentials({ live: false, limit: 2, nowMs, before }))).toEqual(
        newest.slice(2),
      );
      const ending = await store.tlsCredentials({ live: true, limit: 9, nowMs, endsBefore: now + 11n });
      expect(serialsOf(ending)).toEqual([all[1]?.serial]);
      expect(serialsOf(await store.tlsCredentials({ live: true, limit: 9, nowMs, personId: alice }))).toEqual(
        [newest[0]],
      );
    });

    it('counts acts of revocation, keeps the first, and gives what came after an act', async () => {
      const [one, two, three] = [await issue(), await issue(), await issue()];
      expect(await store.tlsRevocationCount()).toBe(0);
      await revoke([one.serial, two.serial], nowMs + 1);
      await revoke([two.serial, three.serial], nowMs + 2);
      expect(await store.tlsRevocationCount()).toBe(2);
      const reason = 'keyCompromise';
      expect(await store.revokedTls(ca, 0, now)).toEqual([
        { serial: one.serial, revokedMs: nowMs + 1, reason, act: 1 },
        { serial: two.serial, revokedMs: nowMs + 1, reason, act: 1 },
        { serial: three.serial, revokedMs: nowMs + 2, reason, act: 2 },
      ]);
      expect(serialsOf((await store.revokedTls(ca, 1, now)) as unknown as TlsCredential[])).toEqual([
        three.serial,
      ]);
      expect(await store.revokedTls(ca, 0, now + 86_401n)).toEqual([]);
      expect(await store.revokedTls('SHA256:another', 0, now)).toEqual([]);
      expect(await store.tlsCredential(two.serial)).toMatchObject({
        revokedMs: nowMs + 1,
        revokedReason: 'left',
        revokedCode: reason,
      });
      expect(await store.liveTls({ kind: 'serial', serial: two.serial }, nowMs)).toEqual([]);
    });

    it('keeps a list as it was published, and takes only higher numbers', async () => {
      expect(await store.crlPublication(ca)).toBeUndefined();
      expect(await store.crlNumber(ca)).toBeUndefined();
      await store.commit({ tls: { crl: crl(5n) }, entries: [] });
      expect(await store.crlPublication(ca)).toEqual(crl(5n));
      for (const number of [4n, 5n])
        expect(await codeOf(store.commit({ tls: { crl: crl(number) }, entries: [] }))).toBe('store.conflict');
      await store.commit({ tls: { crl: crl(6n) }, entries: [] });
      expect(await store.crlNumber(ca)).toBe(6n);
    });

    it('remembers which authorities signed here, and the last certificate of each', async () => {
      const issuing = { caFingerprint: ca, name: 'issuing-1', atMs: nowMs };
      for (const certificate of ['aa', 'aa', 'bb']) {
        await store.commit({ tls: { authorities: [{ ...issuing, certificate }] }, entries: [] });
        expect(await store.tlsAuthorities()).toEqual([{ caFingerprint: ca, certificate }]);
      }
    });

    it('erases names and words with a person, and those that are named', async () => {
      const mine = await issue({ personId: alice, login: 'alice', subjectId: alice });
      const other = await issue();
      await revoke([mine.serial, other.serial]);
      await store.commit({ erase: { openings: [], person: alice }, entries: [] });
      expect(await store.tlsCredential(mine.serial)).toMatchObject({
        login: 'erased',
        revokedReason: 'erased',
      });
      expect(await store.tlsCredential(other.serial)).toMatchObject({ login: 'boss', revokedReason: 'left' });
      const erase = { openings: [], tlsLogins: [other.serial], tlsRevokedReasons: [other.serial] };
      await store.commit({ erase, entries: [] });
      expect(await store.tlsCredential(other.serial)).toMatchObject({
        login: 'erased',
        revokedReason: 'erased',
      });
    });
  });
}
