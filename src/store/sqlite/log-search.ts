import type { SQLInputValue } from 'node:sqlite';
import type { LogQuery } from '../../broker/index.ts';
import type { Statements } from './statements.ts';
import { blob, type Row } from './rows.ts';

const batch = 2000;

/** Newest first: the entries that match every field of the query. */
export function createLogSearch(
  all: (sql: string, ...values: SQLInputValue[]) => Row[],
  entryColumns: string,
): (query: LogQuery) => Row[] {
  return (query) => {
    const conditions: string[] = [];
    const values: SQLInputValue[] = [];
    const add = (condition: string, value: SQLInputValue | undefined): void => {
      if (value === undefined) return;
      conditions.push(condition);
      values.push(value);
    };
    add('s.idx < ?', query.before);
    add('s.time_ms >= ?', query.fromMs);
    add('s.time_ms < ?', query.toMs);
    add('s.type = ?', query.type);
    add('s.outcome = ?', query.outcome);
    add('s.serial = ?', query.serial);
    add('s.key_fp = ?', query.keyFingerprint);
    add('s.idx IN (SELECT p.idx FROM log_search_person p WHERE p.person_id = ?)', query.personId);
    const where = conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`;
    return all(
      `SELECT ${entryColumns} JOIN log_search s ON s.idx = e.idx ${where} ORDER BY s.idx DESC LIMIT ?`,
      ...values,
      query.limit,
    );
  };
}

/**
 * Indexes up to `batch` entries that the search does not know yet, within the transaction that is open.
 * @returns true while there are more.
 */
export function indexNextEntries(statement: Statements): boolean {
  const last = statement('SELECT coalesce(max(idx), -1) AS idx FROM log_search').get() as Row;
  const rows = statement('SELECT idx, entry FROM log_entry WHERE idx > ? ORDER BY idx LIMIT ?').all(
    last['idx'] ?? -1n,
    batch,
  ) as Row[];
  const insert = statement('INSERT INTO log_search VALUES (?, ?, ?, ?, ?, ?, ?)');
  const insertPerson = statement('INSERT OR IGNORE INTO log_search_person VALUES (?, ?)');
  for (const row of rows) {
    const index = row['idx'] as bigint;
    const entry = JSON.parse(blob(row, 'entry').toString('utf8')) as SearchedEntry;
    const { ca_fp: caFingerprint, key_fp: keyFingerprint } = entry.cred ?? {};
    insert.run(
      index,
      Date.parse(entry.time),
      entry.type,
      entry.outcome,
      caFingerprint ?? null,
      serialOf(entry) ?? null,
      keyFingerprint ?? null,
    );
    for (const uid of [entry.actor?.uid, entry.subject?.uid])
      if (uid !== undefined) insertPerson.run(uid, index);
  }
  return rows.length === batch;
}

/** The one serial that an entry speaks of; a stretch of several void serials is found by its type. */
function serialOf({ cred }: SearchedEntry): string | undefined {
  return cred?.serial ?? (cred?.serial_first === cred?.serial_last ? cred?.serial_first : undefined);
}

interface SearchedEntry {
  readonly time: string;
  readonly type: string;
  readonly outcome: string;
  readonly actor?: { readonly uid?: string };
  readonly subject?: { readonly uid?: string };
  readonly cred?: {
    readonly ca_fp?: string;
    readonly serial?: string;
    readonly serial_first?: string;
    readonly serial_last?: string;
    readonly key_fp?: string;
  };
}
