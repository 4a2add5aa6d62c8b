import type { DatabaseSync } from 'node:sqlite';
import type { Appended, EntryDraft, LogAppender, LogHead, TileHash } from '../../accounting/index.ts';
import type { BeginsAnew, Change, Committed, NewLog, Reads, SerialBlock, Store } from '../../broker/index.ts';
import { CodedError } from '../../kernel/index.ts';
import { CommitQueue, type Waiting } from '../commit-queue.ts';
import { createApplyChange, type ApplyChange } from './apply-change.ts';
import { beginAnew } from './begin-anew.ts';
import { openDatabases, unavailable } from './database.ts';
import {
  credentialIndex,
  indexStep,
  indexWhatIsMissing,
  indexWhatIsTooMuch,
  isBehind,
  isTooFarBehind,
  logIndex,
  type Index,
} from './indexes.ts';
import { HotRows } from './hot-rows.ts';
import { createPointReads } from './point-reads.ts';
import { notScrubbed } from '../not-scrubbed.ts';
import { createReads } from './reads.ts';
import { blob, type Row } from '../rows.ts';
import { damagedIndex } from '../search-unindexed.ts';
import { reserve, reservedBefore, type ReservedBefore } from './serial-blocks.ts';
import { createStatements, type Statements } from './statements.ts';

const nothing: Change = { entries: [] };

/** Applies the rows of a change and returns it, or throws: then it alone is refused. */
type Work = () => Change | Promise<Change>;

export interface SqliteStoreOptions {
  /** Folder of the database. */
  readonly folder: string;
  /** `create` begins an empty database where there is none, and makes the folder; `open` refuses. */
  readonly when: 'create' | 'open';
  readonly appender: LogAppender;
  /** The head of a log without entries, for a new database. */
  readonly emptyHead: LogHead;
}

/** The embedded store can also begin its log anew. */
export type SqliteStore = Store & BeginsAnew;

/**
 * The embedded store: one file in WAL mode with `synchronous=FULL`. Changes that arrive in the same turn of the event loop
 * share one transaction and one fsync; an idle store commits at once. One connection writes, one reads what is committed.
 * @throws CodedError `store.missing`, `store.in_use`, `store.newer_schema`, `store.foreign_log`, `store.damaged`, `store.unavailable`,
 * `accounting.bad_head`
 */
export function openSqliteStore(options: SqliteStoreOptions): SqliteStore {
  const databases = openDatabases(options.folder, options.when);
  try {
    const statements = createStatements(databases.reader);
    const hot = new HotRows(createPointReads(statements));
    const before = reservedBefore(statements);
    const writer = new SqliteWriter(databases.writer, { ...options, before }, (change) => hot.forget(change));
    return {
      ...createReads(statements, before, {
        log: () => writer.catchUp(logIndex, logIndex.allowed),
        credentials: () => writer.catchUp(credentialIndex, 0n),
      }),
      session: async (tokenHash) => hot.session(tokenHash),
      person: async (personId) => hot.person(personId),
      principalOwners: async (principals) => hot.principalOwners(principals),
      revokedKey: async (fingerprint) => hot.revokedKey(fingerprint),
      commit: (change) => writer.commit(change),
      transact: (plan) => writer.transact(plan),
      reserveSerials: (caFingerprint, count) => writer.reserveSerials(caFingerprint, count),
      scrub: (how) => writer.scrub(how),
      shared: undefined,
      beginAnew: (log) => writer.beginAnew(log),
      close: async () => {
        await writer.drain();
        databases.close();
      },
    };
  } catch (error) {
    databases.close();
    throw error;
  }
}

