import { execFile, execFileSync, spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './free-port.ts';
import { findPeer } from './peers.ts';

export interface SshdOptions {
  /** Lines of TrustedUserCAKeys, e.g. from `formatPublicKey`. May be empty: then no certificate is trusted. */
  readonly userCaLines: readonly string[];
  /** RevokedKeys; sshd reads it anew at each login. A missing or broken file refuses every key. */
  readonly revokedKeysFile?: string;
  /** How many local accounts to make, 1 unless said. Their random names are in `accounts`. */
  readonly users?: number;
  /** Per account (by position): lines of its AuthorizedPrincipalsFile. Without it a certificate must name the account itself. */
  readonly principals?: readonly (readonly string[])[];
  /** Further lines of sshd_config, put first, so that they win. */
  readonly config?: readonly string[];
}

export interface LoginOptions {
  readonly account: string;
  /** Private key file, mode 600. The certificate is looked for beside it, at `<file>-cert.pub`, unless `certificateFile` is given. */
  readonly identityFile?: string;
  readonly certificateFile?: string;
  /** Socket of an agent whose keys are offered, instead of or besides the file. */
  readonly agentSocket?: string;
  /** Run on the server; `echo in` unless said. */
  readonly command?: string;
  /** Loopback address to come from, `127.0.0.1` unless said. */
  readonly from?: string;
}

export interface LoginResult {
  /** 0 when the login worked and the command succeeded; 255 when ssh was refused. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunningSshd {
  readonly port: number;
  readonly accounts: readonly string[];
  /** A known_hosts file with the host key of this server. */
  readonly knownHostsFile: string;
  /** Everything that sshd has logged (LogLevel VERBOSE). */
  log(): string;
  /**
   * Resolves when the log has such text, from character `after` of it on (it may come a moment after the client has ended);
   * rejects with the log after 10 s.
   */
  logged(pattern: RegExp, after?: number): Promise<void>;
  /** Runs the real ssh client, without agent, configuration file or questions. */
  login(options: LoginOptions): Promise<LoginResult>;
  /** Ends the server and its sessions and removes the accounts and files. */
  stop(): Promise<void>;
}

/**
 * A real sshd on a free loopback port, with accounts of its own, so that test files may run side by side. Needs root and
 * `describeWithPeers(['sshd', 'ssh', 'ssh-keygen', 'root'], …)`. What it makes goes at `stop`, or when the process exits, or, after a
 * `kill -9`, when the next sshd starts.
 */
export async function startSshd(options: SshdOptions): Promise<RunningSshd> {
  mkdirSync('/run/sshd', { recursive: true, mode: 0o755 }); // compiled in as the privilege separation folder
  removeAbandonedAccounts();
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-sshd-'));
  chmodSync(folder, 0o755);
  const accounts: string[] = [];
  let server: ChildProcess | undefined;
  const clean = (): void => {
    if (server?.pid !== undefined) killGroup(server.pid);
    for (const account of accounts.splice(0)) spawnSync('userdel', ['-f', account], { stdio: 'ignore' });
    rmSync(folder, { recursive: true, force: true });
  };
  process.once('exit', clean);
  try {
    for (let made = 0; made < (options.users ?? 1); made += 1) accounts.push(addAccount());
    const hostKey = join(folder, 'hostkey');
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'host', '-f', hostKey]);
    const started = await listen(folder, sshdConfig(folder, accounts, options));
    server = started.server;
    const { port, log } = started;
    const knownHostsFile = join(folder, 'known_hosts');
    writeFileSync(knownHostsFile, `[127.0.0.1]:${port} ${readFileSync(`${hostKey}.pub`, 'utf8')}`);
    return {
      port,
      accounts: [...accounts],
      knownHostsFile,
      log,
      logged: (pattern, after = 0) => waitForLog(started, pattern, after),
      login: (login) => sshLogin(port, knownHostsFile, login),
      stop: async () => {
        const ended = started.ended;
        process.removeListener('exit', clean);
        clean();
        await ended;
      },
    };
  } catch (error) {
    process.removeListener('exit', clean);
    clean();
    throw error;
  }
}

function sshdConfig(folder: string, accounts: readonly string[], options: SshdOptions): readonly string[] {
  writeFileSync(join(folder, 'user_ca.pub'), `${options.userCaLines.join('\n')}\n`);
  const lines = [
    ...(options.config ?? []),
    'ListenAddress 127.0.0.1',
    `HostKey ${folder}/hostkey`,
    `TrustedUserCAKeys ${folder}/user_ca.pub`,
    'PidFile none',
    'LogLevel VERBOSE',
    'UsePAM no',
    'StrictModes no', // a temporary folder has a parent that everybody may write to
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    'AuthorizedKeysFile none',
    'MaxAuthTries 20',
    'MaxStartups 100',
    'PrintMotd no',
  ];
  if (options.revokedKeysFile !== undefined) lines.push(`RevokedKeys ${options.revokedKeysFile}`);
  // From 9.8 on, sshd shuts out an address after a few refused logins, which is what these tests are about.
  if (opensshVersion() >= 9.8) lines.push('PerSourcePenalties no');
  if (options.principals !== undefined) {
    mkdirSync(join(folder, 'principals'));
    for (const [index, account] of accounts.entries()) {
      const principals = (options.principals[index] ?? []).map((principal) => `${principal}\n`).join('');
      writeFileSync(join(folder, 'principals', account), principals);
    }
    lines.push(`AuthorizedPrincipalsFile ${folder}/principals/%u`);
  }
  return lines;
}

