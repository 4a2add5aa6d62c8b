import type { Committed } from '../broker/index.ts';
import { CodedError } from '../kernel/index.ts';

const maxWaiting = 4096;
const maxPerTransaction = 256;
const mostTurns = 4;
const idleMs = 500;

/** A change that waits for its transaction, and whoever waits for the change. */
export interface Waiting<Work> {
  readonly work: Work;
  readonly done: (committed: Committed) => void;
  readonly failed: (error: unknown) => void;
}

export interface CommitQueueOptions<Work> {
  /** Ends each of the batch, one way or the other, and never rejects. */
  readonly commitBatch: (batch: readonly Waiting<Work>[]) => Promise<void>;
  /** Called half a second after the last transaction, unless another one began. */
  readonly whenIdle: () => void;
}

/**
 * Group commit: changes that arrive together share one durable transaction, one transaction follows the other, and an idle store
 * commits at once. Bounded: who comes when too many wait is told to come again.
 */
export class CommitQueue<Work> {
  readonly #options: CommitQueueOptions<Work>;
  #waiting: Waiting<Work>[] = [];
  #running: Promise<void> | undefined;
  #idle: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: CommitQueueOptions<Work>) {
    this.#options = options;
  }

  /** The transactions that are on their way; undefined when there are none. */
  get running(): Promise<void> | undefined {
    return this.#running;
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** @throws CodedError `store.busy`, `store.unavailable` once it is closed, and whatever its batch was refused with */
  enqueue(work: Work): Promise<Committed> {
    if (this.#closed) {
      return Promise.reject(
        new CodedError('store.unavailable', 'The broker is shutting down.', {
          next: 'Try again in a moment.',
        }),
      );
    }
    if (this.#waiting.length >= maxWaiting) {
      return Promise.reject(
        new CodedError('store.busy', `More than ${maxWaiting} changes are waiting to be recorded.`, {
          next: 'Try again in a second.',
        }),
      );
    }
    return new Promise<Committed>((done, failed) => {
      this.#waiting.push({ work, done, failed });
      this.#running ??= this.#run();
    });
  }

  /** Takes everything that waits out of the queue, for whoever knows that all of it fares the same. */
  takeWaiting(): readonly Waiting<Work>[] {
    return this.#waiting.splice(0);
  }

  /** Takes nothing more, and resolves when everything that waited is over. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#idle);
    await this.#running;
    clearTimeout(this.#idle);
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      await this.#gather();
      await this.#options.commitBatch(this.#waiting.splice(0, maxPerTransaction));
    }
    this.#running = undefined;
    this.#idle ??= setTimeout(() => {
      if (!this.#closed && this.#running === undefined) this.#options.whenIdle();
    }, idleMs).unref();
    this.#idle.refresh();
  }

  /**
   * Everything that arrives in this turn of the event loop shares the transaction, and what arrives in the next ones while
   * more keeps coming: with one sync for all of them, nobody waits longer than for a transaction of their own. A single change
   * goes ahead after one idle turn. Answers go out between two transactions.
   */
  async #gather(): Promise<void> {
    for (let turn = 0, before = 0; turn < mostTurns && this.#waiting.length > before; turn += 1) {
      before = this.#waiting.length;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}
