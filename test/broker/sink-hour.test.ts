import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { seededBytes } from '../accounting/log-fixture.ts';
import { LogDelivery, type Change, type Store } from '../../src/broker/index.ts';
import { CodedError } from '../../src/kernel/index.ts';
import { entry, implementations, start, type Place } from '../contract/store-fixture.ts';
import { fakeSink, hangs, type FakeSink } from '../support/fake-sink.ts';
import { fakeTime, type FakeTime } from '../support/fake-time.ts';

const seconds = 3600;
const perSecond = 50;
/** Five seconds at a time: the disk that the test really writes to is the slowest part of it. */
const stepSeconds = 5;
const perStep = perSecond * stepSeconds;

/** What the deliveries ask of the store. */
interface Asked {
  commits: Change[];
  entriesRead: number;
}

function watched(store: Store): { readonly store: Store; readonly asked: Asked } {
  const asked: Asked = { commits: [], entriesRead: 0 };
  return {
    asked,
    store: {
      ...store,
      commit(change) {
        asked.commits.push(change);
        return store.commit(change);
      },
      async *logEntries(from, to) {
        for await (const stored of store.logEntries(from, to)) {
          asked.entriesRead += 1;
          yield stored;
        }
      },
    },
  };
}

describe.each(implementations)('an hour of 50 events a second on $name', ({ newPlace }) => {
  let place: Place;
  let store: Store;
  let time: FakeTime;
  let delivery: LogDelivery;
  const well = fakeSink('well');
  const refusing = fakeSink('refusing');
  const hanging = fakeSink('hanging');
  const sinks: readonly FakeSink[] = [well, refusing, hanging];
  let asked: Asked;
  /** Index of the first entry of every commit of the hour, as it was acknowledged. */
  const firstIndexes: bigint[] = [];

  beforeAll(async () => {
    place = newPlace();
    store = await place.open();
    time = fakeTime(start);
    refusing.mood = async () => {
      throw new CodedError('sinks.unreachable', 'Nobody there.');
    };
    hanging.mood = hangs;
    const own = watched(store);
    asked = own.asked;
    delivery = new LogDelivery({
      store: time.watch(own.store),
      sinks: sinks.map((sink) => ({ sink, from: 'start' })),
      clock: time.clock,
      stopwatch: time.stopwatch,
      random: seededBytes(7),
      tell: () => undefined,
      pause: time.pause,
    });
    delivery.start();
    for (let second = 0; second < seconds; second += stepSeconds) {
      const timeMs = time.clock.nowMs();
      // Each is durable before the time goes on: a commit that waited for a sink would never let it.
      const committed = await Promise.all(
        Array.from({ length: perStep }, () => store.commit({ entries: [entry({ timeMs })] })),
      );
      firstIndexes.push(...committed.map(({ firstIndex }) => firstIndex));
      await time.pass(stepSeconds * 1000);
    }
  }, 600_000);
  afterAll(async () => {
    const stopped = delivery.stop(0);
    await time.pass(0);
    await stopped;
    await store.close();
    place.remove();
  });

  it('has every event in the log, in order, with nothing between them but what was said of the sinks', async () => {
    expect(firstIndexes.length).toBe(seconds * perSecond);
    expect(firstIndexes.every((index, nth) => nth === 0 || index > (firstIndexes[nth - 1] ?? 0n))).toBe(true);
    // One sink.fail for each of the two.
    expect((await store.logHead()).size).toBe(BigInt(seconds * perSecond + 2));
  });

  it('gave the healthy sink everything while it happened', () => {
    expect(well.taken.length).toBe(seconds * perSecond + 2);
    expect(Math.max(...well.offered)).toBeLessThanOrEqual(perStep + 2);
  });

  it('shows how far behind the others are', async () => {
    const size = BigInt(seconds * perSecond + 2);
    expect(await delivery.states()).toMatchObject([
      { name: 'well', state: 'up', lag: 0n },
      { name: 'refusing', state: 'down', next: 0n, lag: size, failure: { code: 'sinks.unreachable' } },
      { name: 'hanging', state: 'down', next: 0n, lag: size, failure: { code: 'sinks.timeout' } },
    ]);
  });

  it('cost the store little for the two that took nothing: one entry each, and a few looks at the same entries', () => {
    const forOthers = asked.commits.filter(({ moveSink }) => moveSink?.sink !== 'well');
    expect(forOthers.map(({ entries }) => entries.map(({ type }) => type))).toEqual([
      ['sink.fail'],
      ['sink.fail'],
    ]);
    // Less and less is read for them: at the end one entry for each try.
    expect(asked.entriesRead - well.taken.length).toBeLessThan(2 * (1000 + 150));
  });

  it('is all there, in order, after the two have come back, and in no more than a few minutes', async () => {
    for (const sink of [refusing, hanging]) sink.mood = 'well';
    await time.pass(120_000);
    const size = seconds * perSecond + 4;
    expect((await store.logHead()).size).toBe(BigInt(size));
    for (const { name, taken } of sinks) {
      expect([name, taken.length]).toEqual([name, size]);
      expect(taken.every((index, nth) => index === BigInt(nth))).toBe(true);
    }
    expect(await delivery.states()).toMatchObject([
      { state: 'up', lag: 0n },
      { state: 'up', lag: 0n },
      { state: 'up', lag: 0n },
    ]);
  });
});
