import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Store, WaitingLogin } from '../../src/broker/index.ts';
import { codeOf, entry, implementations, start, type Place } from './store-fixture.ts';

const waiting = (seq: bigint, over: Partial<WaitingLogin> = {}): WaitingLogin => ({
  hostId: 'h-web1',
  boot: 'b1',
  seq,
  atMs: start,
  line: `Accepted number ${seq}`,
  dueMs: start + 30_000,
  ...over,
});

describe.each(implementations)('logins that hosts report, on $name', ({ newPlace }) => {
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
  const report = (from: bigint, logins: readonly WaitingLogin[], next = from + BigInt(logins.length)) =>
    store.commit({
      reportedLogins: {
        progress: { hostId: 'h-web1', boot: 'b1', from, next, atMs: start },
        waiting: logins,
      },
      entries: [entry()],
    });

  it('are kept in order until they are due, and survive a restart', async () => {
    expect(await store.reportPosition('h-web1', 'b1')).toEqual({ next: 1n, reportedMs: 0 });
    await report(1n, [waiting(1n), waiting(2n, { dueMs: start + 10 })]);
    await store.close();
    store = await place.open();
    expect(await store.reportPosition('h-web1', 'b1')).toEqual({ next: 3n, reportedMs: start });
    expect(await Promise.all([start, start + 1].map((sinceMs) => store.reportingHosts(sinceMs)))).toEqual([
      1, 0,
    ]);
    expect((await store.reportPosition('h-web1', 'b2')).next).toBe(1n);
    expect(await store.waitingLogins(start + 9, 10)).toEqual([]);
    expect(await store.waitingLogins(start + 10, 10)).toEqual([waiting(2n, { dueMs: start + 10 })]);
    const due = await store.waitingLogins(start + 30_000, 10);
    expect(due).toEqual([waiting(2n, { dueMs: start + 10 }), waiting(1n)]);
    expect(await store.waitingLogins(start + 30_000, 1)).toHaveLength(1);
  });

  it('are taken once: a report that does not go on where the last one ended is refused whole', async () => {
    await report(1n, [waiting(1n)]);
    expect(await codeOf(report(1n, [waiting(1n)]))).toBe('store.conflict');
    expect(await codeOf(report(3n, [waiting(3n)]))).toBe('store.conflict');
    expect((await store.waitingLogins(start + 30_000, 10)).map(({ seq }) => seq)).toEqual([1n]);
    expect((await store.logHead()).size).toBe(1n);
    await report(2n, [waiting(2n)]);
    expect((await store.reportPosition('h-web1', 'b1')).next).toBe(3n);
  });

  it('are judged once, of two brokers as well, and then no word of them is left', async () => {
    await report(1n, [waiting(1n), waiting(2n)]);
    const judge = (...seqs: readonly bigint[]) =>
      store.commit({
        reportedLogins: { judged: seqs.map((seq) => ({ hostId: 'h-web1', boot: 'b1', seq })) },
        entries: [entry()],
      });
    await judge(1n);
    expect(await codeOf(judge(2n, 1n))).toBe('store.conflict');
    expect((await store.waitingLogins(start + 30_000, 10)).map(({ seq }) => seq)).toEqual([2n]);
    await judge(2n);
    expect(await store.waitingLogins(start + 30_000, 10)).toEqual([]);
  });
});
