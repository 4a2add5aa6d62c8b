import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, it } from 'vitest';
import { ca, credential, implementations, serial, start } from './store-fixture.ts';

/** How many certificates there are: enough for sorting them all to differ from walking along an index. */
const many = 20_000;

it.each(implementations)(
  'the newest certificates are found by an index on $name',
  async ({ name, newPlace }) => {
    const place = newPlace();
    const store = await place.open();
    try {
      await store.reserveSerials(ca, many);
      await store.commit({ credential: credential(), entries: [] });
      const numbers =
        name === 'SQLite'
          ? `WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < ${many})
           INSERT INTO credential SELECT i, ca_id, i, key_id, person_id, login, profile, key_type, key_fp, principals,
             valid_after, valid_before, issued_ms, revoked_ms, revoked_reason FROM n, credential WHERE serial = 1`
          : `INSERT INTO credential SELECT ca_id, i, key_id, person_id, login, profile, key_type, key_fp, principals, folded_principals,
             valid_after, valid_before, issued_ms, revoked_ms, revoked_reason
           FROM generate_series(2, ${many}) i, credential WHERE serial = 1; ANALYZE credential`;
      place.sql(numbers);
      const newest = await store.credentials({ live: false, limit: 2, nowMs: start });
      expect(newest.map((found) => found.serial)).toEqual([serial(many), serial(many - 1)]);
      const sql =
        'FROM credential c JOIN ca ON ca.id = c.ca_id WHERE c.serial < 15000 ORDER BY c.serial DESC, c.ca_id DESC LIMIT 100';
      expect(name === 'SQLite' ? sqlitePlan(place.location, sql) : postgresPlan(place, sql)).toBe('an index');
    } finally {
      await store.close();
      place.remove();
    }
  },
);

function sqlitePlan(folder: string, sql: string): string {
  const database = new DatabaseSync(join(folder, 'sallyport.db'), { readOnly: true });
  try {
    // SQLite's own order has no second column: that of one CA is the order of the rows.
    const plan = database.prepare(`EXPLAIN QUERY PLAN SELECT c.* ${sql.replace(', c.ca_id DESC', '')}`).all();
    return plan.some(({ detail }) => String(detail).includes('TEMP B-TREE')) ? 'a sort' : 'an index';
  } finally {
    database.close();
  }
}

/** One number is all that a place tells: the plan itself has too many words. */
function postgresPlan(place: { count(question: string): number }, sql: string): string {
  return place.count(
    `SELECT 1 FROM pg_indexes WHERE indexname = 'credential_serial' AND indexdef LIKE '%(serial, ca_id)'`,
  ) === 1 && place.count(`SELECT count(*) FROM (SELECT c.* ${sql}) page`) === 100
    ? 'an index'
    : 'a sort';
}
