import { describe, expect, it } from 'vitest';
import type { BegunAnew, TlsCredential, X509Serial } from '../../src/broker/index.ts';
import { parsePersonId } from '../../src/kernel/index.ts';
import { implementations, logOf, start } from './store-fixture.ts';

const ca = 'SHA256:the-tls-authority';
const alice = parsePersonId('corp:alice');
const boss = parsePersonId('corp:boss');
const now = BigInt(start / 1000);
const serialOf = (nth: number): X509Serial => `4${String(nth).padStart(39, '0')}` as X509Serial;

function certificate(nth: number, over: Partial<TlsCredential> = {}): TlsCredential {
  return {
    caFingerprint: ca,
    serial: serialOf(nth),
    kind: 'tls-server',
    personId: boss,
    login: 'boss',
    profile: 'ibmi',
    commonName: 'as400',
    names: ['dns:as400'],
    keyType: 'rsa',
    keyFingerprint: 'SHA256:key',
    notBefore: now - 3600n,
    notAfter: now + 86_400n,
    issuedMs: start,
    ...over,
  };
}

for (const { name, newPlace } of implementations)
  describe(`a log that begins anew on ${name}`, () => {
    it.each([
      ['takes every certificate for TLS that is known along', false, [1, 2]],
      ['leaves those of servers, where it is told to', true, [2]],
    ] as const)('%s', async (_title, keepServers, died) => {
      const place = newPlace();
      const store = await place.open();
      for (const credential of [
        certificate(1),
        certificate(2, { kind: 'tls-client', subjectId: alice }),
        // Revoked before, which stays as it was said then.
        certificate(3),
        // Over for longer than any clock is wrong.
        certificate(4, { notAfter: now - 90_000n }),
      ])
        await store.commit({ tls: { credential }, entries: [] });
      await store.commit({
        tls: {
          revoke: { serials: [serialOf(3)], atMs: start - 1, reason: 'before', code: 'keyCompromise' },
        },
        entries: [],
      });
      await store.close();

      const owner = await place.openAsOwner();
      const { checkpoint } = await owner.logHead();
      let began: BegunAnew | undefined;
      await owner.beginAnew({
        ...logOf(place.signer, 'store.test/accounting/2'),
        atMs: start,
        reason: 'disk lost',
        endsAt: checkpoint,
        caFingerprint: 'SHA256:users',
        hostCa: { caFingerprint: 'SHA256:hosts', untilSeconds: now },
        keepServers,
        skip: 1n,
        floor: 1n,
        untilSeconds: now,
        entries(done) {
          began = done;
          return [{ type: 'log.epoch', outcome: 'success', timeMs: start }];
        },
      });
      await owner.close();
      expect(began?.revokedTls.map(({ serial }) => serial)).toEqual(died.map(serialOf));

      const after = await place.open({ origin: 'store.test/accounting/2' });
      const revoked = await after.revokedTls(ca, 0, 0n);
      expect(revoked.map(({ serial, reason, act }) => [serial, reason, act])).toEqual([
        [serialOf(3), 'keyCompromise', 1],
        ...died.map((nth) => [serialOf(nth), 'unspecified', 2]),
      ]);
      expect(await after.tlsRevocationCount()).toBe(2);
      expect(await after.tlsCredential(serialOf(3))).toMatchObject({ revokedReason: 'before' });
      await after.close();
      place.remove();
    });
  });
