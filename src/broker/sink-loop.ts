import type { EntryDraft } from '../accounting/index.ts';
import { CodedError, isCodedError } from '../kernel/index.ts';
import type { ConfiguredSink, DeliveryOptions, Pause, Sink, SinkFailure, SinkState } from './deliver-log.ts';
import type { StoredEntry } from './unit-of-work.ts';

/** How often a sink that has everything looks for more. */
const lookEveryMs = 500;
const mostEntries = 500;
const mostBytes = 1 << 20;
/** One batch; a sink that hangs longer has failed. */
const deliverWithinMs = 30_000;
const firstRetryMs = 500;
const longestRetryMs = 60_000;
/** The longest that a far end may ask to be left alone. */
const longestAskedMs = 600_000;
const reportAfterMs = 30_000;
/** While another broker delivers. */
const standbyMs = 10_000;
/** When the database itself does not answer. */
const storeFaultMs = 5000;

/** Told when a sink begins to fail and when it takes entries again; `store` is for faults of our own database. */
export type Tell = (what: 'failing' | 'recovered' | 'store', sink: string, error?: unknown) => void;

type LoopOptions = DeliveryOptions & { readonly pause: Pause };

/** When the first try that failed began, for people and for measuring. */
interface Since {
  readonly sinceMs: number;
  readonly sinceElapsedMs: number;
}

/** `reported`: it stands in the log. */
type Failing = SinkFailure & Since & { readonly reported: boolean };

/** The loop of one sink. It waits for nobody but its own sink and the database, and only its end ends it. */
export class SinkLoop {
  readonly #sink: Sink;
  readonly #from: ConfiguredSink['from'];
  readonly #options: LoopOptions;
  readonly #wake = new AbortController();
  readonly #cut = new AbortController();
  /** Where we left it; another position in the database means that another broker delivers. */
  #left: bigint | undefined;
  /** What the last look found while another broker delivers. */
  #standby: { readonly next: bigint; readonly size: bigint } | undefined;
  #failure: Failing | undefined;
  #lastDeliveredMs: number | undefined;
  #most = mostEntries;

  constructor({ sink, from }: ConfiguredSink, options: LoopOptions) {
    this.#sink = sink;
    this.#from = from;
    this.#options = options;
  }

