import { chmodSync, existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { CodedError } from '../../kernel/index.ts';
import { first } from '../migrations/001-first.ts';
import { tilesSearchSinks } from '../migrations/002-tiles-search-sinks.ts';
import { cosignedCheckpoint } from '../migrations/003-cosigned-checkpoint.ts';
import { revokedRange } from '../migrations/004-revoked-range.ts';
import { reportedLogins } from '../migrations/005-reported-logins.ts';
import { departures } from '../migrations/006-departures.ts';
import { hosts } from '../migrations/007-hosts.ts';
import { responses } from '../migrations/008-responses.ts';
import { probedPorts } from '../migrations/009-probed-ports.ts';
import { serialIndex } from '../migrations/010-serial-index.ts';
import { revokedStays } from '../migrations/011-revoked-stays.ts';
import { x509 } from '../migrations/012-x509.ts';
import { authorityCertificates } from '../migrations/013-authority-certificates.ts';
import { servedBy } from '../migrations/014-served-by.ts';

const migrations = [
  first,
  tilesSearchSinks,
  cosignedCheckpoint,
  revokedRange,
  reportedLogins,
  departures,
  hosts,
  responses,
  probedPorts,
  serialIndex,
  revokedStays,
  x509,
  authorityCertificates,
  servedBy,
];
const databaseName = 'sallyport.db';

export interface OpenDatabases {
  /** The one connection that writes. */
  readonly writer: DatabaseSync;
  /** Sees only what is committed. */
  readonly reader: DatabaseSync;
  readonly close: () => void;
}

/**
 * Opens `folder/sallyport.db`, bringing it to the current schema. A second process on the same folder is refused: an open
 * exclusive transaction on a file beside it is the lock, and the operating system releases it when the process dies.
 * @param when `create` begins an empty database where there is none; `open` refuses.
 * @throws CodedError `store.missing`, `store.in_use`, `store.newer_schema`, `store.unavailable`
 */
export function openDatabases(folder: string, when: 'create' | 'open'): OpenDatabases {
  const open: DatabaseSync[] = [];
  const opened = (database: DatabaseSync): DatabaseSync => {
    open.unshift(database);
    return database;
  };
  const close = (): void => {
    for (const database of open.splice(0)) database.close();
  };
  try {
    const file = when === 'open' ? loadDatabaseFile(folder) : join(folder, databaseName);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const lock = join(folder, 'sallyport.lock');
    const held = opened(new DatabaseSync(lock));
    chmodSync(lock, 0o600);
    holdLock(held, folder);
    const writer = opened(new DatabaseSync(file));
    // SQLite gives the files beside it the same mode.
    chmodSync(file, 0o600);
    if (when === 'open' && versionOf(writer) === 0) throw missing(file);
    // Before the first table, or it would not count. A commit of many entries touches half as many pages as with the usual 4096.
    writer.exec('PRAGMA page_size = 8192');
    const mode = writer.prepare('PRAGMA journal_mode = WAL').get()?.['journal_mode'];
    if (mode !== 'wal') throw new Error(`this file system does not take a write-ahead log (${String(mode)})`);
    // FULL: a commit is on disk when it returns. A revocation lost to a power cut would fail open.
    writer.exec('PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA wal_autocheckpoint = 4000');
    // What retention erases must be gone from the file: freed bytes are overwritten.
    writer.exec('PRAGMA secure_delete = ON');
    migrate(writer);
    const reader = opened(new DatabaseSync(file));
    reader.exec('PRAGMA query_only = ON; PRAGMA busy_timeout = 2000');
    return { writer, reader, close };
  } catch (error) {
    close();
    if (error instanceof CodedError) throw error;
    throw unavailable(error, `The database in ${folder} cannot be opened`);
  }
}

/** What SQLite said, as a fault that a person can act on. */
export function unavailable(error: unknown, what: string): CodedError {
  const why = error instanceof Error ? error.message : 'unknown fault';
  return new CodedError('store.unavailable', `${what}: ${why}.`, {
    next: 'Check free space, permissions and the disk of the data folder; nothing was recorded and nothing was released.',
    cause: error,
  });
}

/** The path of the database in a broker's data folder. @throws CodedError `store.missing` */
export function loadDatabaseFile(folder: string): string {
  const file = join(folder, databaseName);
  if (!existsSync(file)) throw missing(file);
  return file;
}

/**
 * The name of the log in a database that nothing else need know: who recovers must open it under the name it has.
 * @throws CodedError `store.missing`, `store.unavailable`
 */
export function storedOrigin(folder: string): string {
  const file = loadDatabaseFile(folder);
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(file, { readOnly: true });
    const origin = database.prepare('SELECT origin FROM log_head WHERE id = 1').get()?.['origin'];
    if (typeof origin !== 'string') throw missing(file);
    return origin;
  } catch (error) {
    if (error instanceof CodedError) throw error;
    throw unavailable(error, `The database in ${folder} cannot be read`);
  } finally {
    database?.close();
  }
}

/** An empty database would issue every serial a second time, and publish a list on which nothing is revoked. */
function missing(file: string): CodedError {
  return new CodedError('store.missing', `There is no database of this broker at ${file}.`, {
    next: 'Mount the right data folder, or restore it (docs/operations/backup.md). To begin anew, make a new broker with new keys: `sallyport init`.',
  });
}

function versionOf(database: DatabaseSync): number {
  return (database.prepare('PRAGMA user_version').get() as { user_version: number }).user_version;
}

function holdLock(lock: DatabaseSync, folder: string): void {
  try {
    lock.exec('PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE');
  } catch (error) {
    if (!(error instanceof Error) || !/locked|busy/i.test(error.message)) throw error;
    throw new CodedError('store.in_use', `Another broker is running on this data folder (${folder}).`, {
      next: 'Stop it first, or give this one a data folder of its own.',
      cause: error,
    });
  }
}

function migrate(database: DatabaseSync): void {
  const present = versionOf(database);
  if (present > migrations.length) {
    throw new CodedError(
      'store.newer_schema',
      `The database has schema ${present}; this version knows ${migrations.length}.`,
      {
        next: 'Run the version of Sallyport that wrote it, or a newer one.',
      },
    );
  }
  for (let version = present; version < migrations.length; version += 1) {
    database.exec(`BEGIN IMMEDIATE; ${migrations[version]}; PRAGMA user_version = ${version + 1}; COMMIT`);
  }
}
