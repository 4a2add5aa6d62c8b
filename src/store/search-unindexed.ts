import { setImmediate as nextTurn } from 'node:timers/promises';
import type { LogQuery } from '../broker/index.ts';
import { CodedError } from '../kernel/index.ts';
import { blob, big, type Row } from './rows.ts';
import { matcherOf } from './search-terms.ts';

/**
 * Entries that the index may lack when somebody asks: they are looked at one by one, some hundredths of a second for all of
 * them. What is more than that is indexed first.
 */
export const mostUnindexed = 10_000n;
/** Rows that an index takes in at a time: some hundredths of a second. */
export const mostPerStep = 2000;
const entriesPerPage = 500;

/** The newest rows of the index must be there one after the other: what was put there by somebody else stands alone. */
const newest = 512;

/** How far the index goes, for both stores, in one statement and so of one state. */
export const indexedToQuery = `SELECT coalesce(max(idx) + 1, 0) AS indexed_to, (SELECT coalesce(max(idx) + 1, 0) FROM log_entry) AS size,
  (SELECT count(*) FROM log_search WHERE idx > (SELECT max(idx) FROM log_search) - ${newest}) AS newest FROM log_search`;

/** @returns the first entry that the index does not know; undefined when it is not the index of this log */
export function findIndexedTo(row: Row): bigint | undefined {
  const indexedTo = big(row, 'indexed_to');
  const expected = indexedTo < newest ? indexedTo : BigInt(newest);
  return indexedTo > big(row, 'size') || BigInt(Number(row['newest'])) !== expected ? undefined : indexedTo;
}

/** @throws CodedError `store.damaged`: a search that goes on would say “nothing found” of what is there */
export function loadIndexedTo(row: Row): bigint {
  const indexedTo = findIndexedTo(row);
  if (indexedTo === undefined) throw damagedIndex();
  return indexedTo;
}

/** The error of an index that has rows which no entry gave it, or lacks some. */
export function damagedIndex(): CodedError {
  return new CodedError(
    'store.damaged',
    'The search of the log does not fit the log: somebody wrote to it past the broker. Nothing is found rather than not everything.',
    {
      next: 'The log itself and its proofs are not touched by this. Find out who it was, then have the search built anew: `sallyport store reindex`.',
    },
  );
}

/** Both halves of a search. Each gives rows with `idx`, `entry` and `openings`, newest first. */
export interface SearchedLog {
  /** What the index knows: the entries below this one. */
  readonly indexedTo: bigint;
  /** Entries from `indexedTo` on and below `before`, the newest `limit` of them. */
  page(before: bigint | undefined, limit: number): readonly Row[] | Promise<readonly Row[]>;
  /** What matches among the entries below `before`, by the index. */
  indexed(query: LogQuery & { readonly before: bigint }): readonly Row[] | Promise<readonly Row[]>;
}

/**
 * Answers from the index, and for the newest entries, which it does not know yet, from the entries themselves: whoever asks after a
 * burst does not wait for the burst to be indexed, and misses nothing of it.
 */
export async function searchWhole(query: LogQuery, log: SearchedLog): Promise<readonly Row[]> {
  const { before, limit } = query;
  const found = before !== undefined && before <= log.indexedTo ? [] : await searchUnindexed(query, log);
  if (found.length >= limit) return found;
  return [
    ...found,
    ...(await log.indexed({
      ...query,
      before: before !== undefined && before < log.indexedTo ? before : log.indexedTo,
      limit: limit - found.length,
    })),
  ];
}

async function searchUnindexed(query: LogQuery, log: SearchedLog): Promise<readonly Row[]> {
  const matches = matcherOf(query);
  const found: Row[] = [];
  for (let { before } = query; ;) {
    const rows = await log.page(before, entriesPerPage);
    for (const row of rows) {
      const openings = row['openings'];
      if (!matches(blob(row, 'entry'), typeof openings === 'string' ? openings : undefined)) continue;
      if (found.push(row) >= query.limit) return found;
    }
    const last = rows.at(-1);
    if (last === undefined || rows.length < entriesPerPage) return found;
    before = big(last, 'idx');
    // Others have their turn in between.
    await nextTurn();
  }
}
