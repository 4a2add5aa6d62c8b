import type { Sink, StoredEntry } from '../../src/broker/index.ts';

/** A MOCK of a far end, that keeps what it takes and does as it is told. */
export interface FakeSink extends Sink {
  /** What it does with the next batches: takes them, or what the function does. */
  mood: 'well' | ((entries: readonly StoredEntry[], signal: AbortSignal) => Promise<void>);
  /** Indexes that it took, in the order in which they came. */
  readonly taken: bigint[];
  /** Sizes of the batches that it was offered. */
  readonly offered: number[];
  closed: boolean;
}

export function fakeSink(name = 'siem'): FakeSink {
  const sink: FakeSink = {
    name,
    kind: 'fake',
    format: 'json',
    mood: 'well',
    taken: [],
    offered: [],
    closed: false,
    async deliver(entries, signal) {
      sink.offered.push(entries.length);
      if (sink.mood !== 'well') await sink.mood(entries, signal);
      for (const { index } of entries) sink.taken.push(index);
    },
    async close() {
      sink.closed = true;
    },
  };
  return sink;
}

/** Never ends, whatever the signal says. */
export const hangs = (): Promise<void> => new Promise<void>(() => undefined);

/** 0, 1, 2, … */
export const firstIndexes = (count: number): bigint[] => Array.from({ length: count }, (_, at) => BigInt(at));
