import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { basename, join } from 'node:path';
import { generateProofKey, type BrokerClient, type ProofKey } from '../../src/doors/client/index.ts';
import { systemClock } from '../../src/kernel/index.ts';
import { clientOf, type BrokerFolder, type TestPerson } from './broker.ts';
import { handOutCommand, hear } from './handed-out.ts';

const cli = join(import.meta.dirname, '..', '..', 'bin', 'sallyport');

/** A process, with all that it has said. */
export interface Spoken {
  readonly process: ChildProcess;
  /** Standard output: the broker's own messages, JSON lines. */
  stdout(): string;
  stderr(): string;
  /**
   * Resolves when it has said such a thing on either stream, from character `after` of both together on.
   * Rejects with everything it said when it ends before, or when half a minute went by.
   */
  said(pattern: RegExp, after?: number): Promise<void>;
  /** How much it has said so far, for `after`. */
  length(): number;
  /** Resolves with the exit code, or undefined when a signal ended it. */
  ended(): Promise<number | undefined>;
}

/** `sallyport serve` as a process of its own. */
export interface Served extends Spoken {
  /** SIGTERM. @returns the exit code */
  stop(): Promise<number | undefined>;
}

type Env = Readonly<Record<string, string | undefined>>;

/** Starts `sallyport serve` and waits until it is ready. @throws Error with what it said when it ends instead */
export async function serve(configFile: string, env: Env = {}): Promise<Served> {
  const spoken = runSallyport(['serve', '--config', configFile], env);
  await spoken.said(/is ready/);
  return {
    ...spoken,
    stop() {
      spoken.process.kill('SIGTERM');
      return spoken.ended();
    },
  };
}

/** The command line as a process of its own, `input` on standard input. */
export function runSallyport(args: readonly string[], env: Env = {}, input = ''): Spoken {
  const told = handOutCommand(args, { ...process.env, ...env }, input);
  const child = spawn(process.execPath, [cli, ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  // It may end without having read: that is its own business.
  child.stdin.on('error', () => undefined).end(input);
  child.once('close', () => told.ended());
  return listenTo(child);
}

/** The command line on a terminal of its own (`script` makes it); what is written to `process.stdin` is typed there. */
export function typeInto(args: readonly string[], env: Env = {}): Spoken {
  const quoted = [process.execPath, cli, ...args].map((word) => `'${word.replaceAll("'", "'\\''")}'`);
  // `exec`: a dash that stays in between takes the Ctrl-C too, and dies of it with 130 whatever the program answers.
  const child = spawn('script', ['-qefc', `exec ${quoted.join(' ')}`, '/dev/null'], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, ...env, TERM: 'xterm' },
  });
  child.stdin.on('error', () => undefined);
  return listenTo(child);
}

/** Collects what a process says. */
export function listenTo(child: ChildProcess): Spoken {
  const text = { stdout: '', stderr: '', both: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]?.setEncoding('utf8').on('data', (chunk: string) => {
      text[name] += chunk;
      text.both += chunk;
    });
  }
  hear(`output of ${basename(child.spawnfile)} ${child.pid}`, () => text.both);
  const closed = once(child, 'close');
  return {
    process: child,
    stdout: () => text.stdout,
    stderr: () => text.stderr,
    length: () => text.both.length,
    said(pattern, after = 0) {
      return new Promise((resolve, reject) => {
        const settle = (why?: string): void => {
          clearTimeout(timer);
          child.stdout?.off('data', look);
          child.stderr?.off('data', look);
          child.off('close', gone);
          if (why === undefined) resolve();
          else reject(new Error(`${why} before it said ${String(pattern)}:\n${text.both}`));
        };
        const look = (): void => {
          if (pattern.test(text.both.slice(after))) settle();
        };
        const gone = (): void => settle('it ended');
        const timer = setTimeout(() => settle('30 s went by'), 30_000);
        child.stdout?.on('data', look);
        child.stderr?.on('data', look);
        if (child.exitCode !== null || child.signalCode !== null) void closed.then(gone);
        else child.on('close', gone);
        look();
      });
    },
    async ended() {
      const [code] = (await closed) as [number | null];
      return code ?? undefined;
    },
  };
}

/** A session, which outlives the broker that gave it. */
export interface HeldSession {
  readonly token: string;
  readonly proofKey: ProofKey;
}

export async function logInTo(
  made: Pick<BrokerFolder, 'url' | 'caFile'>,
  { login, password }: Pick<TestPerson, 'login' | 'password'>,
): Promise<HeldSession> {
  const proofKey = generateProofKey();
  const open = clientOf(made);
  try {
    const { token } = await open.login({ login, password }, proofKey);
    return { token, proofKey };
  } finally {
    open.close();
  }
}

export function clientWith(made: Pick<BrokerFolder, 'url' | 'caFile'>, session: HeldSession): BrokerClient {
  return clientOf(made, systemClock, session);
}

/** The whole log as an admin or auditor exports it. */
export async function bundleOf(made: BrokerFolder, session: HeldSession): Promise<Buffer> {
  const client = clientWith(made, session);
  const chunks: Buffer[] = [];
  for await (const chunk of await client.exportLog({})) chunks.push(chunk);
  client.close();
  return Buffer.concat(chunks);
}
