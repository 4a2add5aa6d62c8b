import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { CodedError } from '../../kernel/index.ts';
import { describeAddress, type PostgresAddress } from './address.ts';
import { Connections } from './connections.ts';
import { asCoded } from './faults.ts';

/** `COPY` text of an entry and its hash is at most four times as long as the entry. */
const maxLine = 1_000_000;

/**
 * Writes one moment of the database into a new file of mode 0600, in the custom format of `pg_dump`, while brokers go on. Ownership and
 * privileges are left out: they belong to the server.
 * @returns the checkpoint of the log at that very moment. @throws CodedError `store.no_pg_dump`, `store.dump_failed`, `store.unavailable`
 */
export async function dumpDatabase(address: PostgresAddress, to: string): Promise<string> {
  const connections = new Connections(address, 'unbounded');
  try {
    const session = await connections.begin();
    try {
      // The transaction stays open until the dump is over: its snapshot is the one that is dumped.
      await session.run('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
      const { rows } = await session.run(
        'SELECT pg_export_snapshot() AS snapshot, (SELECT checkpoint FROM log_head WHERE id = 1) AS checkpoint',
      );
      const { snapshot, checkpoint } = rows[0] as { snapshot: string; checkpoint: string | null };
      if (checkpoint === null) throw failed('the database has no log');
      // Made here, so that it is never anybody else's to read.
      closeSync(openSync(to, 'wx', 0o600));
      await runDump(address, to, snapshot);
      return checkpoint;
    } finally {
      session.release(false);
    }
  } catch (error) {
    throw asCoded(error, `The database ${describeAddress(address)} cannot be copied`);
  } finally {
    await connections.close();
  }
}

async function runDump(address: PostgresAddress, to: string, snapshot: string): Promise<void> {
  const caFile = `${to}.ca`;
  const { tls } = address;
  if (tls !== 'none' && tls.ca !== undefined) writeFileSync(caFile, tls.ca, { flag: 'wx', mode: 0o600 });
  try {
    const args = [
      '--format=custom',
      '--no-owner',
      '--no-privileges',
      '--no-password',
      '--lock-wait-timeout=10000',
      // Signs of life of brokers are of that server, not of wherever this is put back.
      '--exclude-table-data=broker_lease',
      `--snapshot=${snapshot}`,
      `--file=${to}`,
      `--host=${address.host}`,
      `--port=${address.port}`,
      `--username=${address.user}`,
      `--dbname=${address.database}`,
    ];
    await run('pg_dump', args, {
      PGSSLMODE: tls === 'none' ? 'prefer' : 'verify-full',
      ...(tls === 'none' ? {} : { PGSSLROOTCERT: tls.ca === undefined ? 'system' : caFile }),
      ...(address.password === undefined ? {} : { PGPASSWORD: address.password }),
    });
  } finally {
    rmSync(caFile, { force: true });
  }
}

/**
 * Reads the log out of a file that `dumpDatabase` wrote, with `pg_restore` and without a server. Entries come in any order.
 * @returns the checkpoint that the database held. @throws CodedError `store.no_pg_dump`, `store.dump_failed`
 */
export async function readDumpedLog(
  file: string,
  onEntry: (index: bigint, bytes: Buffer) => void,
): Promise<string> {
  let checkpoint: string | undefined;
  let table = '';
  await run(
    'pg_restore',
    ['--data-only', '--table=log_entry', '--table=log_head', '--file=-', file],
    {},
    (line) => {
      if (line.length > maxLine) throw failed('a line in it is too long');
      if (line === '\\.') table = '';
      else if (table === '') table = /^COPY public\.(log_entry|log_head) \(/.exec(line)?.[1] ?? '';
      else if (table === 'log_head') checkpoint = unescaped(line.split('\t')[5] ?? '');
      else {
        const [index = '', , entry = ''] = line.split('\t');
        if (!/^(?:0|[1-9]\d{0,14})$/.test(index) || !/^\\\\x(?:[0-9a-f]{2})*$/.test(entry))
          throw failed('it has an entry of another form');
        onEntry(BigInt(index), Buffer.from(entry.slice(3), 'hex'));
      }
    },
  );
  if (checkpoint === undefined) throw failed('there is no log in it');
  return checkpoint;
}

/** What `COPY` writes for the characters that would end a field or a line. */
function unescaped(field: string): string {
  const named: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r' };
  return field.replace(/\\(.)/g, (_, letter: string) => named[letter] ?? letter);
}

/** Runs a program of PostgreSQL; `onLine` is given what it says. @throws CodedError with its own words */
async function run(
  program: 'pg_dump' | 'pg_restore',
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  onLine: (line: string) => void = () => undefined,
): Promise<void> {
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env, LC_MESSAGES: 'C' },
  });
  const ended = once(child, 'close').catch((error: unknown) => {
    throw new CodedError('store.no_pg_dump', `${program} cannot be run on this machine.`, {
      next: 'Install the client programs of PostgreSQL, of the version of the server or newer.',
      cause: error,
    });
  });
  // Whoever waits below is told; this only keeps it from being nobody's until then.
  ended.catch(() => undefined);
  let words = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (words = `${words}${text}`.slice(-2000)));
  try {
    for await (const line of createInterface({ input: child.stdout, crlfDelay: Infinity })) onLine(line);
  } catch (error) {
    child.kill();
    throw error;
  }
  const [code] = (await ended) as [number | null];
  if (code !== 0) throw failed(`${program} ended with ${code ?? 'a signal'}: ${words.trim()}`);
}

function failed(why: string): CodedError {
  return new CodedError('store.dump_failed', `The copy of the database is not whole: ${why}.`, {
    next: 'Nothing is left of it. Check that pg_dump is not older than the server, the address, the rights of the role, and the disk.',
  });
}
