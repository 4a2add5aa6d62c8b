import { mostUnindexed } from '../search-unindexed.ts';
import { big } from '../rows.ts';
import { timeBounds, type Connections } from './connections.ts';
import { indexNextEntries, searchIndexedTo, type Indexed } from './log-search.ts';

/** From here on the search is filled in beside the commits, well before any of them has to wait for it. */
const soonBehind = mostUnindexed / 2n;

/**
 * Fills in the search behind the log, in bounded steps of their own transactions. Of all brokers on the database one is at it at a
 * time. It is brought up to the log while nothing else is to do, and held near it while there is.
 */
export class SearchIndexer {
  readonly #connections: Connections;
  /** As far as this broker knows; others may have got further. */
  #indexedTo = 0n;
  #running: Promise<void> | undefined;
  #isClosed = false;

  constructor(connections: Connections) {
    this.#connections = connections;
  }

  /** Before a question: resolves when so few entries are missing that they can be looked at one by one. */
  async catchUp(): Promise<void> {
    const { rows } = await this.#connections.ask('SELECT coalesce(max(idx) + 1, 0) AS size FROM log_entry');
    const size = big(rows[0] ?? {}, 'size');
    if (size - this.#indexedTo > mostUnindexed)
      this.#indexedTo = await searchIndexedTo(this.#connections.ask);
    while (size - this.#indexedTo > mostUnindexed) await this.#step(true);
  }

  /**
   * After a transaction of this broker, when the log has `size` entries: nobody waits, unless too many are missing. Then the
   * next transaction comes after a step, so that commits never outrun the search.
   */
  async keepUp(size: bigint): Promise<void> {
    if (size - this.#indexedTo <= soonBehind) return;
    this.start();
    if (size - this.#indexedTo <= mostUnindexed) return;
    // A database that refuses says so to the next change.
    await this.#step(true).catch(() => undefined);
  }

  /** To the end of the log, behind whatever else is done, unless somebody is at it. */
  start(): void {
    if (this.#isClosed) return;
    const work = async (): Promise<void> => {
      while (!this.#isClosed && !(await this.#step(false)).isOver);
    };
    // What a database refuses here is told to whoever asks it for something; this only saved them a wait.
    this.#running ??= work()
      .catch(() => undefined)
      .finally(() => (this.#running = undefined));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#running;
  }

  async #step(wait: boolean): Promise<Indexed> {
    const session = await this.#connections.begin();
    let isOver = false;
    try {
      await session.run(`BEGIN; ${timeBounds}`);
      const indexed = await indexNextEntries(session.run, wait);
      await session.run('COMMIT');
      isOver = true;
      this.#indexedTo = indexed.indexedTo;
      return indexed;
    } finally {
      session.release(isOver);
    }
  }
}
