import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { Row } from '../../src/store/rows.ts';
import { createLogSearch } from '../../src/store/sqlite/log-search.ts';
import { createStatements } from '../../src/store/sqlite/statements.ts';
import { implementations } from './store-fixture.ts';

/** Entries of the index; only the first three are of the time that is asked for. */
const many = 120_000;

it('a search in SQLite that looks far back gives others their turn, and finds what is there', async () => {
  const place = implementations[0]?.newPlace();
  if (place === undefined) throw new Error('there is SQLite');
  await (await place.open()).close();
  const database = new DatabaseSync(join(place.location, 'sallyport.db'));
  try {
    const numbers = `WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ${many - 1})`;
    database.exec(`${numbers} INSERT INTO log_search SELECT i, i FROM n`);
    database.exec(`${numbers} INSERT INTO log_entry SELECT i, zeroblob(32), CAST('{}' AS BLOB) FROM n`);
    const statement = createStatements(database);
    const all = (sql: string, ...values: SQLInputValue[]): Row[] => statement(sql).all(...values);
    const search = createLogSearch(all, 'e.idx, e.entry, o.openings');
    let turns = 0;
    let isOver = false;
    const count = (): void => {
      turns += 1;
      if (!isOver) setImmediate(count);
    };
    setImmediate(count);
    const found = await search({ toMs: 3, limit: 5 });
    isOver = true;
    expect(found.map(({ idx }) => idx)).toEqual([2n, 1n, 0n]);
    expect(turns).toBeGreaterThan(3);
    expect((await search({ toMs: 3, limit: 2 })).map(({ idx }) => idx)).toEqual([2n, 1n]);
    expect((await search({ before: 100_001n, limit: 1 })).map(({ idx }) => idx)).toEqual([100_000n]);
  } finally {
    database.close();
    place.remove();
  }
});
