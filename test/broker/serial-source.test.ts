import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SerialSource, type Store } from '../../src/broker/index.ts';
import type { Serial } from '../../src/kernel/index.ts';
import { ca, credential, entry, implementations, type Place } from '../contract/store-fixture.ts';

describe.each(implementations)('serials from $name', ({ newPlace }) => {
  let place: Place;
  let store: Store;
  let source: SerialSource;
  beforeEach(async () => {
    place = newPlace();
    store = await place.open();
    source = new SerialSource(store, ca);
  });
  afterEach(async () => {
    await store.close();
    place.remove();
  });
  const release = async (serial: Serial): Promise<void> => {
    const settledSerials = source.takeSettled();
    await store.commit({ credential: credential({ serial }), settledSerials, entries: [entry()] });
    source.settle(serial);
  };
  /** What the next process would have to declare void. */
  const abandoned = async (): Promise<bigint[]> => {
    await store.close();
    store = await place.open();
    return (await store.abandonedSerials()).flatMap(({ first, last }) =>
      Array.from({ length: Number(last - first) + 1 }, (_, at) => first + BigInt(at)),
    );
  };

  it('are dense from 1 for any number of callers at once', async () => {
    const given = await Promise.all(Array.from({ length: 700 }, () => source.next()));
    expect(given.sort((a, b) => Number(a - b))).toEqual(
      Array.from({ length: 700 }, (_, at) => BigInt(at + 1)),
    );
  });

  it('leave nothing behind a clean stop, and go on where they were', async () => {
    for (let count = 0; count < 11; count += 1) await release(await source.next());
    await store.commit({ ...source.giveBack(), entries: [entry()] });
    expect(await abandoned()).toEqual([]);
    expect(await new SerialSource(store, ca).next()).toBe(12n);
  });

  it('that were never asked for need nothing given back', () => {
    expect(source.giveBack()).toEqual({ returnedSerials: [], settledSerials: [] });
  });

  it('leave after a crash exactly those abandoned that were not released', async () => {
    const given = await Promise.all(Array.from({ length: 6 }, () => source.next()));
    for (const serial of given.filter((value) => value % 2n === 0n)) await release(serial);
    const left = await abandoned();
    expect(left).toEqual(expect.arrayContaining([1n, 3n, 5n]));
    expect(left.filter((value) => value <= 6n)).toEqual([1n, 3n, 5n]);
  });

  it('under way at a stop are abandoned or released, and never given out again', async () => {
    const [late, dead, ...rest] = await Promise.all(Array.from({ length: 5 }, () => source.next()));
    for (const serial of rest) await release(serial);
    await store.commit({ ...source.giveBack(), entries: [entry()] });
    // A request that was cut off comes to its end after the farewell.
    if (late !== undefined) await release(late);
    expect(await abandoned()).toEqual([dead]);
    const next = await new SerialSource(store, ca).next();
    expect(next).toBe(6n);
  });

  it('of a block that is used up and settled leave the table of blocks with the next change', async () => {
    for (let count = 0; count < 4; count += 1) await release(await source.next());
    expect(source.takeSettled()).toEqual([{ caFingerprint: ca, first: 1n, last: 4n }]);
    expect(source.takeSettled()).toEqual([]);
  });

  it('are not given out while they cannot be reserved', async () => {
    await store.close();
    await expect(source.next()).rejects.toMatchObject({ code: 'store.unavailable' });
    store = await place.open();
    expect(await new SerialSource(store, ca).next()).toBe(1n);
  });
});
