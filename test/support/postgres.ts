import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { PostgresAddress } from '../../src/store/index.ts';
import { sharedFolderVariable } from './broker-template.ts';
import { freePort } from './free-port.ts';
import { findPeer } from './peers.ts';
import { makeTls } from './slapd.ts';

/** A real PostgreSQL server on loopback, in a folder of its own. */
export interface PostgresServer {
  readonly port: number;
  /** PEM of the authority of its certificate, which is for 127.0.0.1. Clear text is taken as well. */
  readonly ca: string;
  /** Where it keeps its data: tables in `base`, its write-ahead log in `pg_wal`. */
  readonly data: string;
  /** Runs SQL as the superuser. @throws Error with the server's words */
  sql(database: string, text: string): string;
  /** The same, while others go on. */
  run(database: string, text: string): Promise<void>;
  /** Kills every process of it with SIGKILL, at once. */
  kill(): Promise<void>;
  /** After `kill` or `stop`, with the same data and port. Resolves when it answers. */
  start(): Promise<void>;
  /** Stops answering without closing a connection, and goes on. */
  freeze(): void;
  thaw(): void;
  stop(): Promise<void>;
  /** Stops it and removes its folder. */
  close(): Promise<void>;
}

/** Owns the tables; makes and changes them. */
export const owner = 'sallyport_owner';
/** What a broker runs as. */
export const broker = 'sallyport';

/** Whether the tests that need it can run: in CI they must. */
export function hasPostgres(): boolean {
  return findPeer('postgres') !== undefined || process.env['CI'] !== undefined;
}

/** What starts a program as the user of PostgreSQL, which runs nothing as root. */
export const asPostgres = (): readonly string[] =>
  process.getuid?.() === 0 ? ['setpriv', '--reuid=postgres', '--regid=postgres', '--init-groups'] : [];

/** PostgreSQL refuses to run as root. */
function command(
  program: 'initdb' | 'postgres',
  args: readonly string[],
): readonly [string, readonly string[]] {
  const [first, ...others] = [...asPostgres(), findPeer(program) ?? program, ...args];
  return [first ?? program, others];
}

const env = { PATH: process.env['PATH'], LC_ALL: 'C.UTF-8' };

/** @param folder of its own. @param durable with the server's own defaults: what is committed survives a power cut */
export async function startPostgres(
  folder = mkdtempSync(join(tmpdir(), 'sallyport-postgres-')),
  { durable = false } = {},
): Promise<PostgresServer> {
  giveToPostgres(folder);
  chmodSync(folder, 0o755);
  const data = join(folder, 'data');
  const [program, args] = command('initdb', [
    '-D',
    data,
    '-U',
    'postgres',
    '-A',
    'trust',
    '--no-sync',
    '-E',
    'UTF8',
    '--no-instructions',
  ]);
  const made = spawnSync(program, args, { cwd: folder, env, encoding: 'utf8' });
  if (made.status !== 0) throw new Error(`initdb failed: ${made.stderr ?? made.error?.message}`);
  const port = await freePort();
  const tls = join(folder, 'tls');
  makeTls(tls, 'IP:127.0.0.1');
  for (const name of ['server.crt', 'server.key']) giveToPostgres(join(tls, name));
  // Without fsync: a killed process loses nothing that it wrote, only a machine would.
  const speed = durable
    ? 'shared_buffers = 256MB\n'
    : 'fsync = off\nfull_page_writes = off\nshared_buffers = 64MB\nautovacuum_naptime = 5s\n';
  const settings = `listen_addresses = '127.0.0.1'\nport = ${port}\nunix_socket_directories = '${folder}'\n${speed}max_connections = 200
ssl = on
ssl_cert_file = '${tls}/server.crt'
ssl_key_file = '${tls}/server.key'
logging_collector = off\n`;
  appendFileSync(join(data, 'postgresql.conf'), settings);
  const server = serverIn(folder, port);
  await server.start();
  server.sql('postgres', `CREATE ROLE ${owner} LOGIN; CREATE ROLE ${broker} LOGIN`);
  return server;
}

function giveToPostgres(path: string): void {
  if (process.getuid?.() !== 0) return;
  const id = (flag: string): number =>
    Number(spawnSync('id', [flag, 'postgres'], { encoding: 'utf8' }).stdout);
  chownSync(path, id('-u'), id('-g'));
}

