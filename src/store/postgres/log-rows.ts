import type { Appended, LogAppender, LogHead, TileHash } from '../../accounting/index.ts';
import { CodedError } from '../../kernel/index.ts';
import type { Run } from './connections.ts';
import { damaged } from './faults.ts';
import { missing } from './migrate.ts';
import { big, blob, type Row } from '../rows.ts';
import { damagedIndex } from '../search-unindexed.ts';

const leavesPerPage = 10_000;

/** A head with the checkpoint that is stored for it. */
export interface StoredHead {
  readonly head: LogHead;
  readonly checkpoint: string;
}

/** An entry that a broker knows to be durable at its place. */
export interface KnownLeaf {
  readonly index: bigint;
  readonly hash: Buffer;
}

/** What `SELECT * FROM log_head` gives. */
export function toStoredHead(row: Row): StoredHead {
  const frontier = blob(row, 'frontier');
  return {
    head: {
      origin: row['origin'] as string,
      size: big(row, 'size'),
      root: blob(row, 'root'),
      frontier: Array.from({ length: frontier.length / 32 }, (_, at) =>
        frontier.subarray(at * 32, at * 32 + 32),
      ),
    },
    checkpoint: row['checkpoint'] as string,
  };
}

/** Sends everything that an append adds; nothing waits for an answer. */
export function sendAppended(
  run: Run,
  { entries, head, tileHashes, checkpoint }: Appended,
): Promise<unknown>[] {
  const opened = entries.filter(({ openings }) => openings !== undefined);
  return [
    run('INSERT INTO log_entry SELECT * FROM unnest($1::bigint[], $2::bytea[], $3::bytea[])', [
      entries.map(({ index }) => index),
      entries.map(({ leafHash }) => leafHash),
      entries.map(({ bytes }) => bytes),
    ]),
    ...(opened.length === 0
      ? []
      : [
          run('INSERT INTO log_opening SELECT * FROM unnest($1::bigint[], $2::text[])', [
            opened.map(({ index }) => index),
            opened.map(({ openings }) => openings),
          ]),
        ]),
    ...sendTileHashes(run, tileHashes),
    run('UPDATE log_head SET size = $1, root = $2, frontier = $3, checkpoint = $4 WHERE id = 1', [
      head.size,
      head.root,
      Buffer.concat(head.frontier),
      checkpoint,
    ]),
  ];
}

export function sendTileHashes(run: Run, tileHashes: readonly TileHash[]): Promise<unknown>[] {
  if (tileHashes.length === 0) return [];
  return [
    run('INSERT INTO log_tile_hash SELECT * FROM unnest($1::int[], $2::bigint[], $3::bytea[])', [
      tileHashes.map(({ level }) => level),
      tileHashes.map(({ index }) => index),
      tileHashes.map(({ hash }) => hash),
    ]),
  ];
}

/** The first head of a new log. */
export async function insertHead(run: Run, appender: LogAppender, empty: LogHead): Promise<void> {
  const { head, checkpoint } = appender.append(empty, []);
  await run('INSERT INTO log_head VALUES (1, $1, $2, $3, $4, $5)', [
    head.origin,
    head.size,
    head.root,
    Buffer.concat(head.frontier),
    checkpoint,
  ]);
}

/**
 * The head to append to, with its last entry: as many entries as it says, and the very checkpoint that was signed for it. Appending to anything
 * else would make the broker sign a second history.
 * @throws CodedError `store.missing`, `store.foreign_log`, `store.damaged`, `accounting.bad_head`
 */
export async function openLog(
  run: Run,
  appender: LogAppender,
  empty: LogHead,
): Promise<{ readonly head: LogHead; readonly leaf: KnownLeaf | undefined }> {
  // One statement sees one state, also while other brokers append.
  const { rows } = await run(
    `SELECT h.*, (SELECT coalesce(max(idx) + 1, 0) FROM log_entry) AS entries,
       (SELECT leaf_hash FROM log_entry ORDER BY idx DESC LIMIT 1) AS leaf_hash,
       (SELECT count(*) FROM log_tile_hash WHERE level = 1) AS tiles,
       (SELECT count(*) = coalesce(max(idx) + 1, 0) FROM log_search) AS has_whole_search
     FROM (SELECT 1) AS always LEFT JOIN log_head h ON h.id = 1`,
  );
  const row = rows[0] as Row;
  const entries = big(row, 'entries');
  if (row['id'] === null) {
    if (entries > 0n) throw damaged('it has entries, and no head');
    throw missing('that address');
  }
  const stored = toStoredHead(row);
  const { head } = stored;
  if (head.origin !== empty.origin) {
    throw new CodedError(
      'store.foreign_log',
      `This database holds the log “${head.origin}”, not “${empty.origin}”.`,
      { next: 'Check the database and the log origin in the configuration.' },
    );
  }
  if (head.size !== entries) throw damaged(`its head speaks of ${head.size} entries, and it has ${entries}`);
  checkStored(appender, stored);
  if (row['has_whole_search'] !== true) throw damagedIndex();
  if (big(row, 'tiles') !== head.size / 256n) await fillTiles(run, appender, empty);
  return {
    head,
    leaf: entries === 0n ? undefined : { index: entries - 1n, hash: blob(row, 'leaf_hash') },
  };
}

/** Ed25519 is deterministic: signing the head again gives the same checkpoint. A broken head is refused by the appender. */
export function checkStored(appender: LogAppender, { head, checkpoint }: StoredHead): void {
  if (appender.append(head, []).checkpoint !== checkpoint)
    throw damaged('its checkpoint is not the one of its head, or was signed by another key');
}

/** A database without its tiles: they are made from the leaves, which must give the root that was signed. Nobody appends meanwhile. */
async function fillTiles(run: Run, appender: LogAppender, empty: LogHead): Promise<void> {
  await run('BEGIN');
  const { rows } = await run('SELECT * FROM log_head WHERE id = 1 FOR UPDATE');
  const { head } = toStoredHead(rows[0] as Row);
  let grown = appender.grow(empty, []);
  const tileHashes: TileHash[] = [];
  for await (const page of leafPages(run, head.size)) {
    grown = appender.grow(grown.head, page);
    tileHashes.push(...grown.tileHashes);
  }
  if (!grown.head.root.equals(head.root)) {
    await run('ROLLBACK');
    throw damaged('its entries do not give the root that was signed');
  }
  await Promise.all([run('DELETE FROM log_tile_hash'), ...sendTileHashes(run, tileHashes), run('COMMIT')]);
}

async function* leafPages(run: Run, size: bigint): AsyncIterable<readonly Buffer[]> {
  for (let from = 0n; from < size; from += BigInt(leavesPerPage)) {
    const sql = `SELECT leaf_hash FROM log_entry WHERE idx >= $1 AND idx < $2 ORDER BY idx LIMIT ${leavesPerPage}`;
    const { rows } = await run(sql, [from, size]);
    yield rows.map((row) => blob(row, 'leaf_hash'));
  }
}
