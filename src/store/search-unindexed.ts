import { setImmediate as nextTurn } from 'node:timers/promises';
import type { LogQuery } from '../broker/index.ts';
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
