import { afterEach, describe, expect, it, vi } from 'vitest';
import { WaitingHosts } from '../../src/broker/waiting-hosts.ts';
import type { Host } from '../../src/broker/index.ts';
import { CodedError, systemRandom, type HostId } from '../../src/kernel/index.ts';
import { newHostId } from '../../src/hosts/index.ts';
import { codeOf } from '../support/code-of.ts';

/** A list whose version is set by hand, and a table of hosts that keeps what it was asked. */
function waitingRoom(): {
  readonly waiting: WaitingHosts;
  readonly asked: (readonly HostId[])[];
  readonly gone: Set<HostId>;
  publish(version: bigint): void;
  fault?: Error;
} {
  let version = 1n;
  const listeners: (() => void)[] = [];
  const krl = {
    get current() {
      return { version } as never;
    },
    onCurrent: (listener: () => void) => void listeners.push(listener),
  };
  const room = {
    asked: [] as (readonly HostId[])[],
    gone: new Set<HostId>(),
    publish(next: bigint) {
      version = next;
      for (const listener of listeners) listener();
    },
  } as { fault?: Error } & ReturnType<typeof waitingRoom>;
  const store = {
    async hostsById(ids: readonly HostId[]) {
      room.asked.push(ids);
      if (room.fault !== undefined) throw room.fault;
      return new Map(ids.filter((id) => !room.gone.has(id)).map((id) => [id, { id } as Host]));
    },
  };
  return Object.assign(room, { waiting: new WaitingHosts(krl, store) });
}

const ids = (count: number): HostId[] => Array.from({ length: count }, () => newHostId(systemRandom));
const never = new AbortController().signal;
const wait = (host: HostId, over: { have?: bigint; timeoutMs?: number; gone?: AbortSignal } = {}) => ({
  host,
  have: 1n,
  timeoutMs: 60_000,
  gone: never,
  ...over,
});

describe('hosts that wait', () => {
  afterEach(() => void vi.useRealTimers());

  it('are all served by a new list, some dozens with one question, and others have their turn in between', async () => {
    const room = waitingRoom();
    const hosts = ids(100);
    const answers = hosts.map((host) => room.waiting.until(wait(host)));
    expect(room.waiting.count).toBe(100);
    let turns = 0;
    const others = (): void => {
      turns += 1;
      if (room.waiting.count > 0) setImmediate(others);
    };
    room.publish(2n);
    setImmediate(others);
    expect((await Promise.all(answers)).map((row) => row?.id)).toEqual(hosts);
    expect(room.asked.map((some) => some.length)).toEqual([32, 32, 32, 4]);
    expect(turns).toBeGreaterThanOrEqual(3);
    expect(room.waiting.count).toBe(0);
  });

  it('get what the database says after the list, not what it said before', async () => {
    const room = waitingRoom();
    const [retired = newHostId(systemRandom), other = retired] = ids(2);
    const answers = [retired, other].map((host) => room.waiting.until(wait(host)));
    room.gone.add(retired);
    room.publish(2n);
    expect((await Promise.all(answers)).map((row) => row?.id)).toEqual([undefined, other]);
  });

  it('are not served by a list that they have, and at once where there is a newer one', async () => {
    const room = waitingRoom();
    const [ahead = newHostId(systemRandom), behind = ahead] = ids(2);
    const waits = room.waiting.until(wait(ahead, { have: 2n }));
    expect((await room.waiting.until(wait(behind, { have: 0n, timeoutMs: 0 })))?.id).toBe(behind);
    room.publish(2n);
    await new Promise(setImmediate);
    expect([room.waiting.count, room.asked]).toEqual([1, [[behind]]]);
    room.publish(3n);
    expect((await waits)?.id).toBe(ahead);
  });

  it('are let go when their time is over, when they hang up, and when the broker stops', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const room = waitingRoom();
    const [late = newHostId(systemRandom), hangsUp = late, last = late] = ids(3);
    const gone = new AbortController();
    const answers = [
      room.waiting.until(wait(late, { timeoutMs: 1000 })),
      room.waiting.until(wait(hangsUp, { gone: gone.signal })),
      room.waiting.until(wait(last)),
    ];
    vi.advanceTimersByTime(1000);
    expect(room.waiting.count).toBe(2);
    gone.abort();
    expect(room.waiting.count).toBe(1);
    room.waiting.close();
    expect(await Promise.all(answers)).toEqual([undefined, undefined, undefined]);
    expect(await room.waiting.until(wait(last))).toBeUndefined();
    expect(await room.waiting.until(wait(last, { have: 0n, gone: gone.signal }))).toBeUndefined();
    expect(room.asked).toEqual([]);
  });

  it('do not lose the answer to a time that is over meanwhile', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const room = waitingRoom();
    const [host = newHostId(systemRandom)] = ids(1);
    const answer = room.waiting.until(wait(host, { timeoutMs: 1000 }));
    room.publish(2n);
    vi.advanceTimersByTime(1000);
    expect((await answer)?.id).toBe(host);
  });

  it('hear of a database that fails, and the next list serves those who ask again', async () => {
    const room = waitingRoom();
    const [host = newHostId(systemRandom)] = ids(1);
    room.fault = new CodedError('store.unavailable', 'No.');
    const answer = codeOf(room.waiting.until(wait(host)));
    room.publish(2n);
    expect(await answer).toBe('store.unavailable');
    delete room.fault;
    expect((await room.waiting.until(wait(host)))?.id).toBe(host);
    expect(room.waiting.count).toBe(0);
  });
});
