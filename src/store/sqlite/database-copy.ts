import { chmodSync, closeSync, openSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { CodedError } from '../../kernel/index.ts';
import { loadDatabaseFile, unavailable } from './database.ts';
import { blob } from '../rows.ts';

/**
 * Copies the database of a broker that may be running into a new file of mode 0600: one moment of it, whole, without pages that are
 * free. It reads like any other reader and holds nobody up; the lock of the data folder is not touched.
 * @throws CodedError `store.missing`, `store.unavailable`
 */
export function copyDatabase(folder: string, to: string): void {
  const file = loadDatabaseFile(folder);
  let database: DatabaseSync | undefined;
  try {
    // Made here, so that it is never anybody else's to read.
    closeSync(openSync(to, 'wx', 0o600));
    database = new DatabaseSync(file, { readOnly: true });
    database.exec('PRAGMA busy_timeout = 10000');
    database.prepare('VACUUM INTO ?').run(to);
    chmodSync(to, 0o600);
  } catch (error) {
    throw unavailable(error, `The database in ${folder} cannot be copied`);
  } finally {
    database?.close();
  }
}

/** The log in the file of a database that no broker has open. */
export interface StoredLog {
  readonly checkpoint: string;
  /** Entries in order, their exact bytes. */
  entries(): Iterable<Buffer>;
  close(): void;
}

/** @throws CodedError `store.damaged` when the file does not hold together, or has no log */
export function openStoredLog(file: string): StoredLog {
  const database = new DatabaseSync(file, { readOnly: true });
  const asked = <Value>(work: () => Value): Value => {
    try {
      return work();
    } catch (error) {
      if (error instanceof CodedError) throw error;
      throw damaged(file, error);
    }
  };
  try {
    return asked(() => {
      const check = database.prepare('PRAGMA quick_check(1)').get()?.['quick_check'];
      const checkpoint = database.prepare('SELECT checkpoint FROM log_head WHERE id = 1').get()?.[
        'checkpoint'
      ];
      if (check !== 'ok' || typeof checkpoint !== 'string') throw damaged(file);
      return {
        checkpoint,
        *entries() {
          const rows = database.prepare('SELECT entry FROM log_entry ORDER BY idx').iterate();
          for (const row of rows) yield blob(row, 'entry');
        },
        close: () => database.close(),
      };
    });
  } catch (error) {
    database.close();
    throw error;
  }
}

function damaged(file: string, cause?: unknown): CodedError {
  return new CodedError('store.damaged', `The database in ${file} does not hold together.`, {
    next: 'Take another copy.',
    ...(cause === undefined ? {} : { cause }),
  });
}
