import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { pino } from 'pino';
import { addPerson } from '../../identity/index.ts';
import { CodedError, systemRandom } from '../../kernel/index.ts';
import { startBroker, type RunningBroker } from '../broker.ts';
import { loadConfig } from '../config.ts';
import { init } from '../operator/init.ts';
import { readPassphrase } from '../passphrase.ts';
import { createPrograms, type Programs, type Ran } from './run.ts';
import { startDemoSshd, type DemoSshd } from './sshd.ts';

/**
 * What `npm start` runs: a broker on embedded defaults in a temporary folder, and the main job performed on it with the real
 * programs: a password becomes a certificate, `ssh` logs in, a revocation ends it, the log proves it. Then the broker stays
 * up until Ctrl-C, which removes everything. With `--once` it leaves at the end of the job.
 */
const options = readOptions();
// A terminal that was closed, or a pipe that nobody reads any more, must not keep the demo from cleaning up.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
const url = `https://127.0.0.1:${options.port}`;
const passwords = {
  admin: systemRandom(12).toString('base64url'),
  alice: systemRandom(12).toString('base64url'),
};

process.exitCode = await main();

function readOptions(): { readonly once: boolean; readonly port: string } {
  try {
    const { values } = parseArgs({ options: { once: { type: 'boolean' }, port: { type: 'string' } } });
    const { once = false, port = '8443' } = values;
    if (/^\d{1,5}$/.test(port) && Number(port) > 0 && Number(port) < 65_536) return { once, port };
  } catch {
    // Told below: what parseArgs says is meant for programmers.
  }
  process.stderr.write(
    'sallyport: `npm start` takes these options only:\n  npm start -- [--once] [--port NUMBER]\n',
  );
  process.exit(2);
}

