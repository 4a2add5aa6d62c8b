import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Store } from '../../src/broker/index.ts';
import { ca, credential, implementations, start, type Place } from './store-fixture.ts';

describe.each(implementations)('a revocation on $name', ({ name, newPlace }) => {
  let place: Place;
  let store: Store;
  const revoke = (atMs: number, reason: string) =>
    store.commit({ revoke: { credentials: [credential()], atMs, reason }, entries: [] });
  beforeEach(async () => {
    place = newPlace();
    store = await place.open();
    await store.reserveSerials(ca, 1);
    await store.commit({ credential: credential(), entries: [] });
    await revoke(start, 'lost');
  });
  afterEach(async () => {
    await store.close();
    place.remove();
  });

  it.each(['NULL', '0', 'revoked_ms + 1'])('is not changed to %s past the store', async (value) => {
    expect(() => place.sql(`UPDATE credential SET revoked_ms = ${value}`)).toThrow(/stays revoked/);
    expect(await store.revokedSerials(ca, 0n)).toEqual(BigUint64Array.of(1n));
  });

  it('is said twice and erased without harm', async () => {
    await revoke(start + 1, 'again');
    await store.commit({ erase: { openings: [], revokedReasons: [credential()] }, entries: [] });
    expect(await store.credential(ca, credential().serial)).toMatchObject({
      revokedMs: start,
      revokedReason: 'erased',
    });
  });

  it
    .skipIf(name === 'SQLite')
    .each([
      'DELETE FROM credential',
      'DELETE FROM ca',
      'DELETE FROM person',
      'DELETE FROM revoked_key',
      'DELETE FROM revoked_key_id',
      'DELETE FROM revocation_count',
      'DELETE FROM publication',
      'DELETE FROM sink_position',
      'DELETE FROM proof_memory',
      'UPDATE credential SET valid_before = 0',
      'UPDATE credential SET serial = 9',
      'UPDATE revoked_key SET fingerprint = fingerprint',
      'TRUNCATE credential',
    ])('is out of reach of the role of the brokers: %s', (sql) => {
    expect(() => place.sql(`SET ROLE sallyport; ${sql}`)).toThrow(/permission denied/);
  });
});
