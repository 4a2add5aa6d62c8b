import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { DemoSshd } from './sshd.ts';

const cli = fileURLToPath(new URL('../../../bin/sallyport', import.meta.url));

export interface Ran {
  /** 127 when the program could not be started. */
  readonly code: number;
  /** Standard output and error as they came, without the last line end. */
  readonly output: string;
}

/** The programs of the demo, as the people in it run them. */
export interface Programs {
  /** What makes `sallyport` act as this person at the demo's broker. */
  environment(person: string): Readonly<Record<string, string>>;
  /** @param input one line on standard input */
  sallyport(person: string, args: readonly string[], input?: string): Promise<Ran>;
  /** One command through ssh with that person's certificate, as the user who runs the demo. */
  ssh(person: string, sshd: DemoSshd, command: string): Promise<Ran>;
}

/** Every file that the programs write lies below `folder`, the code that Node compiles for them too. */
export function createPrograms(folder: string, url: string): Programs {
  const cache = join(folder, 'cache');
  mkdirSync(cache, { mode: 0o700 });
  const environment = (person: string): Readonly<Record<string, string>> => ({
    SALLYPORT_URL: url,
    SALLYPORT_CA_FILE: join(folder, 'broker', 'tls', 'ca.pem'),
    SALLYPORT_HOME: join(folder, person),
  });
  return {
    environment,
    sallyport: (person, args, input) =>
      run(process.execPath, [cli, ...args], { ...environment(person), XDG_CACHE_HOME: cache }, input),
    ssh(person, sshd, command) {
      const options = [
        'BatchMode=yes',
        'StrictHostKeyChecking=yes',
        `UserKnownHostsFile=${sshd.knownHostsFile}`,
        'IdentitiesOnly=yes',
      ].flatMap((option) => ['-o', option]);
      const key = join(folder, person, 'id_ed25519');
      const host = ['-p', String(sshd.port), `${userInfo().username}@127.0.0.1`];
      return run('ssh', ['-F', 'none', '-i', key, ...options, ...host, command], {});
    },
  };
}

function run(
  command: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
  input?: string,
): Promise<Ran> {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      env: { ...process.env, NO_COLOR: '1', ...environment },
      stdio: 'pipe',
    });
    const chunks: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.on('error', (error) => resolve({ code: 127, output: error.message }));
    child.on('close', (code) =>
      resolve({ code: code ?? 1, output: Buffer.concat(chunks).toString('utf8').trimEnd() }),
    );
    child.stdin.on('error', () => undefined); // a program that does not read its input may be gone already
    child.stdin.end(input === undefined ? '' : `${input}\n`);
  });
}
