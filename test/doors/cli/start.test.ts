import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cliPath } from '../../support/fake-terminal.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-start-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const environment = (): NodeJS.ProcessEnv => ({
  PATH: process.env['PATH'],
  HOME: folder,
  SALLYPORT_HOME: join(folder, 'home'),
});
const run = (...args: readonly string[]): ReturnType<typeof spawnSync> =>
  spawnSync(process.execPath, args, { env: environment(), encoding: 'utf8' });

describe('bin/sallyport', () => {
  test('runs the command line, also through a link', () => {
    const link = join(folder, 'sallyport');
    symlinkSync(cliPath, link);
    for (const path of [cliPath, link]) {
      const { status, stdout, stderr } = run(path, '--version');
      expect([status, stderr]).toEqual([0, '']);
      expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
    }
  });

  test('hands exit codes on and prints no warning of Node', () => {
    const { status, stderr } = run(cliPath, 'status');
    expect([status, stderr]).toEqual([4, '']);
    expect(run(cliPath, 'no-such-command').status).toBe(2);
  });

  test.skipIf(process.platform !== 'linux')(
    'under a Node that is too old, hands over to the pinned one, with what it is told to stop',
    async () => {
      // Says that it is Node 20, and is the Node of this test otherwise.
      const old = join(folder, 'pretend-20.cjs');
      writeFileSync(
        old,
        `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.0.0' } });`,
      );
      expect(run('--require', old, cliPath, 'status').status).toBe(4);

      // A command that waits: the password never comes.
      const child = spawn(
        process.execPath,
        ['--require', old, cliPath, 'login', '--user', 'x', '--password-stdin'],
        {
          env: { ...environment(), SALLYPORT_URL: 'https://127.0.0.1:9' },
          stdio: ['pipe', 'ignore', 'ignore'],
        },
      );
      const exited = once(child, 'exit');
      const inner = await innerProcess(child.pid ?? 0);
      child.kill('SIGTERM');
      expect(await exited).toEqual([null, 'SIGTERM']);
      expect(() => process.kill(inner, 0)).toThrow('ESRCH');
    },
  );

  test('compiled code lies in the person’s own home, never in a folder that others can write', () => {
    const shared = join(folder, 'shared-tmp');
    spawnSync('mkdir', ['-p', shared]);
    chmodSync(shared, 0o777);
    spawnSync(process.execPath, [cliPath, '--version'], { env: { ...environment(), TMPDIR: shared } });
    const elsewhere = { ...environment(), HOME: '/proc', XDG_CACHE_HOME: join(folder, 'missing') };
    expect(spawnSync(process.execPath, [cliPath, '--version'], { env: elsewhere }).status).toBe(0);
    expect(existsSync(join(folder, 'missing'))).toBe(false);
    expect(spawnSync('find', [shared, '-type', 'f'], { encoding: 'utf8' }).stdout).toBe('');
    expect(
      spawnSync('find', [join(folder, '.cache/sallyport'), '-type', 'f'], { encoding: 'utf8' }).stdout,
    ).not.toBe('');
  });
});

/** The one child of a process, once it is there. Linux only. */
async function innerProcess(parent: number): Promise<number> {
  for (let nth = 0; nth < 200; nth += 1) {
    const found = readFileSync(`/proc/${parent}/task/${parent}/children`, 'utf8').trim();
    if (/^\d+$/.test(found)) return Number(found);
    await new Promise((resolve) => {
      setTimeout(resolve, 50);
    });
  }
  throw new Error('it started nothing');
}