interface Listening {
  readonly server: ChildProcess;
  readonly port: number;
  readonly log: () => string;
  readonly ended: Promise<void>;
}

function waitForLog({ server, log }: Listening, pattern: RegExp, after: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (settle: () => void): void => {
      clearTimeout(timer);
      server.stderr?.removeListener('data', look);
      settle();
    };
    const look = (): void => {
      if (pattern.test(log().slice(after))) done(resolve);
    };
    const timer = setTimeout(
      () => done(() => reject(new Error(`sshd did not log ${String(pattern)}:\n${log()}`))),
      10_000,
    );
    server.stderr?.on('data', look);
    look();
  });
}

/** Another process can take the port between our choice and sshd's start: then another one is tried. */
async function listen(folder: string, config: readonly string[]): Promise<Listening> {
  const file = join(folder, 'sshd_config');
  for (let attempt = 1; ; attempt += 1) {
    const port = await freePort();
    writeFileSync(file, [`Port ${port}`, ...config, ''].join('\n'));
    const server = spawn(findPeer('sshd') ?? '/usr/sbin/sshd', ['-D', '-e', '-f', file], {
      stdio: ['ignore', 'ignore', 'pipe'],
      detached: true,
    });
    let log = '';
    const ended = new Promise<void>((resolve) => server.once('exit', () => resolve()));
    const listening = new Promise<boolean>((resolve) => {
      server.stderr.setEncoding('utf8');
      server.stderr.on('data', (text: string) => {
        log += text;
        if (log.includes('Server listening on')) resolve(true);
      });
      server.once('error', () => resolve(false));
      void ended.then(() => resolve(false));
    });
    if (await listening) return { server, port, log: () => log, ended };
    if (attempt === 5 || !log.includes('Address already in use'))
      throw new Error(`sshd did not start:\n${log}`);
  }
}

function sshLogin(port: number, knownHostsFile: string, login: LoginOptions): Promise<LoginResult> {
  const options: Record<string, string> = {
    BatchMode: 'yes',
    ConnectTimeout: '15',
    IdentitiesOnly: login.agentSocket === undefined ? 'yes' : 'no',
    IdentityAgent: login.agentSocket ?? 'none',
    IdentityFile: login.identityFile ?? 'none',
    UserKnownHostsFile: knownHostsFile,
    GlobalKnownHostsFile: '/dev/null',
    StrictHostKeyChecking: 'yes',
  };
  const certificate = login.certificateFile ?? `${login.identityFile}-cert.pub`;
  if (existsSync(certificate)) options['CertificateFile'] = certificate;
  const args = ['-F', 'none', '-p', String(port), '-b', login.from ?? '127.0.0.1'];
  for (const [name, value] of Object.entries(options)) args.push('-o', `${name}=${value}`);
  args.push(`${login.account}@127.0.0.1`, login.command ?? 'echo in');
  return new Promise((resolve) => {
    execFile('ssh', args, { timeout: 30_000, encoding: 'utf8' }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 255;
      resolve({ code, stdout, stderr });
    });
  });
}

/** The process id in the name tells the next run whose accounts nobody will remove any more. */
const accountName = /^spt-(\d+)-[0-9a-f]{6}:/;

/** A local account that can log in with a key or certificate only. Whoever asks for one removes it (`userdel -f`). */
export function addAccount(): string {
  const account = `spt-${process.pid}-${randomBytes(3).toString('hex')}`;
  // Password `*` is no password; the `!` that useradd would write means locked, which sshd refuses when PAM is off.
  const args = ['-M', '-N', '-d', '/nonexistent', '-s', '/bin/sh', '-p', '*', account];
  for (let attempt = 1; ; attempt += 1) {
    const run = spawnSync('useradd', args, { encoding: 'utf8' });
    if (run.status === 0) return account;
    if (attempt === 3) throw new Error(`useradd failed: ${run.stderr}`); // it waits for the lock of /etc/passwd by itself
  }
}

/** Those of test runs that were killed. */
export function removeAbandonedAccounts(): void {
  for (const line of readFileSync('/etc/passwd', 'utf8').split('\n')) {
    const pid = accountName.exec(line)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`))
      spawnSync('userdel', ['-f', line.slice(0, line.indexOf(':'))], { stdio: 'ignore' });
  }
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGTERM');
  } catch {
    // It has ended by itself.
  }
}

function opensshVersion(): number {
  const { stderr } = spawnSync('ssh', ['-V'], { encoding: 'utf8' });
  return Number(/OpenSSH_(\d+\.\d+)/.exec(stderr)?.[1] ?? 0);
}
