import { setTimeout as delay } from 'node:timers/promises';
import type { Clock, RandomBytes, Stopwatch } from '../kernel/index.ts';
import { SinkLoop, type Tell } from './sink-loop.ts';
import type { Store, StoredEntry } from './unit-of-work.ts';

/** A place outside that is given every entry of the log. */
export interface Sink {
  /** As configured; its position in the log is kept under this name. */
  readonly name: string;
  /** How entries get there, and in which form: for people to read. */
  readonly kind: string;
  readonly format: string;
  /**
   * Resolves when the far end has these entries, in this order, as far as its protocol can tell; rejects when it may not have all
   * of them: then they are given again. A CodedError's `details.retryAfterSeconds` says how long to leave it alone.
   * When `signal` aborts, it stops: nothing of this batch may be sent after that. One batch at a time.
   */
  deliver(entries: readonly StoredEntry[], signal: AbortSignal): Promise<void>;
  /** Lets go of files and connections. Ends within a second or two, and never rejects. */
  close(): Promise<void>;
}

export interface ConfiguredSink {
  readonly sink: Sink;
  /** Where it begins when it is seen for the first time: at entry 0, or at the end of the log as it is then. */
  readonly from: 'start' | 'now';
}

/** How a sink is doing, as this broker knows. */
export interface SinkState {
  readonly name: string;
  readonly kind: string;
  readonly format: string;
  /** `standby`: another broker on this database delivers. `unknown`: nothing was tried since the start. */
  readonly state: 'up' | 'down' | 'standby' | 'unknown';
  /** Index of the entry that it is given next; those before are there. */
  readonly next: bigint;
  /** How many entries are not there yet. */
  readonly lag: bigint;
  /** By this broker, since its start. */
  readonly lastDeliveredMs?: number;
  readonly failure?: SinkFailure;
}

export interface SinkFailure {
  readonly sinceMs: number;
  readonly tries: number;
  /** Of the last try. */
  readonly code: string;
  /** For whoever runs the broker: it may name files and servers. */
  readonly detail: string;
}

/** Resolves after that time, or at once when the signal aborts. It keeps no process alive. */
export type Pause = (milliseconds: number, signal: AbortSignal) => Promise<void>;

export interface DeliveryOptions {
  readonly store: Pick<Store, 'logHead' | 'logEntries' | 'sinkPositions' | 'commit'>;
  readonly sinks: readonly ConfiguredSink[];
  readonly clock: Clock;
  readonly stopwatch: Stopwatch;
  readonly random: RandomBytes;
  /** Told what goes wrong and what comes right, for the broker's own messages. */
  readonly tell: Tell;
  readonly pause?: Pause;
}

/**
 * Gives every entry of the log to every sink: at least once, in order, each sink from a position of its own that the database
 * keeps. No sink waits for another, and nobody else waits for any: what the sinks have not taken stays in the log until they do.
 * @see docs/operations/sinks.md
 */
export class LogDelivery {
  readonly #store: DeliveryOptions['store'];
  readonly #loops: readonly SinkLoop[];
  readonly #pause: Pause;
  #running: readonly Promise<void>[] = [];

  constructor(options: DeliveryOptions) {
    const { store, sinks, pause = realPause } = options;
    this.#store = store;
    this.#pause = pause;
    this.#loops = sinks.map((sink) => new SinkLoop(sink, { ...options, pause }));
  }

  start(): void {
    this.#running = this.#loops.map((loop) => loop.run());
  }

  /** In the order of the configuration. */
  async states(): Promise<readonly SinkState[]> {
    if (this.#loops.length === 0) return [];
    const [{ size }, positions] = [await this.#store.logHead(), await this.#store.sinkPositions()];
    return this.#loops.map((loop) => loop.state(positions, size));
  }

  /** Lets the sinks that are well take what is left, for as long as `graceMs`, and closes all of them. */
  async stop(graceMs = 3000): Promise<void> {
    for (const loop of this.#loops) loop.finish();
    const ended = Promise.all(this.#running);
    const patience = new AbortController();
    await Promise.race([ended, this.#pause(graceMs, patience.signal)]);
    patience.abort();
    for (const loop of this.#loops) loop.abort();
    await ended;
    await Promise.all(this.#loops.map((loop) => loop.close()));
  }
}

async function realPause(milliseconds: number, signal: AbortSignal): Promise<void> {
  try {
    await delay(milliseconds, undefined, { signal, ref: false });
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