class SqliteWriter {
  readonly #database: DatabaseSync;
  readonly #statement: Statements;
  readonly #apply: ApplyChange;
  readonly #reads: Reads;
  readonly #appender: LogAppender;
  readonly #committed: (change: Change) => void;
  #head: LogHead;
  readonly #queue = new CommitQueue<Work>({
    commitBatch: (batch) => this.#commitWithShare(batch),
    whenIdle: () => this.#indexWhileIdle(),
  });

  /** @param committed is told each change right after the COMMIT that made it durable, before anybody else can run. */
  constructor(
    database: DatabaseSync,
    options: SqliteStoreOptions & { readonly before: ReservedBefore },
    committed: (change: Change) => void,
  ) {
    this.#committed = committed;
    this.#database = database;
    this.#statement = createStatements(database);
    this.#apply = createApplyChange(this.#statement, options.before);
    this.#reads = createReads(this.#statement, options.before, {
      log: async () => undefined,
      credentials: async () => {
        while (indexStep(this.#statement, credentialIndex));
      },
    });
    this.#appender = options.appender;
    this.#head = this.#openLog(options.emptyHead);
  }

  commit(change: Change): Promise<Committed> {
    return this.#queue.enqueue(() => {
      this.#apply(change);
      return change;
    });
  }

  async transact<Result>(
    plan: (reads: Reads) => Promise<{ change: Change; result: Result }>,
  ): Promise<Result> {
    let planned: { change: Change; result: Result } | undefined;
    await this.#queue.enqueue(async () => {
      planned = await plan(this.#reads);
      this.#apply(planned.change);
      return planned.change;
    });
    if (planned === undefined) throw new Error('a committed plan has a result');
    return planned.result;
  }

  async reserveSerials(caFingerprint: string, count: number): Promise<SerialBlock> {
    let block: SerialBlock | undefined;
    await this.#queue.enqueue(() => {
      block = reserve(this.#statement, caFingerprint, count);
      return nothing;
    });
    if (block === undefined) throw new Error('a committed reservation has a block');
    return block;
  }

  /** Brings an index so near to the end of what it is built from, a bounded part at a time between other writes. */
  async catchUp({ behind, next }: Index, allowed: bigint): Promise<void> {
    while (behind(this.#statement) > allowed) {
      await this.#queue.enqueue(() => {
        next(this.#statement);
        return nothing;
      });
    }
  }

  /** Not within a transaction: waits for the one that is open. */
  async scrub(how: 'quick' | 'thorough'): Promise<'scrubbed'> {
    while (this.#queue.running !== undefined) await this.#queue.running;
    let busy: unknown;
    try {
      if (how === 'thorough') this.#database.exec('VACUUM');
      ({ busy } = this.#database.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get() ?? {});
    } catch (error) {
      throw notScrubbed(
        `the database refused: ${error instanceof Error ? error.message : 'unknown fault'}`,
        error,
      );
    }
    // It says so in a row, and not as an error.
    if (busy !== 0) throw notScrubbed('another program has the database open and reads it');
    return 'scrubbed';
  }

  /** Not within a transaction of others, and nothing comes after it: the head that this writer knows is of the old log. */
  async beginAnew(log: NewLog): Promise<void> {
    await this.drain();
    this.#database.exec('BEGIN IMMEDIATE');
    try {
      beginAnew(this.#database, this.#statement, log, (appended) => this.#writeLog(appended));
      this.#database.exec('COMMIT');
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      throw error instanceof CodedError ? error : unavailable(error, 'The database refused to begin anew');
    }
  }

  drain(): Promise<void> {
    return this.#queue.close();
  }

  /** So that whoever asks after a busy hour finds everything indexed. */
  #indexWhileIdle(): void {
    if (!this.#asked(isBehind)) return;
    // A disk that refuses is told to whoever asks for something; this only saved them a wait.
    this.#queue.enqueue(() => (indexWhatIsMissing(this.#statement), nothing)).catch(() => undefined);
  }

  /** Under load the indexes get a share of each transaction, as soon as they are too far behind. */
  #commitWithShare(batch: readonly Waiting<Work>[]): Promise<void> {
    if (!this.#asked(isTooFarBehind)) return this.#commitBatch(batch);
    const work = (): Change => (indexWhatIsTooMuch(this.#statement), nothing);
    // If it fails, it fails alone, like any change.
    return this.#commitBatch([...batch, { work, done: () => undefined, failed: () => undefined }]);
  }

  /** A database that fails says so to whoever wants something of it, not here. */
  #asked(question: (statement: Statements) => boolean): boolean {
    try {
      return question(this.#statement);
    } catch {
      return false;
    }
  }

  async #commitBatch(batch: readonly Waiting<Work>[]): Promise<void> {
    try {
      const committed = await this.#tryCommit(batch);
      batch.forEach((waiting, position) => waiting.done(committed[position] ?? { firstIndex: 0n }));
    } catch (error) {
      const [only] = batch;
      // One bad change rolled all of them back: each gets a transaction of its own, and only the bad one fails.
      if (batch.length > 1) for (const waiting of batch) await this.#commitBatch([waiting]);
      else
        only?.failed(
          error instanceof CodedError ? error : unavailable(error, 'The database refused the change'),
        );
    }
  }

  async #tryCommit(batch: readonly Waiting<Work>[]): Promise<readonly Committed[]> {
    const changes: Change[] = [];
    const starts: number[] = [];
    const firstIndex = this.#head.size;
    const committed = (): Committed[] => starts.map((start) => ({ firstIndex: firstIndex + BigInt(start) }));
    let appended: Appended | undefined;
    this.#database.exec('BEGIN IMMEDIATE');
    try {
      const drafts: EntryDraft[] = [];
      for (const { work } of batch) {
        const applied = work();
        const change = applied instanceof Promise ? await applied : applied;
        changes.push(change);
        starts.push(drafts.length);
        for (const draft of change.entries) drafts.push(draft);
      }
      appended = drafts.length === 0 ? undefined : this.#appender.append(this.#head, drafts);
      if (appended !== undefined) this.#writeLog(appended);
      this.#database.exec('COMMIT');
      if (appended !== undefined) this.#head = appended.head;
      for (const change of changes) this.#committed(change);
      return committed();
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      // Was it the COMMIT itself that failed? Look, do not guess.
      this.#head = this.#loadHead() ?? this.#head;
      for (const change of changes) this.#committed(change);
      if (appended !== undefined && this.#head.root.equals(appended.head.root)) return committed();
      throw error;
    }
  }

  #writeLog({ entries, head, tileHashes, checkpoint }: Appended): void {
    const insert = this.#statement('INSERT INTO log_entry VALUES (?, ?, ?)');
    for (const { index, leafHash, bytes, openings } of entries) {
      insert.run(index, leafHash, bytes);
      if (openings !== undefined)
        this.#statement('INSERT INTO log_opening VALUES (?, ?)').run(index, openings);
    }
    this.#writeTileHashes(tileHashes);
    this.#statement('INSERT OR REPLACE INTO log_head VALUES (1, ?, ?, ?, ?, ?)').run(
      head.origin,
      head.size,
      head.root,
      Buffer.concat(head.frontier),
      checkpoint,
    );
  }

  #writeTileHashes(tileHashes: readonly TileHash[]): void {
    for (const { level, index, hash } of tileHashes)
      this.#statement('INSERT INTO log_tile_hash VALUES (?, ?, ?)').run(level, index, hash);
  }

  /** A database that is older than its tiles: they are made from the leaves, which must give the root that was signed. */
  #fillTiles(empty: LogHead, head: LogHead): void {
    const { tiles } = this.#statement(
      'SELECT count(*) AS tiles FROM log_tile_hash WHERE level = 1',
    ).get() as {
      tiles: bigint;
    };
    if (tiles === head.size / 256n) return;
    const leaves = this.#statement('SELECT leaf_hash FROM log_entry ORDER BY idx');
    const grown = this.#appender.grow(empty, hashesOf(leaves.iterate() as IterableIterator<Row>));
    if (!grown.head.root.equals(head.root)) throw damaged('its entries do not give the root that was signed');
    this.#database.exec('BEGIN IMMEDIATE; DELETE FROM log_tile_hash');
    this.#writeTileHashes(grown.tileHashes);
    this.#database.exec('COMMIT');
  }

  /**
   * The head to append to: as many entries as it says, and the very checkpoint that was signed for it. Appending to anything
   * else would make the broker sign a second history.
   */
  #openLog(empty: LogHead): LogHead {
    const head = this.#loadHead();
    const { entries } = this.#statement(
      'SELECT coalesce(max(idx) + 1, 0) AS entries FROM log_entry',
    ).get() as {
      entries: bigint;
    };
    if (head === undefined) {
      if (entries > 0n) throw damaged('it has entries, and no head');
      return this.#startLog(empty);
    }
    if (head.origin !== empty.origin) {
      throw new CodedError(
        'store.foreign_log',
        `This database holds the log “${head.origin}”, not “${empty.origin}”.`,
        {
          next: 'Check the data folder and the log origin in the configuration. If you are about to recover: `sallyport audit recover`.',
        },
      );
    }
    if (head.size !== entries)
      throw damaged(`its head speaks of ${head.size} entries, and it has ${entries}`);
    const stored = this.#statement('SELECT checkpoint FROM log_head WHERE id = 1').get()?.['checkpoint'];
    // Ed25519 is deterministic: signing the head again gives the same checkpoint. A broken head is refused by the appender.
    if (this.#appender.append(head, []).checkpoint !== stored)
      throw damaged('its checkpoint is not the one of its head, or was signed by another key');
    this.#fillTiles(empty, head);
    const searched = this.#statement(
      'SELECT count(*) = coalesce(max(idx) + 1, 0) AS is_whole FROM log_search',
    ).get();
    if (searched?.['is_whole'] !== 1n) throw damagedIndex();
    return head;
  }

  #loadHead(): LogHead | undefined {
    const row = this.#statement('SELECT * FROM log_head WHERE id = 1').get();
    if (row === undefined) return undefined;
    const frontier = blob(row, 'frontier');
    return {
      origin: row['origin'] as string,
      size: row['size'] as bigint,
      root: blob(row, 'root'),
      frontier: Array.from({ length: frontier.length / 32 }, (_, at) =>
        frontier.subarray(at * 32, at * 32 + 32),
      ),
    };
  }

  #startLog(empty: LogHead): LogHead {
    const { head, checkpoint } = this.#appender.append(empty, []);
    this.#writeLog({ entries: [], tileHashes: [], head, checkpoint });
    return head;
  }
}

function* hashesOf(rows: Iterable<Row>): Iterable<Buffer> {
  for (const row of rows) yield blob(row, 'leaf_hash');
}

function damaged(why: string): CodedError {
  return new CodedError(
    'store.damaged',
    `The accounting log in the database does not hold together: ${why}.`,
    {
      next: 'Nothing was written. Restore the data folder from a backup, or the key of the log, and keep the damaged folder for whoever investigates.',
    },
  );
}
