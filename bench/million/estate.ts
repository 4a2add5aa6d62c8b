import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadConfig } from '../../src/main/config.ts';
import { logOf, logSignerOf, openKeys } from '../../src/main/load.ts';
import { copyToPostgres, openPostgresStore } from '../../src/store/index.ts';
import type { BrokerFolder } from '../../test/support/broker.ts';
import { addressOf, broker, grants, newDatabase, owner } from '../../test/support/postgres.ts';
import type { PostgresServer } from '../../test/support/postgres.ts';
import { makeUnlimitedFolder, scriptAt } from '../broker-load.ts';

/** A broker's folder, stopped, whose SQLite database holds so many certificates. */
export async function filledFolder(certificates: number): Promise<BrokerFolder> {
  const made = await makeUnlimitedFolder();
  const args = [scriptAt('bench/million/fill-store.ts'), made.configFile, String(certificates)];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code === 0) return made;
  removeFilled(made);
  throw new Error(`filling ${certificates} certificates ended with ${String(code)}`);
}

/** A folder with the same keys whose broker runs on a copy of that database on the server, made as `store copy` makes it. */
export async function copiedFolder(from: BrokerFolder, server: PostgresServer): Promise<BrokerFolder> {
  const made = await makeUnlimitedFolder();
  const config = loadConfig(from.configFile);
  const passphrase = readFileSync(join(from.folder, 'secrets', 'keys.passphrase'), 'utf8').trim();
  const keys = await openKeys(config, passphrase);
  const database = newDatabase(server);
  const log = logOf({ origin: config.log.origin, logSigner: logSignerOf(keys.log) });
  await copyToPostgres({
    folder: join(from.folder, 'data'),
    address: addressOf(server, database, owner),
    ...log,
  });
  server.sql(database, grants());
  // What is searched by is filled in by the first that asks: nobody is to wait for that while it is measured.
  const store = await openPostgresStore({ address: addressOf(server, database), ...log });
  await store.searchLog({ serial: '1', limit: 1 });
  await store.close();
  server.sql(database, 'ANALYZE');
  const line = `database: postgres://${broker}@127.0.0.1:${server.port}/${database}`;
  writeFileSync(made.configFile, readFileSync(made.configFile, 'utf8').replace(/^data: data$/m, line));
  copyFileSync(join(from.folder, 'log-checkpoint'), join(made.folder, 'log-checkpoint'));
  return made;
}

/** Bytes of the database's files, the write-ahead log included. */
export function databaseBytes({ folder }: BrokerFolder): number {
  const data = join(folder, 'data');
  return readdirSync(data).reduce((sum, name) => sum + statSync(join(data, name)).size, 0);
}

/** Removes it without looking for secrets in gigabytes. */
export function removeFilled(made: BrokerFolder): void {
  rmSync(made.folder, { recursive: true, force: true });
  made.remove();
}
