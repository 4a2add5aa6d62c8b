import { mkdirSync, mkdtempSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createLogAppender, emptyLogHead } from '../src/accounting/index.ts';
import type { Store } from '../src/broker/index.ts';
import { systemRandom } from '../src/kernel/index.ts';
import { createPostgresDatabase, openPostgresStore, openSqliteStore } from '../src/store/index.ts';
import { newSigner } from '../test/accounting/log-fixture.ts';
import { findPeer } from '../test/support/peers.ts';
import { addressOf, grants, newDatabase, owner, startPostgres } from '../test/support/postgres.ts';
import type { PostgresServer } from '../test/support/postgres.ts';
import { processCpuSeconds } from './measure.ts';

/** A CA that signs nothing here: rows and entries name it. */
export const benchCa = `SHA256:${'B'.repeat(43)}`;
const origin = 'bench.example.com/accounting/1';

function newLog(): Pick<Parameters<typeof openSqliteStore>[0], 'appender' | 'emptyHead'> {
  const appender = createLogAppender({ signer: newSigner(), origin, random: systemRandom });
  return { appender, emptyHead: emptyLogHead(origin) };
}

/** An empty SQLite store below the folder of the run, as `init` begins one. */
export function newSqliteStore(folder: string): { readonly store: Store; readonly folder: string } {
  const own = mkdtempSync(join(folder, 'sqlite-'));
  mkdirSync(own, { recursive: true });
  return { store: openSqliteStore({ folder: own, when: 'create', ...newLog() }), folder: own };
}

/** An empty store on the server, with the privileges that a broker has. */
export async function newPostgresStore(server: PostgresServer): Promise<Store> {
  const database = newDatabase(server);
  const log = newLog();
  await createPostgresDatabase({ address: addressOf(server, database, owner), ...log });
  server.sql(database, grants());
  return openPostgresStore({ address: addressOf(server, database), ...log });
}

/** A PostgreSQL that syncs every commit, or undefined where it is not installed: `note` says so. */
export async function startDurablePostgres(
  note: (text: string) => void,
): Promise<PostgresServer | undefined> {
  if (['postgres', 'initdb', 'psql'].some((peer) => findPeer(peer as 'postgres') === undefined)) {
    note('PostgreSQL is not installed: its rows are missing.');
    return undefined;
  }
  return startPostgres(undefined, { durable: true });
}

/** CPU seconds of the server with all its processes, also those that have ended. */
export function postgresCpuSeconds(server: PostgresServer): number {
  const file = join(server.sql('postgres', 'SHOW data_directory'), 'postmaster.pid');
  const pid = Number(readFileSync(file, 'utf8').split('\n', 1)[0]);
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean);
  const living = children.map((child) => {
    try {
      return processCpuSeconds(Number(child), 'alone');
    } catch {
      // It ended a moment ago, and is in the sum of those that have.
      return 0;
    }
  });
  return living.reduce((sum, seconds) => sum + seconds, processCpuSeconds(pid, 'with children'));
}
