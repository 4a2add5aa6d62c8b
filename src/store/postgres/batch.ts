import type { Appended, EntryDraft, LogAppender, LogHead } from '../../accounting/index.ts';
import type { Change, Committed, Reads } from '../../broker/index.ts';
import { applyChange } from './apply-change.ts';
import { timeBounds, type Connections, type Run, type Session } from './connections.ts';
import { damaged } from './faults.ts';
import { checkStored, sendAppended, toStoredHead, type KnownLeaf, type StoredHead } from './log-rows.ts';
import { createReads } from './reads.ts';
import { blob } from '../rows.ts';

/** The rows of one change: what was sent for it, and what it adds to the log. */
export interface Sent {
  readonly change: Change;
  readonly answers: readonly Promise<unknown>[];
}

/** What one who waits wants done within the transaction. */
export interface Work {
  /** Sends statements without waiting for the answers; one that asks first gives a promise. */
  readonly send: (run: Run, reads: Reads) => Sent | Promise<Sent>;
  /** Whether it asks first: everything behind it waits for that. */
  readonly asks: boolean;
}

/** One piece of work of the batch cannot be done, and everything was taken back. */
export class Refused extends Error {
  /** Which one, counted from 0: the first. What failed after it may have failed because of it. */
  readonly position: number;

  constructor(position: number, cause: unknown) {
    super('a change was refused', { cause });
    this.position = position;
  }
}

/** The connection failed before anything could be committed. */
export class Broken extends Error {
  constructor(cause: unknown) {
    super('the connection to the database failed', { cause });
  }
}

/** The answer to COMMIT did not come. */
export class Lost extends Error {
  readonly look: Look;

  constructor(look: Look, cause: unknown) {
    super('the answer to a COMMIT was lost', { cause });
    this.look = look;
  }
}

/** What was sent to be committed, for whoever looks whether it was. */
export interface Look {
  readonly committed: readonly Committed[];
  readonly appended: Appended | undefined;
  /** Number of the transaction. */
  readonly transaction: string;
}

interface Opened {
  readonly head: LogHead;
  readonly transaction: string;
}

/**
 * The transactions of the log of one broker. Each begins by locking the head: that is what makes one tree and one order out of
 * the changes of any number of brokers.
 */
export class BatchWriter {
  readonly #connections: Connections;
  readonly #appender: LogAppender;
  readonly #owner: string;
  /** The newest head that this broker knows to be durable. */
  #head: LogHead;
  /** The newest entry that it knows to lie where it does; undefined while it knows of none. */
  #leaf: KnownLeaf | undefined;

  constructor(
    connections: Connections,
    appender: LogAppender,
    owner: string,
    { head, leaf }: { readonly head: LogHead; readonly leaf: KnownLeaf | undefined },
  ) {
    this.#connections = connections;
    this.#appender = appender;
    this.#owner = owner;
    this.#head = head;
    this.#leaf = leaf;
  }

  /** How many entries the log has, as far as this broker knows. */
  get size(): bigint {
    return this.#head.size;
  }