async function main(): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-demo-'));
  const stopAsked = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => resolve());
  });
  let broker: RunningBroker | undefined;
  let sshd: DemoSshd | undefined;
  try {
    broker = await startInFolder(folder);
    sshd = await startDemoSshd(folder);
    const programs = createPrograms(folder, url);
    const worked = await mainJob(folder, programs, sshd);
    if (!worked) return 1;
    if (options.once) return 0;
    whatNext(folder, programs, sshd);
    await stopAsked;
    print('\nStopping…');
    return 0;
  } catch (error) {
    const next = error instanceof CodedError ? error.next : undefined;
    const cause = error instanceof CodedError ? error.message : describeListen(error);
    process.stderr.write(`sallyport: ${cause}\n${next === undefined ? '' : `  next: ${next}\n`}`);
    return 1;
  } finally {
    await sshd?.stop();
    await broker?.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function startInFolder(folder: string): Promise<RunningBroker> {
  const home = join(folder, 'broker');
  const quiet = { note: () => undefined, askSecret: async () => '' };
  const admin = { name: 'admin', password: passwords.admin };
  await init({ folder: home, caType: 'ed25519', dnsNames: [], admin }, quiet);
  const people = join(home, 'people.json');
  await addPerson(
    people,
    { login: 'alice', groups: ['users'], password: passwords.alice },
    { random: systemRandom },
  );
  const configFile = join(home, 'sallyport.yaml');
  writeFileSync(configFile, readFileSync(configFile, 'utf8').replaceAll(/:8443\b/g, `:${options.port}`));
  const config = loadConfig(configFile);
  const passphrase = await readPassphrase(config.keys.passphrase, process.env, quiet.askSecret);
  const broker = await startBroker({ config, passphrase, log: pino({ level: 'warn' }), version: 'demo' });
  print(`Sallyport: a broker with fresh keys, SQLite and the built-in directory is listening on ${url}\n`);
  for (const person of ['admin', 'alice']) mkdirSync(join(folder, person), { mode: 0o700 });
  return broker;
}

/** @returns false when ssh was let in or refused where it should not have been. @throws CodedError `main.demo_failed` */
async function mainJob(folder: string, programs: Programs, sshd: DemoSshd): Promise<boolean> {
  const as = async (person: 'admin' | 'alice', args: readonly string[], input?: string): Promise<Ran> => {
    const line = `sallyport ${args.map((arg) => (arg.includes(' ') ? `'${arg}'` : arg)).join(' ')}`;
    print(`  $ ${line}`);
    const ran = await programs.sallyport(person, args, input);
    if (ran.code === 0) return ran;
    throw new CodedError('main.demo_failed', `\`${line}\` failed with exit code ${ran.code}:\n${ran.output}`);
  };
  const logIn = (person: 'admin' | 'alice'): Promise<Ran> =>
    as(person, ['login', '--user', person, '--password-stdin', '--no-agent'], passwords[person]);
  const fetchList = (): Promise<Ran> => as('admin', ['krl', 'get', '--out', sshd.revokedKeysFile]);

  step(1, 'alice logs in with her directory password and gets an SSH certificate');
  show(await logIn('alice'));

  step(2, 'an administrator logs in; the host fetches the (empty) revocation list');
  await logIn('admin');
  show(await fetchList());

  step(3, `alice runs ssh to a real sshd${sshd.running ? ` on 127.0.0.1:${sshd.port}` : ''}`);
  const first = await ssh(programs, sshd);
  if (first !== undefined && first.code !== 0)
    return fail('ssh was refused but should have been let in', first, sshd);

  step(4, 'alice leaves the company: the administrator revokes her, and the host fetches the list');
  const why = ['--reason', 'left the company'];
  show(await as('admin', ['admin', 'revoke', '--person', 'alice', ...why, '--lock', '--yes']));
  await fetchList();

  step(5, 'alice tries ssh again, with the same certificate, still hours from its expiry');
  const second = await ssh(programs, sshd);
  if (second !== undefined) {
    if (second.code === 0) return fail('ssh was let in but should have been refused', second, sshd);
    print(`  sshd says: ${sshd.lastRefusal() ?? 'refused'}`);
  }

  step(6, 'an auditor takes the log away and verifies it offline');
  const bundle = join(folder, 'log.bundle');
  await as('admin', ['audit', 'export', '--out', bundle]);
  const logKey = join(folder, 'broker', 'accounting-log.vkey');
  const { code, output } = await as('admin', ['audit', 'verify', bundle, '--key', logKey]);
  const verdict = output.split('\n').filter((line) => /^(integrity|completeness|Verified)/.test(line));
  show({ code, output: verdict.join('\n') });
  return true;
}

async function ssh(programs: Programs, sshd: DemoSshd): Promise<Ran | undefined> {
  if (!sshd.running) {
    print(`  skipped: ${sshd.whyNot}`);
    return undefined;
  }
  print(`  $ ssh -p ${sshd.port} ${userInfo().username}@127.0.0.1`);
  const ran = await programs.ssh('alice', sshd, 'echo "a shell on $(uname -n)"');
  show(ran);
  return ran;
}

function whatNext(folder: string, programs: Programs, sshd: DemoSshd): void {
  const file = join(folder, 'env');
  const lines = Object.entries(programs.environment('admin')).map(
    ([name, value]) => `export ${name}='${value}'`,
  );
  writeFileSync(file, `${lines.join('\n')}\n`);
  print(`
${sshd.running ? 'All of it worked.' : `What was tried worked; the two steps with ssh were skipped: ${sshd.whyNot}.`} The broker keeps running; Ctrl-C stops it and leaves nothing behind. In another terminal, here:
  . ${file}
and then, as the administrator:
  bin/sallyport admin issued
  bin/sallyport policy explain --person admin
  bin/sallyport audit search --person alice`);
}

function fail(what: string, ran: Ran, sshd: DemoSshd): false {
  print(
    `  FAILED: ${what}\n${indent(ran.output)}\n${indent(readFileSync(sshd.logFile, 'utf8').split('\n').slice(-8).join('\n'))}`,
  );
  return false;
}

function describeListen(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'EADDRINUSE')
    return `port ${options.port} on 127.0.0.1 is taken; stop the other program, or take another port: npm start -- --port 9443`;
  return error instanceof Error ? error.message : 'unknown fault';
}

function step(number: number, what: string): void {
  print(`\n${number}. ${what}`);
}

function show({ output }: Ran): void {
  if (output !== '') print(indent(output));
}

function indent(text: string): string {
  return text.replace(/^/gm, '    ');
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