  /** Resolves when `finish` or `abort` has ended it. Never rejects. */
  async run(): Promise<void> {
    while (!this.#cut.signal.aborted) {
      const waitMs = await this.#turnOrFault();
      if (waitMs === 0) continue;
      if (this.#wake.signal.aborted) return;
      await this.#options.pause(waitMs, this.#wake.signal);
      if (this.#wake.signal.aborted && (this.#failure ?? this.#standby) !== undefined) return;
    }
  }

  /** Takes what is left and ends; a sink that fails or hangs keeps it for the next start. */
  finish(): void {
    this.#wake.abort();
  }

  /** Ends now. */
  abort(): void {
    this.#wake.abort();
    this.#cut.abort();
  }

  close(): Promise<void> {
    return this.#sink.close();
  }

  state(positions: ReadonlyMap<string, bigint>, size: bigint): SinkState {
    const { name, kind, format } = this.#sink;
    const next = positions.get(name) ?? (this.#from === 'now' ? size : 0n);
    return {
      name,
      kind,
      format,
      next,
      state: this.#mood(),
      lag: size > next ? size - next : 0n,
      ...(this.#lastDeliveredMs === undefined ? {} : { lastDeliveredMs: this.#lastDeliveredMs }),
      ...(this.#failure === undefined ? {} : { failure: shown(this.#failure) }),
    };
  }

  #mood(): SinkState['state'] {
    if (this.#standby !== undefined) return 'standby';
    if (this.#failure !== undefined) return 'down';
    return this.#lastDeliveredMs === undefined ? 'unknown' : 'up';
  }

  async #turnOrFault(): Promise<number> {
    try {
      return await this.#turn();
    } catch (error) {
      // The far end is not to blame; whatever is wrong, the next turn begins from what the database says.
      this.#options.tell('store', this.#sink.name, error);
      return storeFaultMs;
    }
  }

  /** @returns milliseconds until the next turn. */
  async #turn(): Promise<number> {
    const { store, clock, stopwatch } = this.#options;

    // 1. Where are we? If the sink moved without us, another broker is at work, and two would only send everything twice.
    const { size } = await store.logHead();
    const next = await this.#position(size);
    if (await this.#standsBack(next, size)) return standbyMs;
    this.#left = next;
    if (next >= size) return lookEveryMs;

    // 2. Deliver. Nothing is kept in memory for a sink that does not take it.
    const batch = await this.#read(next, size);
    const started = { sinceMs: clock.nowMs(), sinceElapsedMs: stopwatch.elapsedMs() };
    try {
      await this.#deliver(batch);
    } catch (error) {
      return this.#failed(error, started);
    }
    this.#most = Math.min(mostEntries, this.#most * 2);
    this.#lastDeliveredMs = clock.nowMs();

    // 3. Only now the position moves: a crash in between delivers again.
    const moved = next + BigInt(batch.length);
    try {
      const moveSink = { sink: this.#sink.name, from: next, next: moved };
      await store.commit({ moveSink, entries: this.#recovery() });
    } catch (error) {
      if (!isCodedError(error, 'store.conflict')) throw error;
      this.#standby = { next, size: next };
      return standbyMs;
    }
    this.#left = moved;
    this.#recovered();
    return 0;
  }

  async #position(size: bigint): Promise<bigint> {
    const { store } = this.#options;
    const { name: sink } = this.#sink;
    const known = (await store.sinkPositions()).get(sink);
    if (known !== undefined) return known;
    if (this.#from === 'start' || size === 0n) return 0n;
    // Kept at once: what happens while the sink cannot be reached comes after this.
    await store.commit({ moveSink: { sink, from: 0n, next: size }, entries: [] });
    return size;
  }

  /** Whether to leave the sink to another broker: until what waited at one look still waits at the next. */
  async #standsBack(next: bigint, size: bigint): Promise<boolean> {
    const before = this.#standby;
    if (before === undefined && (this.#left === undefined || this.#left === next)) return false;
    if (before !== undefined && next === before.next && next < before.size) {
      this.#standby = undefined;
      return false;
    }
    this.#standby = { next, size };
    if (this.#failure !== undefined) {
      // It takes entries from the other broker, so it is well.
      const entries = this.#recovery();
      if (entries.length > 0) await this.#options.store.commit({ entries });
      this.#recovered();
    }
    return true;
  }

  async #read(next: bigint, size: bigint): Promise<readonly StoredEntry[]> {
    const to = next + BigInt(this.#most);
    const batch: StoredEntry[] = [];
    let bytes = 0;
    for await (const entry of this.#options.store.logEntries(next, to < size ? to : size)) {
      bytes += entry.bytes.length + (entry.openings?.length ?? 0);
      if (batch.length > 0 && bytes > mostBytes) break;
      batch.push(entry);
    }
    return batch;
  }

  /** Whatever the sink does with the signal, this ends in time. */
  async #deliver(batch: readonly StoredEntry[]): Promise<void> {
    const late = new AbortController();
    const done = new AbortController();
    const hurry = AbortSignal.any([late.signal, this.#cut.signal]);
    const limit = this.#options.pause(deliverWithinMs, AbortSignal.any([done.signal, this.#cut.signal]));
    const delivered = this.#sink.deliver(batch, hurry);
    try {
      await Promise.race([
        delivered,
        limit.then(() => {
          // Also where the race is over: nobody looks at it then.
          throw tookTooLong();
        }),
      ]);
    } finally {
      delivered.catch(() => undefined);
      late.abort();
      done.abort();
    }
  }

  async #failed(error: unknown, started: Since): Promise<number> {
    const { stopwatch, store, tell } = this.#options;
    if (this.#cut.signal.aborted) return lookEveryMs;
    if (this.#failure === undefined) tell('failing', this.#sink.name, error);
    const { sinceMs, sinceElapsedMs, tries, reported } = this.#failure ?? {
      ...started,
      tries: 0,
      reported: false,
    };
    const code = isCodedError(error) ? error.code : 'sinks.fault';
    const detail = error instanceof Error ? error.message : 'it failed';
    const failure = { sinceMs, sinceElapsedMs, tries: tries + 1, code, detail };
    this.#failure = { ...failure, reported };
    // A far end that is slow or takes no large bodies gets there with smaller ones.
    this.#most = Math.max(1, Math.floor(this.#most / 2));
    if (!reported && stopwatch.elapsedMs() - sinceElapsedMs >= reportAfterMs) {
      await store.commit({ entries: [this.#entry('sink.fail', code)] });
      this.#failure = { ...failure, reported: true };
    }
    return this.#retryAfter(
      failure.tries,
      isCodedError(error) ? error.details['retryAfterSeconds'] : undefined,
    );
  }

  /** Twice as long each time, and never in step with others who wait for the same far end. */
  #retryAfter(tries: number, asked: unknown): number {
    const longest = Math.min(longestRetryMs, firstRetryMs * 2 ** Math.min(tries - 1, 20));
    const backOff = Math.ceil(longest / 2 + (longest / 2) * (this.#options.random(1).readUInt8(0) / 255));
    return typeof asked === 'number' ? Math.max(backOff, Math.min(asked * 1000, longestAskedMs)) : backOff;
  }

  #recovery(): readonly EntryDraft[] {
    return this.#failure?.reported === true ? [this.#entry('sink.recover')] : [];
  }

  #recovered(): void {
    if (this.#failure !== undefined) this.#options.tell('recovered', this.#sink.name);
    this.#failure = undefined;
  }

  #entry(type: 'sink.fail' | 'sink.recover', reasonCode?: string): EntryDraft {
    return {
      type,
      ...(reasonCode === undefined ? { outcome: 'success' } : { outcome: 'failure', reasonCode }),
      timeMs: this.#options.clock.nowMs(),
      actor: { kind: 'broker' },
      fields: { target: { kind: 'sink', value: this.#sink.name } },
    };
  }
}

function shown({ sinceMs, tries, code, detail }: Failing): SinkFailure {
  return { sinceMs, tries, code, detail };
}

function tookTooLong(): CodedError {
  return new CodedError('sinks.timeout', `It did not take a batch within ${deliverWithinMs / 1000} s.`, {
    next: 'Look at the far end and at the network in between; entries wait in the log.',
  });
}