  /** Sends the rows of a change without waiting for the answers. */
  send(run: Run, change: Change): Sent {
    return { change, answers: applyChange(run, this.#owner, change) };
  }

  /**
   * Everything in one transaction, in two flights: the head and the rows; then, once those are known to be right, the entries,
   * the new head and COMMIT.
   * @throws Refused when nothing was committed because of one of them; Lost when nobody knows yet; Broken when the connection
   * failed before; whatever else was wrong. In all cases but Lost nothing of it is there.
   */
  async commit(works: readonly Work[]): Promise<readonly Committed[]> {
    const session = await this.#begin();
    let isOver = false;
    try {
      const committed = await this.#commit(session, works);
      isOver = true;
      return committed;
    } catch (error) {
      if (error instanceof Lost) throw error;
      const fault = session.fault();
      if (fault !== undefined) throw new Broken(fault);
      isOver = (await settled(session.run('ROLLBACK'))).status === 'fulfilled';
      throw error;
    } finally {
      session.release(isOver);
    }
  }

  async #begin(): Promise<Session> {
    try {
      return await this.#connections.beginLogged();
    } catch (error) {
      throw new Broken(error);
    }
  }

  async #commit(session: Session, works: readonly Work[]): Promise<readonly Committed[]> {
    const { run } = session;
    const opening = settled(this.#open(run));
    const reads = createReads(run, { catchUp: async () => undefined, inTransaction: true });
    const changes: Promise<PromiseSettledResult<Change>>[] = [];
    for (const work of works) {
      const sending = (async () => work.send(run, reads))();
      changes.push(settled(sending.then(({ change, answers }) => inOrder(answers).then(() => change))));
      if (work.asks) await settled(sending);
    }
    const opened = await opening;
    if (opened.status === 'rejected') throw opened.reason;
    const { head, transaction } = opened.value;
    const results = await Promise.all(changes);
    const drafts: EntryDraft[] = [];
    const committed = results.map((result, position): Committed => {
      if (result.status === 'rejected') throw new Refused(position, result.reason);
      const firstIndex = head.size + BigInt(drafts.length);
      for (const draft of result.value.entries) drafts.push(draft);
      return { firstIndex };
    });
    const appended = drafts.length === 0 ? undefined : this.#appender.append(head, drafts);
    const [last] = appended?.entries.slice(-1) ?? [];
    const writing = appended === undefined ? [this.#learnLeaf(run, head)] : sendAppended(run, appended);
    const [ended, ...written] = await Promise.allSettled([run('COMMIT'), ...writing]);
    if (session.fault() !== undefined) throw new Lost({ committed, appended, transaction }, session.fault());
    for (const result of [...written, ended]) if (result.status === 'rejected') throw result.reason;
    if (ended.status === 'fulfilled' && ended.value.command !== 'COMMIT')
      throw new Error('the transaction was taken back');
    this.#head = appended?.head ?? head;
    if (last !== undefined) this.#leaf = { index: last.index, hash: last.leafHash };
    return committed;
  }

  /** The last entry of a head that others wrote. */
  async #learnLeaf(run: Run, { size }: LogHead): Promise<void> {
    if (size === 0n || this.#leaf?.index === size - 1n) return;
    const { rows } = await run('SELECT leaf_hash FROM log_entry WHERE idx = $1', [size - 1n]);
    const [row] = rows;
    if (row === undefined) throw damaged('its last entry is gone');
    this.#leaf = { index: size - 1n, hash: blob(row, 'leaf_hash') };
  }

  /** Begins, and waits for the head. @throws CodedError `store.damaged` when it is not one that may be appended to */
  async #open(run: Run): Promise<Opened> {
    const known = this.#leaf;
    const { rows } = await run(
      `BEGIN; ${timeBounds}; SELECT h.*, pg_current_xact_id()::text AS transaction,
         (SELECT leaf_hash FROM log_entry WHERE idx = ${known?.index ?? -1n}) AS known_leaf
       FROM log_head h WHERE h.id = 1 FOR UPDATE OF h`,
    );
    const [row] = rows;
    if (row === undefined) throw damaged('its head is gone');
    const leafThere = row['known_leaf'] === null ? undefined : blob(row, 'known_leaf');
    return { head: this.#known(toStoredHead(row), leafThere), transaction: row['transaction'] as string };
  }

  /**
   * The stored head, if it follows what this broker saw: it may be the work of others, but must bear the signature of this log,
   * and must go on from what was acknowledged here (else a replica that was behind took over): that would fork the tree.
   * @param leafThere what lies where the newest entry lies that this broker knows
   */
  #known(stored: StoredHead, leafThere: Buffer | undefined): LogHead {
    const { size, root } = stored.head;
    if (size === this.#head.size && root.equals(this.#head.root)) return this.#head;
    if (size <= this.#head.size)
      throw damaged(
        `it had ${this.#head.size} entries before, and has ${size < this.#head.size ? size : 'others'} now`,
      );
    // A history that parted from ours and has outgrown it since is not told by its size. Each entry has an id of its own.
    if (this.#leaf !== undefined && leafThere?.equals(this.#leaf.hash) !== true)
      throw damaged(`its entry ${this.#leaf.index} is not the one that was there before`);
    checkStored(this.#appender, stored);
    this.#head = stored.head;
    return stored.head;
  }

  /**
   * Whether a transaction whose COMMIT was not answered took place. Waits for the lock of the head first: once it is had, that
   * transaction is over, one way or the other.
   */
  async resolve({ appended, transaction }: Look): Promise<boolean> {
    const session = await this.#connections.beginLogged();
    try {
      const { run } = session;
      await this.#open(run);
      const [entry] = appended?.entries ?? [];
      if (entry === undefined) {
        const { rows } = await run('SELECT pg_xact_status($1::text::xid8) AS status', [transaction]);
        return rows[0]?.['status'] === 'committed';
      }
      // Each entry has an id of its own: the same leaf at the same place is this very entry.
      const { rows } = await run('SELECT leaf_hash FROM log_entry WHERE idx = $1', [entry.index]);
      return rows[0] !== undefined && blob(rows[0], 'leaf_hash').equals(entry.leafHash);
    } finally {
      // Closed, and its own transaction with it.
      session.release(false);
    }
  }
}

/** The first that failed, in the order of sending, says why: what came after it may have failed because of it. */
async function inOrder(answers: readonly Promise<unknown>[]): Promise<void> {
  for (const answer of await Promise.allSettled(answers))
    if (answer.status === 'rejected') throw answer.reason;
}

/** The outcome as a value, so that a promise that fails before anybody waits for it is nobody's surprise. */
async function settled<Value>(promise: Promise<Value>): Promise<PromiseSettledResult<Value>> {
  const [result] = await Promise.allSettled([promise]);
  return result;
}
