import { CodedError } from '../kernel/index.ts';
import type { PostgresAddress } from './postgres/address.ts';
import { Connections } from './postgres/connections.ts';
import { asCoded } from './postgres/faults.ts';
import { indexLock } from './postgres/log-search.ts';
import { openDatabases } from './sqlite/database.ts';

const tables = ['log_search', 'log_term', 'log_reason'] as const;

/** Where the search is to be built anew: the folder of an SQLite database, or PostgreSQL under the role that owns its tables. */
export type SearchPlace = { readonly folder: string } | { readonly address: PostgresAddress };

/**
 * Empties what the log is searched by. The store builds it again from the entries and the openings that are still kept, before it
 * answers the next question. @throws CodedError `store.in_use`, `store.missing`, `store.unavailable`
 */
export async function forgetSearch(place: SearchPlace): Promise<void> {
  if ('folder' in place) return forgetInSqlite(place.folder);
  const connections = new Connections(place.address, 'unbounded');
  try {
    // Whoever indexes right now comes first.
    await connections.ask(
      `BEGIN; SELECT pg_advisory_xact_lock(${indexLock}); TRUNCATE ${tables.join(', ')}; COMMIT`,
    );
  } catch (error) {
    throw asCoded(error, 'The search cannot be emptied');
  } finally {
    await connections.close();
  }
}

function forgetInSqlite(folder: string): void {
  const { writer, close } = openDatabases(folder, 'open');
  try {
    writer.exec(`BEGIN IMMEDIATE; ${tables.map((table) => `DELETE FROM ${table}`).join('; ')}; COMMIT`);
  } catch (error) {
    throw new CodedError('store.unavailable', 'The database refused to empty the search.', {
      next: 'Check the disk, and that nobody else has the database open.',
      cause: error,
    });
  } finally {
    close();
  }
}
