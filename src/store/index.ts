/**
 * store: where rows, entries and lists are kept, durably, each backend written natively. It decides nothing: it applies a
 * change whole or not at all, and answers questions. The contract is `Store` in broker/.
 */
export { openSqliteStore, type SqliteStoreOptions } from './sqlite/sqlite-store.ts';
export { loadDatabaseFile } from './sqlite/database.ts';
