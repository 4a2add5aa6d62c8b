import { big } from '../rows.ts';
import { mostPerStep } from '../search-unindexed.ts';
import type { Statements } from './statements.ts';

/** How many credentials `credential_by` does not know yet. */
export function credentialsBehind(statement: Statements): bigint {
  const row = statement(
    'SELECT (SELECT coalesce(max(id), 0) FROM credential) - up_to AS behind FROM credential_indexed',
  ).get();
  return big(row ?? {}, 'behind');
}

/** Indexes the next credentials that `credential_by` does not know yet, `most` at the utmost, within the transaction that is open. */
export function indexNextCredentials(statement: Statements, most = mostPerStep): void {
  const row = statement(
    'SELECT up_to, (SELECT coalesce(max(id), 0) FROM credential) AS last FROM credential_indexed',
  ).get();
  const [upTo, last] = [big(row ?? {}, 'up_to'), big(row ?? {}, 'last')];
  if (upTo >= last) return;
  const to = upTo + BigInt(most) < last ? upTo + BigInt(most) : last;
  for (const column of ['person', 'key', 'key_id'] as const) {
    const source = { person: 'person_id', key: 'key_fp', key_id: 'key_id' }[column];
    statement(
      `INSERT INTO credential_by SELECT '${column}:' || ${source}, id FROM credential WHERE id > ? AND id <= ?`,
    ).run(upTo, to);
  }
  statement(
    `INSERT OR IGNORE INTO credential_by SELECT 'principal:' || lower(p.value), c.id
     FROM credential c, json_each(c.principals) p WHERE c.id > ? AND c.id <= ?`,
  ).run(upTo, to);
  statement('UPDATE credential_indexed SET up_to = ?').run(to);
}
