import type { Row } from '../rows.ts';
import type { Statements } from './statements.ts';

const batch = 2000n;

/**
 * Indexes up to 2,000 credentials that `credential_by` does not know yet, within the transaction that is open.
 * @returns true while there are more.
 */
export function indexNextCredentials(statement: Statements): boolean {
  const { up_to: upTo, last } = statement(
    'SELECT up_to, (SELECT coalesce(max(id), 0) FROM credential) AS last FROM credential_indexed',
  ).get() as Row & { up_to: bigint; last: bigint };
  if (upTo >= last) return false;
  const to = upTo + batch < last ? upTo + batch : last;
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
  return to < last;
}
