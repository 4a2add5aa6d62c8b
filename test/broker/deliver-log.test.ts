import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { seededBytes } from '../accounting/log-fixture.ts';
import { LogDelivery, type ConfiguredSink, type Store } from '../../src/broker/index.ts';
import { CodedError } from '../../src/kernel/index.ts';
import { entries, implementations, start, type Place } from '../contract/store-fixture.ts';
import { fakeSink, firstIndexes, hangs, type FakeSink } from '../support/fake-sink.ts';
import { fakeTime, type FakeTime } from '../support/fake-time.ts';
import { loggedSince } from './fixtures.ts';

const refuses = async (): Promise<void> => {
  throw new CodedError('sinks.refused', 'No.');
};

describe.each(implementations)('delivering the log on $name', ({ newPlace }) => {
  let place: Place;
  let store: Store;
  let time: FakeTime;
  let sink: FakeSink;
  let told: string[];
  let running: LogDelivery[];
  beforeEach(async () => {
    place = newPlace();
    store = await place.open();
    time = fakeTime(start);
    sink = fakeSink();
    told = [];
    running = [];
  });
  afterEach(async () => {
    for (const delivery of running) await stop(delivery);
    await store.close();
    place.remove();
  });

  async function stop(delivery: LogDelivery): Promise<void> {
    const stopped = delivery.stop(1000);
    await time.pass(1000);
    await stopped;
  }

  const deliver = (sinks: readonly FakeSink[] = [sink], over: Partial<ConfiguredSink> = {}): LogDelivery => {
    const delivery = new LogDelivery({
      store: time.watch(store),
      sinks: sinks.map((one) => ({ sink: one, from: 'start', ...over })),
      clock: time.clock,
      stopwatch: time.stopwatch,
      random: seededBytes(7),
      pause: time.pause,
      tell: (what, name) => void told.push(`${name} ${what}`),
    });
    running.push(delivery);
    delivery.start();
    return delivery;
  };
  const append = async (count: number): Promise<void> =>
    void (await store.commit({ entries: entries(count) }));
  const sinkEntries = async (): Promise<string[]> =>
    (await loggedSince(store, 0n))
      .filter(({ type }) => type.startsWith('sink.'))
      .map(({ type, reason_code: code = '' }) => `${type} ${code}`.trim());
  const position = async (name = 'siem'): Promise<bigint | undefined> =>
    (await store.sinkPositions()).get(name);

  it('gives everything from the first entry on, in order, and new entries within half a second', async () => {
    await append(1200);
    const delivery = deliver();
    await time.pass(0);
    expect(sink.taken).toEqual(firstIndexes(1200));
    await append(3);
    await time.pass(500);
    expect(sink.taken).toEqual(firstIndexes(1203));
    expect(await position()).toBe(1203n);
    expect(await delivery.states()).toMatchObject([
      { name: 'siem', state: 'up', next: 1203n, lag: 0n, lastDeliveredMs: start + 500 },
    ]);
  });

  it('is not tried before there is anything', async () => {
    const delivery = deliver();
    await time.pass(60_000);
    expect(sink.offered).toEqual([]);
    expect(await delivery.states()).toMatchObject([{ state: 'unknown', next: 0n, lag: 0n }]);
  });

  it('goes on where it stood after a restart', async () => {
    await append(10);
    await stop(deliver());
    await append(5);
    deliver();
    await time.pass(0);
    expect(sink.taken).toEqual(firstIndexes(15));
    expect(sink.offered).toEqual([10, 5]);
  });

  it('can begin with what comes from now on, and keeps to that through an outage and a restart', async () => {
    await append(10);
    sink.mood = refuses;
    const first = deliver([sink], { from: 'now' });
    await time.pass(0);
    await append(4);
    await time.pass(2000);
    expect(await first.states()).toMatchObject([{ state: 'down', next: 10n, lag: 4n }]);
    await stop(first);
    sink.mood = 'well';
    deliver([sink], { from: 'now' });
    await time.pass(0);
    expect(sink.taken).toEqual([10n, 11n, 12n, 13n]);
  });

  it('says that a sink fails after half a minute, whatever is done to the clock', async () => {
    await append(3);
    sink.mood = refuses;
    deliver();
    await time.pass(5000);
    time.setClock(-3_600_000);
    await time.pass(20_000);
    expect(await sinkEntries()).toEqual([]);
    await time.pass(60_000);
    expect(await sinkEntries()).toEqual(['sink.fail sinks.refused']);
  });

  it('does not say so at once because the clock is put forward', async () => {
    await append(3);
    sink.mood = refuses;
    deliver();
    await time.pass(5000);
    time.setClock(3_600_000);
    await time.pass(10_000);
    expect(await sinkEntries()).toEqual([]);
  });

  it('tries again with back-off to a minute, and says once that it failed and once that it is back', async () => {
    await append(8);
    sink.mood = refuses;
    const delivery = deliver();
    await time.pass(3_600_000);
    // A minute at most and half of one at least between two tries, but for the first few.
    expect(sink.offered.length).toBeGreaterThan(60);
    expect(sink.offered.length).toBeLessThan(130);
    expect(await sinkEntries()).toEqual(['sink.fail sinks.refused']);
    expect(told).toEqual(['siem failing']);
    expect(await delivery.states()).toMatchObject([
      { state: 'down', lag: 9n, failure: { sinceMs: start, code: 'sinks.refused', detail: 'No.' } },
    ]);
    sink.mood = 'well';
    await time.pass(120_000);
    // Its own entries reach it like all others, and make no further ones.
    expect(sink.taken).toEqual(firstIndexes(10));
    expect(await sinkEntries()).toEqual(['sink.fail sinks.refused', 'sink.recover']);
    expect(told).toEqual(['siem failing', 'siem recovered']);
    await time.pass(3_600_000);
    expect((await store.logHead()).size).toBe(10n);
    expect(await delivery.states()).toMatchObject([{ state: 'up', lag: 0n }]);
  });

  it('makes no entry of an outage that is over within half a minute', async () => {
    await append(1);
    sink.mood = refuses;
    deliver();
    await time.pass(10_000);
    sink.mood = 'well';
    await time.pass(30_000);
    expect(sink.taken).toEqual([0n]);
    expect(await sinkEntries()).toEqual([]);
    expect(told).toEqual(['siem failing', 'siem recovered']);
  });

  it('gives up on a batch that hangs, even where the sink does not listen to the signal', async () => {
    await append(3);
    sink.mood = hangs;
    const delivery = deliver();
    await time.pass(29_000);
    expect(sink.offered.length).toBe(1);
    await time.pass(1000);
    expect(await delivery.states()).toMatchObject([{ state: 'down', failure: { code: 'sinks.timeout' } }]);
    expect(await sinkEntries()).toEqual(['sink.fail sinks.timeout']);
    sink.mood = 'well';
    await time.pass(2000);
    expect(sink.taken.slice(0, 3)).toEqual([0n, 1n, 2n]);
  });

  it('tells a hanging sink to send nothing more before it tries again', async () => {
    await append(1);
    const signals: AbortSignal[] = [];
    sink.mood = (_entries, signal) => {
      signals.push(signal);
      return hangs();
    };
    deliver();
    await time.pass(100_000);
    expect(signals.length).toBeGreaterThan(1);
    expect(signals.slice(0, -1).every(({ aborted }) => aborted)).toBe(true);
    expect(signals.at(-1)?.aborted).toBe(false);
  });

  it('offers less after each failure, down to one entry, and then more again', async () => {
    await append(1000);
    sink.mood = async (batch) => (batch.length > 7 ? refuses() : undefined);
    deliver();
    await time.pass(600_000);
    expect(sink.taken.slice(0, 1000)).toEqual(firstIndexes(1000));
    expect(sink.offered.slice(0, 7)).toEqual([500, 250, 125, 62, 31, 15, 7]);
  });

  it('bounds a batch by its bytes', async () => {
    const reason = 'x'.repeat(60_000);
    const large = entries(40).map((entry) => ({ ...entry, personal: { reason } }));
    await store.commit({ entries: large });
    deliver();
    await time.pass(0);
    expect(sink.taken).toEqual(firstIndexes(40));
    expect(sink.offered).toEqual([17, 17, 6]);
  });

  it.each([
    [7, 7000],
    [86_400, 600_000],
  ])('leaves a far end alone for the %d s that it asks for, ten minutes at most', async (asked, waitMs) => {
    await append(1);
    sink.mood = async () => {
      throw new CodedError('sinks.busy', 'Later.', { details: { retryAfterSeconds: asked } });
    };
    deliver();
    await time.pass(0);
    expect(time.pending()).toEqual([waitMs]);
    await time.pass(waitMs);
    expect(sink.offered.length).toBe(2);
  });

  it('lets no sink wait for another, and holds nothing in memory for the one that hangs', async () => {
    const stuck = fakeSink('stuck');
    stuck.mood = hangs;
    const delivery = deliver([stuck, sink]);
    for (let nth = 1; nth <= 10; nth += 1) {
      await append(10);
      await time.pass(500);
      expect(sink.taken.length).toBe(nth * 10);
    }
    expect(await delivery.states()).toMatchObject([
      { name: 'stuck', lag: 100n, next: 0n },
      { name: 'siem', lag: 0n, next: 100n },
    ]);
    expect(stuck.offered).toEqual([10]);
  });

  describe('with two brokers on one database', () => {
    it('lets one deliver and the other stand by, which takes over when the first is gone', async () => {
      const other = fakeSink();
      const first = deliver([sink]);
      const second = deliver([other]);
      await append(4);
      await time.pass(500);
      const [[one], [two]] = [await first.states(), await second.states()];
      expect(new Set([one?.state, two?.state])).toEqual(new Set(['standby', 'up']));
      const [active, idle] = one?.state === 'up' ? [sink, other] : [other, sink];
      const both = [...active.taken];
      for (let nth = 0; nth < 30; nth += 1) {
        await append(1);
        await time.pass(1000);
      }
      expect(active.taken).toEqual(firstIndexes(34));
      expect(active.taken.slice(0, both.length)).toEqual(both);
      expect(idle.taken.length).toBeLessThanOrEqual(4);
      const before = idle.taken.length;

      await stop(active === sink ? first : second);
      await append(6);
      await time.pass(25_000);
      expect(idle.taken.slice(before)).toEqual(firstIndexes(40).slice(34));
      expect(await position()).toBe(40n);
    });

    it('lets the one that reported an outage say that it is over when the other delivers', async () => {
      const other = fakeSink();
      sink.mood = refuses;
      deliver([sink]);
      await append(1);
      await time.pass(60_000);
      expect(await sinkEntries()).toEqual(['sink.fail sinks.refused']);
      deliver([other]);
      await time.pass(120_000);
      expect(await sinkEntries()).toEqual(['sink.fail sinks.refused', 'sink.recover']);
      expect(other.taken).toEqual(firstIndexes(3));
    });
  });

  describe('at a stop', () => {
    it('gives a healthy sink the last entries, and closes it', async () => {
      const delivery = deliver();
      await time.pass(0);
      await append(700);
      await stop(delivery);
      expect(sink.taken).toEqual(firstIndexes(700));
      expect(sink.closed).toBe(true);
    });

    it('waits for a hanging sink only as long as it was told', async () => {
      await append(1);
      sink.mood = hangs;
      const delivery = deliver();
      await time.pass(0);
      await stop(delivery);
      expect(sink.closed).toBe(true);
      expect(time.pending()).toEqual([]);
      expect(await sinkEntries()).toEqual([]);
    });

    it('does not try a failing sink once more', async () => {
      await append(1);
      sink.mood = refuses;
      const delivery = deliver();
      await time.pass(0);
      const stopped = delivery.stop(1000);
      await time.pass(0);
      await stopped;
      expect(sink.offered.length).toBe(1);
    });
  });

  it('blames the database, not the sink, where the database fails, and goes on when it is back', async () => {
    await append(2);
    let broken = true;
    const own = store;
    store = {
      ...own,
      logHead: () =>
        broken ? Promise.reject(new CodedError('store.unavailable', 'The disk is gone.')) : own.logHead(),
    };
    const delivery = deliver();
    await time.pass(20_000);
    expect(told).toContain('siem store');
    expect(told).not.toContain('siem failing');
    broken = false;
    await time.pass(5000);
    expect(sink.taken).toEqual([0n, 1n]);
    expect(await delivery.states()).toMatchObject([{ state: 'up' }]);
  });
});
