import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { OperatorCommands, Terminal } from '../../src/doors/cli/index.ts';
import { runProgram } from '../../src/doors/cli/index.ts';
import { systemClock, systemRandom } from '../../src/kernel/index.ts';
import { handOutCommand, hear } from './handed-out.ts';

export const cliPath = fileURLToPath(new URL('../../bin/sallyport', import.meta.url));

/** A folder of its own for one client, with the environment that makes the CLI use it. */
export interface ClientHome {
  readonly folder: string;
  readonly env: Record<string, string | undefined>;
  path(name: string): string;
  remove(): void;
}

export function makeClientHome(broker?: { readonly url: string; readonly caPem: string }): ClientHome {
  const root = mkdtempSync(join(tmpdir(), 'sallyport-client-'));
  const env: Record<string, string | undefined> = { SALLYPORT_HOME: join(root, 'home') };
  if (broker !== undefined) {
    writeFileSync(join(root, 'ca.pem'), broker.caPem);
    env['SALLYPORT_URL'] = broker.url;
    env['SALLYPORT_CA_FILE'] = join(root, 'ca.pem');
  }
  return {
    folder: root,
    env,
    path: (name) => join(root, 'home', name),
    remove: () => rmSync(root, { recursive: true, force: true }),
  };
}

export interface RunOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin?: string;
  readonly nowMs?: () => number;
  /** Pretend that standard output and error are terminals of so many columns. */
  readonly columns?: number;
  readonly operator?: OperatorCommands;
}

export interface RunResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs one command line in this process, as main would, and collects what it prints. */
export async function runCli(args: readonly string[], options: RunOptions): Promise<RunResult> {
  const out = sink(options.columns);
  const err = sink(options.columns);
  const { nowMs, operator } = options;
  const terminal: Terminal = {
    stdin:
      options.stdin === undefined ? new PassThrough().end() : Readable.from([Buffer.from(options.stdin)]),
    stdout: out.stream,
    stderr: err.stream,
    env: options.env,
    clock: nowMs === undefined ? systemClock : { nowMs },
    random: systemRandom,
    version: '0.0.0-test',
    self: [process.execPath, cliPath],
    userName: 'tester',
  };
  const told = handOutCommand(args, options.env, options.stdin ?? '');
  const exitCode = await runProgram(args, {
    terminal,
    loadOperator: () =>
      operator === undefined ? Promise.reject(new Error('no operator here')) : Promise.resolve(operator),
  });
  told.ended();
  hear(`output of ${args.slice(0, 2).join(' ')}`, () => out.text() + err.text());
  return { exitCode, stdout: out.text(), stderr: err.text() };
}

function sink(columns: number | undefined): {
  stream: Writable & { isTTY?: boolean; columns?: number };
  text: () => string;
} {
  let text = '';
  const stream: Writable & { isTTY?: boolean; columns?: number } = new Writable({
    write(chunk: Buffer, _encoding, done) {
      text += chunk.toString('utf8');
      done();
    },
  });
  if (columns !== undefined) Object.assign(stream, { isTTY: true, columns });
  return { stream, text: () => text };
}
