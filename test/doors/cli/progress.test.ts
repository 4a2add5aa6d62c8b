import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { withOperatorIo } from '../../../src/doors/cli/operator-io.ts';
import { withProgress } from '../../../src/doors/cli/progress.ts';
import type { OperatorCommands, Terminal } from '../../../src/doors/cli/index.ts';
import { systemClock, systemRandom } from '../../../src/kernel/index.ts';
import { runCli } from '../../support/fake-terminal.ts';

let written: string;

function terminal(isTTY: boolean, env: Record<string, string> = {}): Terminal {
  written = '';
  const stderr = Object.assign(new PassThrough(), { isTTY, columns: 80 });
  stderr.on('data', (chunk: Buffer) => {
    written += chunk.toString();
  });
  return {
    stdin: new PassThrough(),
    stdout: new PassThrough(),
    stderr,
    env,
    clock: systemClock,
    random: systemRandom,
    version: '0',
    self: [],
    userName: '',
  };
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

async function during(milliseconds: number, on: Terminal): Promise<void> {
  let finish = (): void => undefined;
  const work = withProgress(
    on,
    'Asking the broker',
    new Promise<void>((resolve) => {
      finish = resolve;
    }),
  );
  await vi.advanceTimersByTimeAsync(milliseconds);
  finish();
  await work;
}

describe('progress', () => {
  test('says nothing for what takes less than a second', async () => {
    await during(999, terminal(true));
    expect(written).toBe('');
  });

  test('says what is going on after a second, moves, and wipes its line', async () => {
    await during(1350, terminal(true));
    expect(written.match(/Asking the broker…/g)?.length).toBe(4);
    expect(written.endsWith('\r\u001B[K')).toBe(true);
  });

  test('does not move without colour, and is silent where nobody looks', async () => {
    await during(5000, terminal(true, { NO_COLOR: '1' }));
    expect(written.match(/Asking the broker…/g)?.length).toBe(1);
    await during(5000, terminal(false));
    expect(written).toBe('');
  });

  test('hands on what the work throws, with its line wiped', async () => {
    const on = terminal(true);
    const work = withProgress(
      on,
      'Working',
      new Promise((_resolve, reject) => {
        setTimeout(() => reject(new Error('no')), 2000);
      }),
    );
    const failed = expect(work).rejects.toThrow('no');
    await vi.advanceTimersByTimeAsync(3000);
    await failed;
    expect(written.endsWith('\r\u001B[K')).toBe(true);
  });
});

describe('progress of the operator’s commands', () => {
  const said = (): string[] =>
    written
      .replaceAll('\r\u001B[K', '\n')
      .split('\n')
      .filter((part) => part !== '');

  test('makes way for a note, and comes back a second after it', async () => {
    const on = terminal(true, { NO_COLOR: '1' });
    const work = withOperatorIo(on, 'Setting up', async (io) => {
      await vi.advanceTimersByTimeAsync(1500);
      io.note('Making the CA keys…');
      await vi.advanceTimersByTimeAsync(1500);
    });
    await work;
    expect(said()).toEqual(['Setting up…', 'Making the CA keys…', 'Setting up…']);
    expect(written.endsWith('\r\u001B[K')).toBe(true);
    await vi.advanceTimersByTimeAsync(5000);
    expect(said()).toHaveLength(3);
  });

  test('is silent while a question waits for its answer', async () => {
    const on = terminal(true, { NO_COLOR: '1' });
    // Nobody can be asked on this terminal: what counts is that asking ends the wait and begins a new one.
    await withOperatorIo(on, 'Checking', async (io) => {
      await vi.advanceTimersByTimeAsync(900);
      await expect(io.askSecret('Passphrase')).rejects.toMatchObject({ code: 'cli.no_terminal' });
      await vi.advanceTimersByTimeAsync(900);
    });
    expect(written).toBe('');
  });

  test.each([
    ['init D --yes --admin anna --password-stdin', 'init'],
    ['config check F', 'checkConfig'],
    ['people add anna --config F --password-stdin', 'people'],
    ['people passwd anna --config F --password-stdin', 'people'],
  ] as const)('`%s` says what is going on after a second', async (line, method) => {
    let called = (): void => undefined;
    const reached = new Promise<void>((resolve) => {
      called = resolve;
    });
    const slow = async (asked?: unknown): Promise<{ value: null; lines: string[] }> => {
      // Whether there is such a person at all is asked before, and answered at once.
      if (asked === 'list') return { value: null, lines: [] };
      called();
      await new Promise((resolve) => {
        setTimeout(resolve, 2000);
      });
      return { value: null, lines: ['done'] };
    };
    const none = (): Promise<never> => Promise.reject(new Error('not this one'));
    const operator: OperatorCommands = {
      init: none,
      initHostCa: none,
      checkConfig: none,
      people: none,
      erasePerson: none,
      recover: none,
      backup: none,
      restore: none,
      serve: none,
      migrateStore: none,
      reindexStore: none,
      copyStore: none,
      initTls: none,
      renewTlsAuthority: none,
      rotateTlsAuthority: none,
      signRootList: none,
      initWitness: none,
      serveWitness: none,
      [method]: slow,
    };
    const running = runCli(line.split(' '), { env: {}, operator, columns: 80, stdin: 'long enough' });
    await reached;
    await vi.advanceTimersByTimeAsync(2000);
    const { exitCode, stdout, stderr } = await running;
    expect([exitCode, stdout]).toEqual([0, 'done\n']);
    expect(stderr).toMatch(/⠋ [A-Z][^\r]+…/);
    expect(stderr.endsWith('\r\u001B[K')).toBe(true);
  });
});
