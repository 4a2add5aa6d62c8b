import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { LogAppender, LogHead } from '../../accounting/index.ts';
import type { BeginsAnew, Change, Committed, Reads, SerialBlock, Store } from '../../broker/index.ts';
import { CodedError, isCodedError } from '../../kernel/index.ts';
import { CommitQueue, type Waiting } from '../commit-queue.ts';
import { describeAddress, type PostgresAddress } from './address.ts';
import { BatchWriter, Broken, Lost, Refused, type Work } from './batch.ts';
import { beginPostgresAnew } from './begin-anew.ts';
import { Connections, runAlone } from './connections.ts';
import { asCoded, unavailable, unresolved } from './faults.ts';
import { forgetFullHours } from './hourly-quota.ts';
import { insertHead, openLog } from './log-rows.ts';
import { checkSchema, migratePostgres } from './migrate.ts';
import { notScrubbed } from '../not-scrubbed.ts';
import { createPointReads } from './point-reads.ts';
import { createReads } from './reads.ts';
import { SearchIndexer } from './search-indexer.ts';
import { endLease, renewLease, reserve } from './serial-blocks.ts';
import { beginProofMemory, createSharedMemory, forgetOldProofs } from './shared-memory.ts';

const renewEveryMs = 5000;
/** A connection that fails sooner than this was dead before: worth another one. */
const quickMs = 2000;
/** How long a lost COMMIT is looked for. */
const lookForMs = 10_000;
const lookEveryMs = 200;

export interface PostgresStoreOptions {
  readonly address: PostgresAddress;
  readonly appender: LogAppender;
  /** The head of a log without entries: its origin is compared with the one that is stored. */
  readonly emptyHead: LogHead;
}

/**
 * Makes the schema, as the role that will own it, and begins the log. @throws CodedError `store.not_empty` when a log is there already,
 * `store.newer_schema`, `store.unavailable`
 */
export async function createPostgresDatabase(options: PostgresStoreOptions): Promise<void> {
  const { address, appender, emptyHead } = options;
  await migratePostgres(address, true);
  const connections = new Connections(address);
  try {
    const { rows } = await connections.ask('SELECT EXISTS (SELECT 1 FROM log_head) AS taken');
    if (rows[0]?.['taken'] === true) throw notEmpty(address);
    await beginProofMemory(connections.ask);
    await insertHead(connections.ask, appender, emptyHead);
  } catch (error) {
    throw asCoded(error, `The database ${describeAddress(address)} cannot be begun`);
  } finally {
    await connections.close();
  }
}

/** A broker or a copy never goes on top of another. */
export function notEmpty(address: PostgresAddress): CodedError {
  return new CodedError('store.not_empty', `The database ${describeAddress(address)} holds a log already.`, {
    next: 'Name an empty database. What is there is never overwritten.',
  });
}

/** Also one whose log can begin anew, where the role owns the tables. */
export type PostgresStore = Store & BeginsAnew;

/**
 * The store of any number of brokers on one PostgreSQL database. Changes of one broker that arrive while a transaction is at the
 * server share the next one; all brokers' transactions follow each other at the head of the log.
 * @throws CodedError `store.missing`, `store.pending_migration`, `store.newer_schema`, `store.foreign_log`, `store.damaged`,
 * `store.unavailable`, `accounting.bad_head`
 */
