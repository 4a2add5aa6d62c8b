import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findPeer } from './peers.ts';

export const hostScript = join(import.meta.dirname, '..', '..', 'host', 'sallyport-host.sh');

export interface MachineOptions {
  /** sshd_config; `@ROOT@` becomes the folder of the machine. */
  readonly config?: string;
  /** Further files, by path below the root. */
  readonly files?: Readonly<Record<string, string>>;
  /** Kinds of host keys to make, Ed25519 unless said. */
  readonly hostKeys?: readonly string[];
  /** The shell that runs the script, dash unless said. */
  readonly shell?: string;
}

export interface ScriptResult {
  /** Undefined when a signal ended it. */
  readonly code: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** What stands behind the name of the script; variables of the environment may stand last. */
export type ScriptArguments = readonly (string | NodeJS.ProcessEnv)[];

/** A folder that stands for the root of a machine: sshd_config, host keys, machine id. The script works on it by SALLYPORT_ROOT. */
export interface Machine {
  readonly root: string;
  path(...parts: string[]): string;
  /** Runs the script, as installed or as in the tree. */
  run(...args: ScriptArguments): Promise<ScriptResult>;
  /** Runs a script of another place. */
  runFile(file: string, ...args: ScriptArguments): Promise<ScriptResult>;
  /** Starts it; whoever starts it ends it. */
  start(...args: ScriptArguments): ChildProcess;
  startFile(file: string, ...args: ScriptArguments): ChildProcess;
  /** What the real sshd makes of the configuration, a line for each setting. */
  effective(): readonly string[];
  remove(): void;
}

const plainConfig = `ListenAddress 127.0.0.1
HostKey @ROOT@/etc/ssh/ssh_host_ed25519_key
PidFile @ROOT@/run/sshd.pid
LogLevel VERBOSE
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
AuthorizedKeysFile none
`;

export function makeMachine(options: MachineOptions = {}): Machine {
  mkdirSync('/run/sshd', { recursive: true, mode: 0o755 }); // compiled into sshd
  const root = mkdtempSync(join(tmpdir(), 'sallyport-machine-'));
  chmodSync(root, 0o755);
  const path = (...parts: string[]): string => join(root, ...parts);
  mkdirSync(path('etc', 'ssh'), { recursive: true });
  mkdirSync(path('run'));
  mkdirSync(path('var', 'log'), { recursive: true });
  const files: Record<string, string> = {
    'etc/machine-id': `${randomBytes(16).toString('hex')}\n`,
    'etc/ssh/sshd_config': options.config ?? plainConfig,
    ...options.files,
  };
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(join(path(name), '..'), { recursive: true });
    writeFileSync(path(name), content.replaceAll('@ROOT@', root), 'latin1');
  }
  for (const kind of options.hostKeys ?? ['ed25519']) {
    const file = path('etc', 'ssh', `ssh_host_${kind}_key`);
    if (!existsSync(file)) execFileSync('ssh-keygen', ['-q', '-t', kind, '-N', '', '-C', kind, '-f', file]);
  }
  const shell = options.shell ?? 'dash';
  const env = {
    PATH: process.env['PATH'],
    HOME: root,
    SALLYPORT_ROOT: root,
    SALLYPORT_SSHD: findPeer('sshd'),
  };
  const startFile: Machine['startFile'] = (file, ...args) => {
    const last = args.at(-1);
    const [words, more] = typeof last === 'object' ? [args.slice(0, -1), last] : [args, {}];
    return spawn(shell, [file, ...(words as string[])], {
      env: { ...env, ...more },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  };
  const installed = path('etc', 'sallyport', 'sallyport-host');
  const start: Machine['start'] = (...args) =>
    startFile(existsSync(installed) ? installed : hostScript, ...args);
  return {
    root,
    path,
    start,
    startFile,
    run: (...args) => outcome(start(...args)),
    runFile: (file, ...args) => outcome(startFile(file, ...args)),
    effective: () =>
      execFileSync(findPeer('sshd') ?? 'sshd', ['-T', '-f', path('etc/ssh/sshd_config')], {
        encoding: 'utf8',
      }).split('\n'),
    remove: () => rmSync(root, { recursive: true, force: true, maxRetries: 10 }),
  };
}

/** What a process said, once it has ended. */
export function outcome(child: ChildProcess): Promise<ScriptResult> {
  let [stdout, stderr] = ['', ''];
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code: code ?? undefined, stdout, stderr }));
  });
}

/** Every file below a folder with its bytes, mode included, links and sockets left out. */
export function snapshot(folder: string): Record<string, string> {
  const out = execFileSync(
    'sh',
    [
      '-c',
      'find . -type f -exec stat -c "%n %a %u" {} + | sort; find . -type f -exec sha256sum {} + | sort -k 2; find . -type d | sort',
    ],
    { cwd: folder, encoding: 'utf8' },
  );
  return Object.fromEntries(out.split('\n').map((line, index) => [`${index}`, line]));
}

export const read = (file: string): string => readFileSync(file, 'utf8');
