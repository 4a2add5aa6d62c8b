import type { DeliveryOptions, Pause } from '../../src/broker/index.ts';
import type { Clock, Stopwatch } from '../../src/kernel/index.ts';

/** A clock that stands still until it is told to go on, and pauses that end when it gets there. */
export interface FakeTime {
  readonly clock: Clock;
  readonly stopwatch: Stopwatch;
  /** Puts the clock forward, or back with a negative number, as somebody who administers the machine can. Nothing else notices. */
  setClock(byMs: number): void;
  readonly pause: Pause;
  /** The same store, for whose answers time waits, too: a database may be a process of its own. */
  watch(store: DeliveryOptions['store']): DeliveryOptions['store'];
  /** Goes on by so much, and lets whoever wakes up on the way do their work before time goes on. */
  pass(milliseconds: number): Promise<void>;
  /** How long the pauses under way still last, the shortest first. */
  pending(): readonly number[];
}

interface Waiting {
  readonly dueMs: number;
  readonly wake: () => void;
}

/** As long as nobody waits for the store, work goes on within this process: a few idle turns of the event loop come after all of it. */
const idleTurns = 12;

export function fakeTime(startMs: number): FakeTime {
  let nowMs = startMs;
  let clockIsOffMs = 0;
  let changes = 0;
  let asking = 0;
  const waiting = new Set<Waiting>();

  const answered = async <Answer>(answer: Promise<Answer>): Promise<Answer> => {
    asking += 1;
    try {
      return await answer;
    } finally {
      asking -= 1;
      changes += 1;
    }
  };
  const settle = async (): Promise<void> => {
    for (let idle = 0, seen = changes; idle < idleTurns; idle += 1) {
      await new Promise((resolve) => setImmediate(resolve));
      if (seen !== changes || asking > 0) [idle, seen] = [0, changes];
    }
  };
  return {
    clock: { nowMs: () => nowMs + clockIsOffMs },
    stopwatch: { elapsedMs: () => nowMs - startMs },
    setClock: (byMs) => (clockIsOffMs += byMs),
    pause: (milliseconds, signal) =>
      new Promise((resolve) => {
        const one: Waiting = {
          dueMs: nowMs + milliseconds,
          wake: () => {
            waiting.delete(one);
            signal.removeEventListener('abort', one.wake);
            changes += 1;
            resolve();
          },
        };
        signal.addEventListener('abort', one.wake, { once: true });
        waiting.add(one);
        changes += 1;
        if (signal.aborted) one.wake();
      }),
    watch: (store) => ({
      logHead: () => answered(store.logHead()),
      sinkPositions: () => answered(store.sinkPositions()),
      commit: (change) => answered(store.commit(change)),
      async *logEntries(from, to) {
        const entries = store.logEntries(from, to)[Symbol.asyncIterator]();
        try {
          for (;;) {
            const next = await answered(entries.next());
            if (next.done === true) return;
            yield next.value;
          }
        } finally {
          await entries.return?.();
        }
      },
    }),
    async pass(milliseconds) {
      const untilMs = nowMs + milliseconds;
      await settle();
      for (;;) {
        const [next] = [...waiting].toSorted((a, b) => a.dueMs - b.dueMs);
        if (next === undefined || next.dueMs > untilMs) break;
        nowMs = next.dueMs;
        next.wake();
        await settle();
      }
      nowMs = untilMs;
    },
    pending: () => [...waiting].map(({ dueMs }) => dueMs - nowMs).sort((a, b) => a - b),
  };
}
