import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SerialSource, voidOwed, type Rooms, type Store } from '../../src/broker/index.ts';
import { voidSerial } from '../../src/broker/void-serial.ts';
import { CodedError } from '../../src/kernel/index.ts';
import {
  ca,
  codeOf,
  credential,
  entry,
  implementations,
  start,
  type Place,
} from '../contract/store-fixture.ts';
import { loggedSince } from './fixtures.ts';

describe.each(implementations)('a serial that failed, on $name', ({ newPlace }) => {
  let place: Place;
  let store: Store;
  let serials: SerialSource;
  beforeEach(async () => {
    place = newPlace();
    store = await place.open();
    serials = new SerialSource(store, ca);
  });
  afterEach(async () => {
    await store.close();
    place.remove();
  });
  const fault = (code: 'store.unavailable' | 'store.unresolved' | 'keys.fault') => new CodedError(code, 'x');
  const rooms = (over: Partial<Store> = {}): Rooms => {
    const parts = {
      store: { ...store, ...over },
      serials,
      issuer: { caFingerprint: ca },
      clock: { nowMs: () => start },
    };
    return parts as unknown as Rooms;
  };
  const voids = async (): Promise<(string | undefined)[]> =>
    (await loggedSince(store, 0n))
      .filter(({ type }) => type === 'cred.void')
      .map(({ cred, reason_code: why }) => `${cred?.serial_first}-${cred?.serial_last} ${why}`);

  it('is declared void when the database can be told again, with the reason of its time', async () => {
    const down = rooms({ commit: () => Promise.reject(fault('store.unavailable')) });
    const [first, second] = [await serials.next(), await serials.next()];
    for (const failed of [first, second])
      expect(await codeOf(voidSerial(down, failed, fault('keys.fault')))).toBe('store.unavailable');
    expect(await codeOf(voidOwed(down))).toBe('store.unavailable');
    expect(await voids()).toEqual([]);
    await voidOwed(rooms());
    expect(await voids()).toEqual(['1-1 keys.fault', '2-2 keys.fault']);
    await voidOwed(rooms());
    expect(await voids()).toHaveLength(2);
  });

  it('is not declared void when it was recorded after all', async () => {
    const serial = await serials.next();
    await store.commit({ credential: credential({ serial }), entries: [entry()] });
    await voidSerial(rooms(), serial, fault('store.unresolved'));
    expect(await voids()).toEqual([]);
    expect(await serials.next()).toBe(2n);
  });

  it('is not declared void a second time when others did, and no more is taken from its block', async () => {
    const serial = await serials.next();
    await store.close();
    store = await place.open();
    const abandoned = await store.transact(async (reads) => ({
      change: { settleAbandoned: true, entries: [] },
      result: await reads.abandonedSerials(),
    }));
    expect(abandoned).toMatchObject([{ first: 1n, last: 4n }]);
    await voidSerial(rooms(), serial, fault('keys.fault'));
    await voidOwed(rooms());
    expect(await voids()).toEqual([]);
    expect(serials.giveBack()).toEqual({ returnedSerials: [], settledSerials: [] });
  });
});
