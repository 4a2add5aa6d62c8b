import type { DatabaseSync, StatementSync } from 'node:sqlite';

/** Gives the prepared statement for a text, preparing it once per connection. */
export type Statements = (sql: string) => StatementSync;

/** Prepares a statement once per connection, with 64-bit integers as bigint. */
export function createStatements(database: DatabaseSync): Statements {
  const prepared = new Map<string, StatementSync>();
  return (sql) => {
    const known = prepared.get(sql);
    if (known !== undefined) return known;
    const statement = database.prepare(sql);
    statement.setReadBigInts(true);
    prepared.set(sql, statement);
    return statement;
  };
}
