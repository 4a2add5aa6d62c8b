import type { SQLInputValue } from 'node:sqlite';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { LogQuery } from '../../broker/index.ts';
import { big, blob, type Row } from '../rows.ts';
import { searchableOf, termsOf } from '../search-terms.ts';
import {
  findIndexedTo,
  indexedToQuery,
  loadIndexedTo,
  mostPerStep,
  searchWhole,
} from '../search-unindexed.ts';
import type { Statements } from './statements.ts';

/** A term of fewer entries than this is worth walking whole. */
const few = 5000;
const maxInteger = (1n << 63n) - 1n;
/** Entries that are walked in one go: some hundredths of a second where none of them matches. */
const stretch = 25_000n;

/** Newest first: the entries that match every field of the query, also those that are not indexed yet. */
export function createLogSearch(
  all: (sql: string, ...values: SQLInputValue[]) => Row[],
  entryColumns: string,
): (query: LogQuery) => Promise<readonly Row[]> {
  const indexed = createIndexSearch(all, entryColumns);
  return async (query) => {
    const from = loadIndexedTo(all(indexedToQuery)[0] ?? {});
    return searchWhole(query, {
      indexedTo: from,
      page: (before = maxInteger, limit) =>
        all(
          `SELECT ${entryColumns} FROM log_entry e LEFT JOIN log_opening o ON o.idx = e.idx
           WHERE e.idx >= ? AND e.idx < ? ORDER BY e.idx DESC LIMIT ?`,
          from,
          before,
          limit,
        ),
      indexed,
    });
  };
}

function createIndexSearch(
  all: (sql: string, ...values: SQLInputValue[]) => Row[],
  entryColumns: string,
): (query: LogQuery & { readonly before: bigint }) => Promise<readonly Row[]> {
  const countOf = (term: bigint): number =>
    Number(
      all(`SELECT count(*) AS n FROM (SELECT 1 FROM log_term WHERE term = ? LIMIT ${few})`, term)[0]?.['n'],
    );

  /** What to walk, newest first: what has the fewest entries. Everything else is looked up for each of them. */
  const walk = (terms: readonly bigint[], reason: string | undefined) => {
    const counted = terms.map((term) => ({ term, count: countOf(term) })).sort((a, b) => a.count - b.count);
    const [rarest] = counted;
    if (rarest !== undefined && (rarest.count < few || reason === undefined))
      return {
        from: 'log_term w',
        where: ['w.term = ?'],
        values: [rarest.term],
        others: counted.slice(1),
        reason,
      };
    if (reason !== undefined)
      return { from: 'log_reason w', where: [matches('w')], values: [pattern(reason)], others: counted };
    return { from: 'log_search w', where: [], values: [], others: [] };
  };

  return async (query) => {
    const { from, where, values, others, reason } = walk(termsOf(query), query.reason);
    const conditions: string[] = [...where];
    const bound: SQLInputValue[] = [...values];
    const add = (condition: string, value: SQLInputValue | undefined): void => {
      if (value === undefined) return;
      conditions.push(condition);
      bound.push(value);
    };
    add('s.time_ms >= ?', query.fromMs);
    add('s.time_ms < ?', query.toMs);
    for (const { term } of others)
      add('EXISTS (SELECT 1 FROM log_term t WHERE t.term = ? AND t.idx = w.idx)', term);
    if (reason !== undefined)
      add(`EXISTS (SELECT 1 FROM log_reason r WHERE r.idx = w.idx AND ${matches('r')})`, pattern(reason));
    // CROSS JOIN keeps the order of the tables: walk, then look up.
    const sql = `SELECT ${entryColumns} FROM ${from} CROSS JOIN log_search s ON s.idx = w.idx CROSS JOIN log_entry e ON e.idx = w.idx
       LEFT JOIN log_opening o ON o.idx = w.idx WHERE ${['TRUE', ...conditions].join(' AND ')} AND w.idx >= ? AND w.idx < ? ORDER BY w.idx DESC LIMIT ?`;
    const found: Row[] = [];
    // Stretch by stretch, and others have their turn in between: what lies far back is behind everything that came after it.
    for (let upper = query.before; upper > 0n; upper -= stretch) {
      found.push(...all(sql, ...bound, upper - stretch, upper, query.limit - found.length));
      if (found.length >= query.limit) break;
      await nextTurn();
    }
    return found;
  };
}

const matches = (table: string): string => `${table}.reason LIKE ? ESCAPE '\\'`;

function pattern(words: string): string {
  return `%${words.replace(/[\\%_]/g, '\\$&')}%`;
}

/** How many entries the search does not know yet; none when it is damaged, which only a question is told. */
export function entriesBehind(statement: Statements): bigint {
  const row = statement(indexedToQuery).get() ?? {};
  return big(row, 'size') - (findIndexedTo(row) ?? big(row, 'size'));
}

/** Indexes the next entries that the search does not know yet, `most` at the utmost, within the transaction that is open. */
export function indexNextEntries(statement: Statements, most = mostPerStep): void {
  const from = loadIndexedTo(statement(indexedToQuery).get() ?? {});
  const rows: Row[] = statement(
    `SELECT e.idx, e.entry, o.openings FROM log_entry e LEFT JOIN log_opening o ON o.idx = e.idx
     WHERE e.idx >= ? ORDER BY e.idx LIMIT ?`,
  ).all(from, most);
  const insert = statement('INSERT INTO log_search VALUES (?, ?)');
  const insertTerm = statement('INSERT INTO log_term VALUES (?, ?)');
  const insertReason = statement('INSERT INTO log_reason VALUES (?, ?)');
  for (const row of rows) {
    const index = row['idx'] as bigint;
    const openings = row['openings'];
    const { timeMs, terms, reason } = searchableOf(
      blob(row, 'entry'),
      typeof openings === 'string' ? openings : undefined,
    );
    insert.run(index, timeMs);
    for (const term of terms) insertTerm.run(term, index);
    if (reason !== undefined) insertReason.run(index, reason);
  }
}
