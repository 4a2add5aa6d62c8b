import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadConfig } from '../../src/main/config.ts';
import { createStore, logSignerOf, openKeys } from '../../src/main/load.ts';
import { makeBrokerFolder, type BrokerFolder, type BrokerFolderOptions } from './broker.ts';
import { freePort } from './free-port.ts';
import { refuseUndocumentedEntries } from './log-schema.ts';
import { serve, type Served } from './serve.ts';
import { addressOf, broker, doneWith, grants, newDatabase, owner, type PostgresServer } from './postgres.ts';

/** Folders of brokers that share keys, people and one database; nothing is started. */
export interface SharedBrokers {
  readonly folders: readonly BrokerFolder[];
  readonly database: string;
  remove(): void;
}

/** @param via where they connect to, when it is not the server itself */
export async function brokersOnPostgres(
  server: PostgresServer,
  count: number,
  options: BrokerFolderOptions & { readonly via?: { readonly port: number } } = {},
): Promise<SharedBrokers> {
  const first = await makeBrokerFolder(options);
  const { log } = loadConfig(first.configFile);
  const passphrase = readFileSync(join(first.folder, 'secrets', 'keys.passphrase'), 'utf8').trim();
  const keys = await openKeys(loadConfig(first.configFile), passphrase);
  const database = newDatabase(server);
  const place = { kind: 'postgres', address: addressOf(server, database, owner) } as const;
  await createStore(place, { origin: log.origin, logSigner: logSignerOf(keys.log) });
  server.sql(database, grants());
  const port = options.via?.port ?? server.port;
  const line = `database: postgres://${broker}@127.0.0.1:${port}/${database}`;
  const config = readFileSync(first.configFile, 'utf8')
    .replace(/^data: data$/m, line)
    .replace(/^( *certificates-per-hour:) \d+$/m, '$1 1000000');
  writeFileSync(first.configFile, config);
  const folders = [first];
  for (let nth = 1; nth < count; nth += 1) folders.push(await copyOf(first, config));
  // As behind one address: each takes proofs that were made for any of them.
  const origins = folders.map(({ url }) => `  - "${url}"`).join('\n');
  for (const { configFile } of folders) {
    const text = readFileSync(configFile, 'utf8');
    writeFileSync(configFile, text.replace(/^origins:\n(?: {2}- .*\n)+/m, `origins:\n${origins}\n`));
  }
  return {
    folders,
    database,
    remove() {
      refuseUndocumentedEntries(entriesOf(server, database));
      for (const folder of folders) folder.remove();
      doneWith(database);
    },
  };
}

/** Everything in the log, past every broker. */
function* entriesOf(server: PostgresServer, database: string): Generator<string> {
  const perPage = 500;
  for (let from = 0; ; from += perPage) {
    const page = server.sql(
      database,
      `SELECT convert_from(entry, 'UTF8') FROM log_entry WHERE idx >= ${from} ORDER BY idx LIMIT ${perPage}`,
    );
    if (page === '') return;
    // Canonical JSON has no line breaks.
    yield* page.split('\n');
  }
}

/** Starts the first, gives the others the checkpoint that it keeps, as an operator does who adds a broker, and starts them. */
export async function serveAll({ folders }: SharedBrokers): Promise<Served[]> {
  const [first, ...others] = folders;
  if (first === undefined) return [];
  const running = [await serve(first.configFile)];
  const kept = readFileSync(join(first.folder, 'log-checkpoint'));
  for (const { folder } of others) writeFileSync(join(folder, 'log-checkpoint'), kept);
  running.push(...(await Promise.all(others.map(({ configFile }) => serve(configFile)))));
  return running;
}

/** Another broker of the same authority: the same keys and people, and a port of its own. */
async function copyOf(first: BrokerFolder, config: string): Promise<BrokerFolder> {
  const other = await makeBrokerFolder({ people: [] });
  const port = await freePort();
  for (const name of [
    'keys',
    'secrets',
    'people.json',
    'policy.yaml',
    'tls',
    'accounting-log.vkey',
    'ssh-user-ca.pub',
  ])
    cpSync(join(first.folder, name), join(other.folder, name), { recursive: true });
  writeFileSync(other.configFile, config.replaceAll(String(first.port), String(port)));
  return { ...other, port, url: `https://127.0.0.1:${port}` };
}
