import type { LogQuery } from '../../broker/index.ts';
import { searchableOf, termsOf } from '../search-terms.ts';
import { indexedToQuery, loadIndexedTo, searchWhole } from '../search-unindexed.ts';
import type { Run } from './connections.ts';
import { big, blob, type Row } from '../rows.ts';

/** Entries of one step: some milliseconds of this process. */
const batch = 500;
/** A term of fewer entries than this is worth walking whole, with a look at the words of each. */
const few = 5000;
/** Counted exactly up to here: of two common terms the rarer one is walked, and looking that far costs some 20 ms. */
const mostCounted = 200_000;
/** Any number: whoever holds this lock of the database is filling in the search, or takes words out of it. */
export const indexLock = 7_255_401;

/** Newest first: the entries that match every field of the query, also those that are not indexed yet. */
export async function searchLog(run: Run, query: LogQuery, entryColumns: string): Promise<readonly Row[]> {
  const from = await searchIndexedTo(run);
  return searchWhole(query, {
    indexedTo: from,
    async page(before, limit) {
      const sql = `SELECT ${entryColumns} FROM log_entry e LEFT JOIN log_opening o ON o.idx = e.idx
        WHERE e.idx >= $1 ${before === undefined ? '' : 'AND e.idx < $3'} ORDER BY e.idx DESC LIMIT $2`;
      return (await run(sql, [from, limit, ...(before === undefined ? [] : [before])])).rows;
    },
    indexed: (asked) => searchIndex(run, asked, entryColumns),
  });
}

async function searchIndex(run: Run, query: LogQuery, entryColumns: string): Promise<readonly Row[]> {
  const { from, where, others, reason, values } = await walk(run, termsOf(query), query.reason);
  const conditions = [...where];
  const bind = (value: unknown): string => `$${values.push(value)}`;
  if (query.before !== undefined) conditions.push(`w.idx < ${bind(query.before)}`);
  if (query.fromMs !== undefined) conditions.push(`s.time_ms >= ${bind(query.fromMs)}`);
  if (query.toMs !== undefined) conditions.push(`s.time_ms < ${bind(query.toMs)}`);
  // Questions of one value stay look-ups: as a join, the planner might read the whole index of a common term.
  for (const term of others)
    conditions.push(`(SELECT true FROM log_term t WHERE t.term = ${bind(term)} AND t.idx = w.idx)`);
  if (reason !== undefined)
    conditions.push(
      `(SELECT true FROM log_reason r WHERE r.idx = w.idx AND ${matches('r', bind(pattern(reason)))})`,
    );
  const { rows } = await run(
    `SELECT ${entryColumns} FROM (
       SELECT w.idx FROM ${from} JOIN log_search s ON s.idx = w.idx
       WHERE ${['TRUE', ...conditions].join(' AND ')} ORDER BY w.idx DESC LIMIT ${bind(query.limit)}
     ) found JOIN log_entry e ON e.idx = found.idx LEFT JOIN log_opening o ON o.idx = found.idx ORDER BY found.idx DESC`,
    values,
  );
  return rows;
}

interface Walk {
  readonly from: string;
  readonly where: readonly string[];
  readonly values: unknown[];
  readonly others: readonly bigint[];
  readonly reason?: string | undefined;
}

/** What to walk, newest first: what has the fewest entries. Everything else is looked up for each of them. */
async function walk(run: Run, terms: readonly bigint[], reason: string | undefined): Promise<Walk> {
  const counted = (await countsOf(run, terms)).sort((a, b) => a.count - b.count);
  const [rarest] = counted;
  const others = counted.slice(1).map(({ term }) => term);
  if (rarest !== undefined && (rarest.count < few || reason === undefined))
    return { from: 'log_term w', where: ['w.term = $1'], values: [rarest.term], others, reason };
  if (reason !== undefined)
    return { from: 'log_reason w', where: [matches('w', '$1')], values: [pattern(reason)], others: terms };
  return { from: 'log_search w', where: [], values: [], others: [] };
}

async function countsOf(
  run: Run,
  terms: readonly bigint[],
): Promise<{ readonly term: bigint; readonly count: number }[]> {
  if (terms.length === 0) return [];
  const { rows } = await run(
    `SELECT term, (SELECT count(*) FROM (SELECT 1 FROM log_term t WHERE t.term = asked.term LIMIT ${mostCounted}) AS counted) AS n
     FROM unnest($1::bigint[]) AS asked (term)`,
    [terms],
  );
  return rows.map((row) => ({ term: big(row, 'term'), count: Number(row['n']) }));
}

const matches = (table: string, value: string): string =>
  `lower(${table}.reason) LIKE lower(${value} COLLATE "C")`;

function pattern(words: string): string {
  return `%${words.replace(/[\\%_]/g, '\\$&')}%`;
}

/** The search knows the entries below this one. @throws CodedError `store.damaged` */
export async function searchIndexedTo(run: Run): Promise<bigint> {
  return loadIndexedTo((await run(indexedToQuery)).rows[0] ?? {});
}

/** What a step of indexing came to. */
export interface Indexed {
  readonly indexedTo: bigint;
  /** No more entries were there, or somebody else is at it. */
  readonly isOver: boolean;
}

/**
 * Within the transaction that is open: indexes the next entries that the search does not know yet. Commits do not wait for it.
 * @param wait false: leaves it to whoever is at it already
 */
export async function indexNextEntries(run: Run, wait: boolean): Promise<Indexed> {
  // What a crash takes of it is built again.
  const lock = wait
    ? `SELECT set_config('synchronous_commit', 'off', true), true AS held FROM (SELECT pg_advisory_xact_lock(${indexLock})) AS waited`
    : `SELECT set_config('synchronous_commit', 'off', true), pg_try_advisory_xact_lock(${indexLock}) AS held`;
  const held = await run(lock);
  const from = await searchIndexedTo(run);
  if (held.rows[0]?.['held'] !== true) return { indexedTo: from, isOver: true };
  const { rows } = await run(
    `SELECT e.idx, e.entry, o.openings FROM log_entry e LEFT JOIN log_opening o ON o.idx = e.idx
     WHERE e.idx >= $1 ORDER BY e.idx LIMIT ${batch}`,
    [from],
  );
  if (rows.length === 0) return { indexedTo: from, isOver: true };
  const searched: { index: bigint; timeMs: number }[] = [];
  const terms: { term: bigint; index: bigint }[] = [];
  const reasons: { index: bigint; reason: string }[] = [];
  for (const row of rows) {
    const index = big(row, 'idx');
    const openings = row['openings'];
    const found = searchableOf(blob(row, 'entry'), typeof openings === 'string' ? openings : undefined);
    searched.push({ index, timeMs: found.timeMs });
    for (const term of found.terms) terms.push({ term, index });
    if (found.reason !== undefined) reasons.push({ index, reason: found.reason });
  }
  const indexes = (of: readonly { readonly index: bigint }[]): bigint[] => of.map(({ index }) => index);
  await Promise.all([
    run('INSERT INTO log_term SELECT * FROM unnest($1::bigint[], $2::bigint[])', [
      terms.map(({ term }) => term),
      indexes(terms),
    ]),
    run('INSERT INTO log_reason SELECT * FROM unnest($1::bigint[], $2::text[])', [
      indexes(reasons),
      reasons.map(({ reason }) => reason),
    ]),
    run('INSERT INTO log_search SELECT * FROM unnest($1::bigint[], $2::bigint[])', [
      indexes(searched),
      searched.map(({ timeMs }) => timeMs),
    ]),
  ]);
  return { indexedTo: from + BigInt(rows.length), isOver: rows.length < batch };
}
