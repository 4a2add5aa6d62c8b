import { CodedError } from '../../kernel/index.ts';
import { first } from '../migrations/postgres/001-first.ts';
import { cosignedCheckpoint } from '../migrations/postgres/002-cosigned-checkpoint.ts';
import { revokedRange } from '../migrations/postgres/003-revoked-range.ts';
import { reportedLogins } from '../migrations/postgres/004-reported-logins.ts';
import { departures } from '../migrations/postgres/005-departures.ts';
import { hosts } from '../migrations/postgres/006-hosts.ts';
import { responses } from '../migrations/postgres/007-responses.ts';
import { probedPorts } from '../migrations/postgres/008-probed-ports.ts';
import { serialIndex } from '../migrations/postgres/009-serial-index.ts';
import { revokedStays } from '../migrations/postgres/010-revoked-stays.ts';
import { hourlyQuota } from '../migrations/postgres/011-hourly-quota.ts';
import { x509 } from '../migrations/postgres/012-x509.ts';
import { authorityCertificates } from '../migrations/postgres/013-authority-certificates.ts';
import { servedBy } from '../migrations/postgres/014-served-by.ts';
import { describeAddress, type PostgresAddress } from './address.ts';
import { Connections, isRefusal, type Run } from './connections.ts';
import { asCoded } from './faults.ts';

/** In order; old ones never change. */
const migrations: readonly { readonly name: string; readonly sql: string }[] = [
  { name: '001-first', sql: first },
  { name: '002-cosigned-checkpoint', sql: cosignedCheckpoint },
  { name: '003-revoked-range', sql: revokedRange },
  { name: '004-reported-logins', sql: reportedLogins },
  { name: '005-departures', sql: departures },
  { name: '006-hosts', sql: hosts },
  { name: '007-responses', sql: responses },
  { name: '008-probed-ports', sql: probedPorts },
  { name: '009-serial-index', sql: serialIndex },
  { name: '010-revoked-stays', sql: revokedStays },
  { name: '011-hourly-quota', sql: hourlyQuota },
  { name: '012-x509', sql: x509 },
  { name: '013-authority-certificates', sql: authorityCertificates },
  { name: '014-served-by', sql: servedBy },
];
const migrationLock = 7_255_400;
const undefinedTable = '42P01';

export interface Migrated {
  /** Version of the schema before, 0 for an empty database. */
  readonly from: number;
  readonly to: number;
  /** Names of those that were, or in a rehearsal would be, applied. */
  readonly steps: readonly string[];
}

/**
 * Brings the schema forward, all of it in one transaction; needs the role that owns the tables. Two at once wait for each other.
 * @param apply false rehearses: everything is done and taken back. @throws CodedError `store.newer_schema`, `store.unavailable`
 */
export async function migratePostgres(address: PostgresAddress, apply: boolean): Promise<Migrated> {
  const connections = new Connections(address, 'unbounded');
  try {
    return await migrate(connections, apply);
  } catch (error) {
    throw asCoded(error, `The schema of ${describeAddress(address)} cannot be brought forward`);
  } finally {
    await connections.close();
  }
}

async function migrate(connections: Connections, apply: boolean): Promise<Migrated> {
  const session = await connections.begin();
  try {
    await session.run('BEGIN');
    await session.run(`SELECT pg_advisory_xact_lock(${migrationLock})`);
    await session.run(
      'CREATE TABLE IF NOT EXISTS schema_version (version int PRIMARY KEY, name text NOT NULL)',
    );
    const from = await versionOf(session.run);
    refuseNewer(from);
    const steps = migrations.slice(from);
    for (const [nth, { name, sql }] of steps.entries()) {
      await session.run(sql);
      await session.run('INSERT INTO schema_version VALUES ($1, $2)', [from + nth + 1, name]);
    }
    await session.run(apply ? 'COMMIT' : 'ROLLBACK');
    session.release(true);
    return { from, to: migrations.length, steps: steps.map(({ name }) => name) };
  } catch (error) {
    session.release(false);
    throw error;
  }
}

/** @throws CodedError `store.missing`, `store.pending_migration`, `store.newer_schema` */
export async function checkSchema(run: Run, where: string): Promise<void> {
  let present: number;
  try {
    present = await versionOf(run);
  } catch (error) {
    if (!isRefusal(error) || error.code !== undefinedTable) throw error;
    present = 0;
  }
  refuseNewer(present);
  if (present === 0) throw missing(where);
  if (present < migrations.length) {
    throw new CodedError(
      'store.pending_migration',
      `The database has schema ${present}; this version of Sallyport works on ${migrations.length}.`,
      {
        next: 'Run `sallyport store migrate` with the role that owns the tables: docs/operations/postgresql.md.',
      },
    );
  }
}

/** An empty database would issue every serial a second time, and publish a list on which nothing is revoked. */
export function missing(where: string): CodedError {
  return new CodedError('store.missing', `There is no database of this broker at ${where}.`, {
    next: 'Name the right database, or restore it (docs/operations/backup.md). To begin anew, make a new broker with new keys: `sallyport init`.',
  });
}

async function versionOf(run: Run): Promise<number> {
  const { rows } = await run('SELECT coalesce(max(version), 0) AS version FROM schema_version');
  return Number(rows[0]?.['version']);
}

function refuseNewer(present: number): void {
  if (present <= migrations.length) return;
  throw new CodedError(
    'store.newer_schema',
    `The database has schema ${present}; this version knows ${migrations.length}.`,
    { next: 'Run the version of Sallyport that wrote it, or a newer one.' },
  );
}