function serverIn(folder: string, port: number): PostgresServer {
  const data = join(folder, 'data');
  const pidFile = join(data, 'postmaster.pid');
  const postmaster = (): number => Number(readFileSync(pidFile, 'utf8').split('\n', 1)[0]);
  const signal = (name: NodeJS.Signals): void => {
    for (const pid of [postmaster(), ...childrenOf(postmaster())]) {
      try {
        process.kill(pid, name);
      } catch {
        // It ended a moment ago.
      }
    }
  };
  const gone = async (pid: number): Promise<void> => {
    while (isRunning(pid)) await delay(5);
  };
  const stop = async (): Promise<void> => {
    if (!existsSync(pidFile)) return;
    const pid = postmaster();
    if (isRunning(pid)) process.kill(pid, 'SIGINT');
    await gone(pid);
  };
  return {
    port,
    data,
    get ca() {
      return readFileSync(join(folder, 'tls', 'ca.crt'), 'utf8');
    },
    sql: (database, text) => psql(port, database, text),
    async run(database, text) {
      const child = spawn('psql', psqlArguments(port, database, text), {
        stdio: ['ignore', 'ignore', 'inherit'],
      });
      const [code] = (await once(child, 'exit')) as [number];
      if (code !== 0) throw new Error(`psql ended with ${code}`);
    },
    async kill() {
      const pid = postmaster();
      const all = [pid, ...childrenOf(pid)];
      signal('SIGKILL');
      for (const one of all) await gone(one);
    },
    async start() {
      const [program, args] = command('postgres', ['-D', data]);
      const launch = (): Promise<'ended'> => {
        // Detached: the server of a run outlives the test file that began it.
        const child = spawn(program, args, { cwd: folder, env, stdio: 'ignore', detached: true });
        child.unref();
        return once(child, 'exit').then(() => 'ended' as const);
      };
      let ended = launch();
      for (const endMs = Date.now() + 30_000; Date.now() < endMs;) {
        if (
          spawnSync('psql', ['-h', '127.0.0.1', '-p', String(port), '-U', 'postgres', '-c', 'SELECT 1'], {
            stdio: 'ignore',
          }).status === 0
        )
          return;
        if ((await Promise.race([ended, delay(20)])) !== 'ended') continue;
        // A process that was being forked when the last server was killed still holds its memory, for a moment.
        await delay(100);
        ended = launch();
      }
      throw new Error('postgres does not answer');
    },
    freeze: () => signal('SIGSTOP'),
    thaw: () => signal('SIGCONT'),
    stop,
    async close() {
      await stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function childrenOf(pid: number): readonly number[] {
  const { stdout } = spawnSync('pgrep', ['-P', String(pid)], { encoding: 'utf8' });
  return stdout.split('\n').filter(Boolean).map(Number);
}

function isRunning(pid: number): boolean {
  try {
    // A child that ended and that nobody has waited for is no more.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

const psqlArguments = (port: number, database: string, text: string): string[] =>
  `-h 127.0.0.1 -p ${port} -U postgres -d ${database} -X -q -t -A -v ON_ERROR_STOP=1 -c`
    .split(' ')
    .concat(text);

function psql(port: number, database: string, text: string): string {
  const { status, stdout, stderr, error } = spawnSync('psql', psqlArguments(port, database, text), {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(stderr || (error?.message ?? 'psql failed'));
  return stdout.trim();
}

/** The server that all test files of a run share: whichever comes first starts it, and the run stops it. */
export async function sharedPostgres(): Promise<PostgresServer> {
  shared ??= findShared();
  return shared;
}
let shared: Promise<PostgresServer> | undefined;

async function findShared(): Promise<PostgresServer> {
  const run = process.env[sharedFolderVariable];
  if (run === undefined) throw new Error('this needs the folder of a test run');
  chmodSync(run, 0o755);
  const folder = join(run, 'postgres');
  const ready = join(folder, 'ready');
  try {
    mkdirSync(folder);
  } catch {
    // Another test file is at it.
    for (const endMs = Date.now() + 60_000; !existsSync(ready); await delay(20))
      if (Date.now() > endMs) throw new Error('the shared PostgreSQL does not start');
    return serverIn(folder, Number(readFileSync(ready, 'utf8')));
  }
  const server = await startPostgres(folder);
  writeFileSync(`${ready}.tmp`, String(server.port));
  spawnSync('mv', [`${ready}.tmp`, ready]);
  return server;
}

/** At the end of a run. */
export function stopSharedPostgres(run: string): void {
  const pidFile = join(run, 'postgres', 'data', 'postmaster.pid');
  if (!existsSync(pidFile)) return;
  const pid = Number(readFileSync(pidFile, 'utf8').split('\n', 1)[0]);
  process.kill(pid, 'SIGQUIT');
  for (const endMs = Date.now() + 5000; isRunning(pid) && Date.now() < endMs;) spawnSync('sleep', ['0.02']);
}

/** A new database on the server, empty, of the role that owns the tables. One that was done with is made new again: that is quicker. */
export function newDatabase(server: PostgresServer): string {
  const used = done.pop();
  if (used !== undefined) {
    server.sql(
      used,
      `DROP SCHEMA public CASCADE; CREATE SCHEMA public AUTHORIZATION ${owner}; GRANT USAGE ON SCHEMA public TO PUBLIC`,
    );
    return used;
  }
  count += 1;
  const name = `test_${process.pid}_${count}`;
  server.sql('postgres', `CREATE DATABASE ${name} OWNER ${owner}`);
  return name;
}
let count = 0;
const done: string[] = [];

/** The database is not needed any more, and nobody is connected to it. */
export function doneWith(database: string): void {
  done.push(database);
}

/**
 * The statements of docs/operations/postgresql.md that give a broker's role what it needs, as an operator copies them; after the
 * schema was made.
 */
export function grants(): string {
  const page = readFileSync(join(import.meta.dirname, '../../docs/operations/postgresql.md'), 'utf8');
  const blocks = [...page.matchAll(/^```sql\n([\s\S]*?)^```/gm)].map(([, text = '']) => text);
  const block = blocks.find((text) => text.includes('GRANT SELECT'));
  if (block === undefined) throw new Error('the document has no grants');
  return block;
}

export function addressOf(
  server: Pick<PostgresServer, 'port'>,
  database: string,
  user = broker,
): PostgresAddress {
  return { host: '127.0.0.1', port: server.port, database, user, tls: 'none' };
}
