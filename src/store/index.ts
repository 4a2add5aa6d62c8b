/**
 * store: where rows, entries and lists are kept, durably, each backend written natively. It decides nothing: it applies a
 * change whole or not at all, and answers questions. The contract is `Store` in broker/.
 */
export { openSqliteStore, type SqliteStore, type SqliteStoreOptions } from './sqlite/sqlite-store.ts';
export { copyDatabase, openStoredLog, type StoredLog } from './sqlite/database-copy.ts';
export { loadDatabaseFile, storedOrigin } from './sqlite/database.ts';
export type { PostgresAddress } from './postgres/address.ts';
export { storedPostgresOrigin } from './postgres/begin-anew.ts';
export { dumpDatabase, readDumpedLog } from './postgres/dump.ts';
export { migratePostgres, type Migrated } from './postgres/migrate.ts';
export {
  createPostgresDatabase,
  openPostgresStore,
  type PostgresStore,
  type PostgresStoreOptions,
} from './postgres/postgres-store.ts';
export { forgetSearch, type SearchPlace } from './forget-search.ts';
export { copyToPostgres, type CopyOptions } from './copy-to-postgres.ts';