export async function openPostgresStore(options: PostgresStoreOptions): Promise<PostgresStore> {
  const { address, appender, emptyHead } = options;
  const connections = new Connections(address);
  try {
    await checkSchema(connections.ask, describeAddress(address));
    const session = await connections.begin();
    let log: Awaited<ReturnType<typeof openLog>>;
    try {
      log = await openLog(session.run, appender, emptyHead);
    } finally {
      session.release(true);
    }
    const owner = randomBytes(16).toString('hex');
    await renewLease(connections.ask, owner);
    const writer = new PostgresWriter(connections, new BatchWriter(connections, appender, owner, log), owner);
    return {
      ...translated({
        ...createReads(connections.ask, { catchUp: () => writer.catchUp(), inTransaction: false }),
        ...createPointReads(connections.ask),
      }),
      commit: (change) => writer.commit(change),
      transact: (plan) => writer.transact(plan),
      reserveSerials: (caFingerprint, count) => writer.reserveSerials(caFingerprint, count),
      scrub: (how) => scrub(address, how),
      shared: createSharedMemory(connections),
      async beginAnew(log) {
        await writer.drain();
        await beginPostgresAnew(address, owner, log);
      },
      close: () => writer.close(),
    };
  } catch (error) {
    await connections.close();
    throw asCoded(error, `The database ${describeAddress(address)} cannot be opened`);
  }
}

/**
 * Dead rows go from the tables that held clear values; whoever is not their owner is told so by the server and changes nothing. `ANALYZE`, because the planner's statistics hold values as well. What
 * the server's own write-ahead log and its backups keep is beyond any client.
 */
async function scrub(
  address: PostgresAddress,
  how: 'quick' | 'thorough',
): Promise<'scrubbed' | 'not_permitted'> {
  const tables = 'log_opening, log_reason, credential, x509_credential, person, session';
  try {
    // It waits for everybody who reads these tables, be it a backup that takes an hour.
    const warned = await runAlone(address, `VACUUM ${how === 'thorough' ? '(FULL, ANALYZE)' : ''} ${tables}`);
    return warned ? 'not_permitted' : 'scrubbed';
  } catch (error) {
    throw notScrubbed(`the server said: ${error instanceof Error ? error.message : 'unknown fault'}`, error);
  }
}

/** What PostgreSQL or the network says to a question becomes `store.unavailable`. */
function translated(reads: Reads): Reads {
  const wrap =
    <Args extends readonly unknown[], Result>(ask: (...args: Args) => Promise<Result>) =>
    async (...args: Args): Promise<Result> => {
      try {
        return await ask(...args);
      } catch (error) {
        throw asCoded(error, 'The database did not answer');
      }
    };
  const entries = Object.entries(reads).map(([name, ask]) => [
    name,
    name === 'logEntries' ? translatedEntries(reads) : wrap(ask as (...args: unknown[]) => Promise<unknown>),
  ]);
  return Object.fromEntries(entries) as Reads;
}

function translatedEntries(reads: Reads): Reads['logEntries'] {
  return async function* (from, to) {
    try {
      yield* reads.logEntries(from, to);
    } catch (error) {
      throw asCoded(error, 'The database did not answer');
    }
  };
}

