import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, watch, writeFileSync } from 'node:fs';
import { freePort } from './free-port.ts';
import type { Machine } from './host-machine.ts';
import { findPeer } from './peers.ts';
import { addAccount, removeAbandonedAccounts } from './sshd.ts';

/** A session of a real ssh client, from the moment its command runs. */
export interface OpenSession {
  /** Resolves when the client has ended. */
  readonly ended: Promise<void>;
  /** True while the client runs. */
  alive(): boolean;
  close(): Promise<void>;
}

export interface MachineSshd {
  readonly port: number;
  readonly accounts: readonly string[];
  /** @returns the exit code of ssh: 0 when the login worked, 255 when it was refused */
  login(account: string, identityFile: string): Promise<number>;
  /** Opens a session that stays. @param command run after `echo in`, `sleep 600` unless said */
  open(account: string, identityFile: string, command?: string): Promise<OpenSession>;
  /** Resolves when the machine's auth.log has such text. */
  logged(pattern: RegExp): Promise<void>;
  stop(): Promise<void>;
}

export interface MachineSshdOptions {
  readonly users?: number;
  /** Logs in through PAM, with this text as the service's file; the hook of `install --pam` is added by the script. */
  readonly pam?: boolean;
  /** The CA line of known_hosts; without it any host key will do. */
  readonly hostCa?: string;
}

// A /dev of its own, where syslog's socket is ours: rsyslogd writes the auth.log of the machine, sshd logs as it does everywhere.
const inNamespace = `
set -e
mkdir -p "$ROOT/dev"
mount -t tmpfs none "$ROOT/dev"
for node in null zero full random urandom tty ptmx; do
  [ -e /dev/$node ] || continue
  touch "$ROOT/dev/$node"
  mount --bind /dev/$node "$ROOT/dev/$node"
done
mkdir "$ROOT/dev/pts" "$ROOT/dev/shm"
mount --bind /dev/pts "$ROOT/dev/pts"
mount --rbind "$ROOT/dev" /dev
if [ -n "$PAM" ]; then
  mount --bind "$ROOT/etc/pam.d" /etc/pam.d
fi
rsyslogd -n -f "$ROOT/rsyslog.conf" -i "$ROOT/rsyslog.pid" &
while [ ! -S /dev/log ]; do sleep 0.05; done
exec "$SSHD" -D -f "$ROOT/etc/ssh/sshd_config" -p "$PORT"
`;

/** The real sshd of a machine, with its sshd_config, logging to its var/log/auth.log through a real syslog daemon. Needs root. */
export async function startMachineSshd(
  machine: Machine,
  options: MachineSshdOptions = {},
): Promise<MachineSshd> {
  removeAbandonedAccounts();
  const accounts = Array.from({ length: options.users ?? 1 }, addAccount);
  const port = await freePort();
  const authLog = machine.path('var/log/auth.log');
  writeFileSync(authLog, '');
  writeFileSync(
    machine.path('rsyslog.conf'),
    'module(load="imuxsock" SysSock.Name="/dev/log" SysSock.RateLimit.Interval="0")\n' +
      `auth,authpriv.* action(type="omfile" file="${authLog}" template="RSYSLOG_TraditionalFileFormat")\n`,
  );
  const server = spawn('unshare', ['-m', '--propagation', 'private', 'sh', '-c', inNamespace], {
    env: {
      PATH: process.env['PATH'],
      ROOT: machine.root,
      SSHD: findPeer('sshd'),
      PORT: String(port),
      PAM: options.pam === true ? 'yes' : '',
    },
    stdio: ['ignore', 'ignore', 'inherit'],
    detached: true,
  });
  const ended = once(server, 'exit');
  const logged = (pattern: RegExp): Promise<void> => textIn(authLog, pattern);
  const stop = async (): Promise<void> => {
    if (server.pid !== undefined && server.exitCode === null && server.signalCode === null)
      process.kill(-server.pid, 'SIGKILL');
    await ended;
    killBelow(machine.root);
    for (const account of accounts) spawnSync('userdel', ['-f', account], { stdio: 'ignore' });
  };
  await Promise.race([logged(/Server listening/), ended]);
  const knownHosts = machine.path('known_hosts');
  if (options.hostCa !== undefined) writeFileSync(knownHosts, `@cert-authority * ${options.hostCa}\n`);
  const client = (account: string, identityFile: string, command: string): ChildProcess => {
    const settings = [
      'BatchMode=yes',
      'ConnectTimeout=15',
      'IdentitiesOnly=yes',
      'IdentityAgent=none',
      `IdentityFile=${identityFile}`,
      `CertificateFile=${identityFile}-cert.pub`,
      `UserKnownHostsFile=${options.hostCa === undefined ? '/dev/null' : knownHosts}`,
      'GlobalKnownHostsFile=/dev/null',
      `StrictHostKeyChecking=${options.hostCa === undefined ? 'no' : 'yes'}`,
      'LogLevel=ERROR',
    ].flatMap((setting) => ['-o', setting]);
    const args = ['-F', 'none', '-p', String(port), ...settings, `${account}@127.0.0.1`, command];
    return spawn('ssh', args, { stdio: ['ignore', 'pipe', 'pipe'] });
  };
  return {
    port,
    accounts,
    logged,
    stop,
    async login(account, identityFile) {
      const [code] = (await once(client(account, identityFile, 'true'), 'close')) as [number | null];
      return code ?? 255;
    },
    async open(account, identityFile, command = 'sleep 600') {
      const child = client(account, identityFile, `echo in; ${command}`);
      const over = once(child, 'close').then(() => undefined);
      let stderr = '';
      child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
      const heard = child.stdout === null ? over : once(child.stdout, 'data').then(() => 'in');
      if ((await Promise.race([heard, over])) !== 'in') throw new Error(`no session: ${stderr}`);
      return {
        ended: over,
        alive: () => child.exitCode === null && child.signalCode === null,
        async close() {
          child.kill();
          await over;
        },
      };
    },
  };
}

/** Resolves when a file has such text; rejects with the file after 20 s. */
export function textIn(file: string, pattern: RegExp): Promise<void> {
  return new Promise((resolve, reject) => {
    const watcher = watch(file, look);
    const timer = setTimeout(() => {
      watcher.close();
      reject(new Error(`${file} does not have ${String(pattern)}:\n${readFileSync(file, 'utf8')}`));
    }, 20_000);
    function look(): void {
      if (!existsSync(file) || !pattern.test(readFileSync(file, 'utf8'))) return;
      clearTimeout(timer);
      watcher.close();
      resolve();
    }
    look();
  });
}

/** Processes of sshd left from sessions of a machine: their configuration names its root. */
function killBelow(root: string): void {
  const pids = execFileSync('ps', ['-e', '-o', 'pid=', '-o', 'args='], { encoding: 'utf8' })
    .split('\n')
    .filter((line) => line.includes(root) && /sshd|rsyslogd/.test(line))
    .map((line) => Number(line.trim().split(' ')[0]));
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  }
}

/** A service of PAM that lets everybody in whom sshd let in, and nobody by password. */
export const pamService =
  'auth required pam_deny.so\naccount required pam_permit.so\nsession required pam_permit.so\n';
