import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, openSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { createServer, connect } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';

/** A real sshd on a loopback port that trusts the demo's CA, or the reason why there is none. */
export interface DemoSshd {
  readonly running: boolean;
  readonly whyNot: string;
  readonly port: number;
  readonly revokedKeysFile: string;
  readonly knownHostsFile: string;
  readonly logFile: string;
  /** The last line in which sshd says why it refused. */
  lastRefusal(): string | undefined;
  stop(): Promise<void>;
}

const privilegeSeparation = '/run/sshd';

/** Runs as the user who runs the demo; the account is entered with alice's principal by an AuthorizedPrincipalsFile. */
export async function startDemoSshd(folder: string): Promise<DemoSshd> {
  const home = join(folder, 'sshd');
  mkdirSync(join(home, 'principals'), { recursive: true, mode: 0o700 });
  const files = {
    revokedKeysFile: join(home, 'revoked.krl'),
    knownHostsFile: join(home, 'known_hosts'),
    logFile: join(home, 'sshd.log'),
  };
  const program = ['/usr/sbin/sshd', '/usr/local/sbin/sshd', '/usr/bin/sshd'].find((path) =>
    existsSync(path),
  );
  if (program === undefined)
    return absent(files, 'OpenSSH’s server (Debian: openssh-server) is not installed');
  const madeFolder = makePrivilegeSeparation();
  const port = await freePort();
  execFileSync('ssh-keygen', [
    '-q',
    '-t',
    'ed25519',
    '-N',
    '',
    '-C',
    'demo-host',
    '-f',
    join(home, 'hostkey'),
  ]);
  writeFileSync(
    files.knownHostsFile,
    `[127.0.0.1]:${port} ${readFileSync(join(home, 'hostkey.pub'), 'utf8')}`,
  );
  writeFileSync(join(home, 'principals', userInfo().username), 'alice\n');
  writeFileSync(join(home, 'sshd_config'), configuration(folder, home, port, files.revokedKeysFile));
  const log = openSync(files.logFile, 'a', 0o600);
  const child = spawn(program, ['-D', '-e', '-f', join(home, 'sshd_config')], {
    stdio: ['ignore', log, log],
  });
  const up = await answers(port, child);
  const stop = (): Promise<void> => stopSshd(child, madeFolder);
  if (!up) {
    await stop();
    return absent(
      files,
      `sshd did not start: ${readFileSync(files.logFile, 'utf8').trim().split('\n').at(-1) ?? ''}`,
    );
  }
  return {
    ...files,
    running: true,
    whyNot: '',
    port,
    lastRefusal: () =>
      readFileSync(files.logFile, 'utf8')
        .split('\n')
        .findLast((line) => /revoked|invalid|refus/i.test(line)),
    stop,
  };
}

function configuration(folder: string, home: string, port: number, revokedKeysFile: string): string {
  return `Port ${port}
ListenAddress 127.0.0.1
HostKey ${join(home, 'hostkey')}
TrustedUserCAKeys ${join(folder, 'broker', 'ssh-user-ca.pub')}
AuthorizedPrincipalsFile ${join(home, 'principals')}/%u
RevokedKeys ${revokedKeysFile}
PidFile ${join(home, 'sshd.pid')}
LogLevel VERBOSE
UsePAM no
StrictModes no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
AuthorizedKeysFile none
PrintMotd no
`;
}

/** As root, sshd wants its compiled-in folder. @returns true when it was made here. */
function makePrivilegeSeparation(): boolean {
  if (process.getuid?.() !== 0 || existsSync(privilegeSeparation)) return false;
  mkdirSync(privilegeSeparation, { mode: 0o755 });
  return true;
}

function stopSshd(child: ChildProcess, madeFolder: boolean): Promise<void> {
  const removeFolder = (): void => {
    if (madeFolder) rmdirSync(privilegeSeparation);
  };
  if (child.exitCode !== null || child.signalCode !== null) {
    removeFolder();
    return Promise.resolve();
  }
  return new Promise((resolve) => {
    child.once('exit', () => {
      removeFolder();
      resolve();
    });
    child.kill('SIGTERM');
  });
}

function absent(
  files: Pick<DemoSshd, 'revokedKeysFile' | 'knownHostsFile' | 'logFile'>,
  whyNot: string,
): DemoSshd {
  return {
    ...files,
    running: false,
    whyNot,
    port: 0,
    lastRefusal: () => undefined,
    stop: async () => undefined,
  };
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

/** Waits until something accepts on the port, sshd dies, or five seconds are over. */
async function answers(port: number, child: ChildProcess): Promise<boolean> {
  const deadlineMs = Date.now() + 5000;
  while (Date.now() < deadlineMs && child.exitCode === null) {
    const accepted = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1');
      socket.once('connect', () => resolve(true));
      socket.once('error', () => resolve(false));
      socket.once('close', () => resolve(false));
      socket.setTimeout(500, () => socket.destroy());
      socket.once('connect', () => socket.destroy());
    });
    if (accepted) return true;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  return false;
}