class PostgresWriter {
  readonly #connections: Connections;
  readonly #batches: BatchWriter;
  readonly #owner: string;
  readonly #renewal: NodeJS.Timeout;
  readonly #queue = new CommitQueue<Work>({
    commitBatch: async (batch) => {
      await this.#commitBatch(batch);
      await this.#indexer.keepUp(this.#batches.size);
    },
    whenIdle: () => this.#indexer.start(),
  });
  readonly #indexer: SearchIndexer;
  #closing: Promise<void> | undefined;

  constructor(connections: Connections, batches: BatchWriter, owner: string) {
    this.#connections = connections;
    this.#indexer = new SearchIndexer(connections);
    this.#batches = batches;
    this.#owner = owner;
    // One that fails is followed by the next; without any for a minute, others may take this broker for dead.
    const keepUp = async (): Promise<void> => {
      await renewLease(connections.ask, owner);
      await forgetOldProofs(connections.ask);
      await forgetFullHours(connections.ask);
    };
    this.#renewal = setInterval(() => void keepUp().catch(() => undefined), renewEveryMs).unref();
  }

  commit(change: Change): Promise<Committed> {
    return this.#queue.enqueue({ asks: false, send: (run) => this.#batches.send(run, change) });
  }

  async transact<Result>(
    plan: (reads: Reads) => Promise<{ change: Change; result: Result }>,
  ): Promise<Result> {
    let planned: { change: Change; result: Result } | undefined;
    await this.#queue.enqueue({
      asks: true,
      send: async (run, reads) => {
        planned = await plan(reads);
        return this.#batches.send(run, planned.change);
      },
    });
    if (planned === undefined) throw new Error('a committed plan has a result');
    return planned.result;
  }

  async reserveSerials(caFingerprint: string, count: number): Promise<SerialBlock> {
    let block: SerialBlock | undefined;
    await this.#queue.enqueue({
      asks: false,
      send: (run) => {
        const reserved = reserve(run, this.#owner, { caFingerprint, count }).then((given) => (block = given));
        return { change: { entries: [] }, answers: [reserved] };
      },
    });
    if (block === undefined) throw new Error('a reservation has a block');
    return block;
  }

  /** Before a question about the log. */
  catchUp(): Promise<void> {
    return this.#indexer.catchUp();
  }

  /** Takes nothing more; the lease goes on. */
  async drain(): Promise<void> {
    await this.#queue.close();
    await this.#indexer.close();
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    clearInterval(this.#renewal);
    await this.drain();
    // Not to be reached now: then it ends by itself.
    await endLease(this.#connections.ask, this.#owner).catch(() => undefined);
    await this.#connections.close();
  }

  /** Ends each of the batch, one way or the other. */
  async #commitBatch(batch: readonly Waiting<Work>[]): Promise<void> {
    const beganMs = performance.now();
    for (let attempt = 1, rest = batch; rest.length > 0; attempt += 1) {
      try {
        const committed = await this.#batches.commit(rest.map(({ work }) => work));
        tellDone(rest, committed);
        return;
      } catch (error) {
        if (error instanceof Refused) {
          const { position, cause } = error;
          rest[position]?.failed(asCoded(cause, 'The database refused the change'));
          rest = rest.filter((_, at) => at !== position);
        } else if (error instanceof Lost) {
          const outcome = await this.#look(error);
          if (outcome === 'committed') return tellDone(rest, error.look.committed);
          if (outcome instanceof Error) return tellFailed(rest, outcome);
        } else if (error instanceof Broken) {
          if (attempt === 1 && performance.now() - beganMs < quickMs) continue;
          // Those behind would fare the same, one long wait after the other.
          const all = [...rest, ...this.#queue.takeWaiting()];
          return tellFailed(all, unavailable(error.cause, 'The database cannot be reached'));
        } else if (rest.length > 1 && isCodedError(error) && error.code.startsWith('accounting.')) {
          // One of them cannot be written, and does not say which: each gets a transaction of its own.
          for (const waiting of rest) await this.#commitBatch([waiting]);
          return;
        } else return tellFailed(rest, asCoded(error, 'The database refused the change'));
      }
    }
  }

  /** What became of a COMMIT without an answer. Nobody is told anything before that is known. */
  async #look({ look, cause }: Lost): Promise<'committed' | 'not committed' | CodedError> {
    const deadlineMs = performance.now() + lookForMs;
    let last: unknown = cause;
    do {
      try {
        return (await this.#batches.resolve(look)) ? 'committed' : 'not committed';
      } catch (error) {
        if (isCodedError(error)) return error;
        // Not back yet.
        last = error;
      }
      await delay(lookEveryMs);
    } while (performance.now() < deadlineMs);
    return unresolved(last);
  }
}

function tellDone(batch: readonly Waiting<Work>[], committed: readonly Committed[]): void {
  batch.forEach((waiting, position) => waiting.done(committed[position] ?? { firstIndex: 0n }));
}

function tellFailed(batch: readonly Waiting<Work>[], error: CodedError): void {
  for (const waiting of batch) waiting.failed(error);
}
