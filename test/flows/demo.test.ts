import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { describeWithPeers } from '../support/peers.ts';

const demo = join(import.meta.dirname, '..', '..', 'src', 'main', 'demo', 'index.ts');

async function runDemo(
  args: readonly string[],
  untilLine?: string,
): Promise<{ code: number | null; output: string; folder: string; inHome: readonly string[] }> {
  const port = String(await freePort());
  // A home of its own: what is in it afterwards was left behind.
  const home = mkdtempSync(join(tmpdir(), 'sallyport-demo-home-'));
  const env: NodeJS.ProcessEnv = { ...process.env, HOME: home };
  delete env['XDG_CACHE_HOME'];
  const child = spawn(process.execPath, [demo, '--port', port, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env,
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8');
    stream.on('data', (chunk: string) => {
      output += chunk;
      if (untilLine !== undefined && output.includes(untilLine)) child.kill('SIGINT');
    });
  }
  const [code] = (await once(child, 'close')) as [number | null];
  const inHome = readdirSync(home);
  rmSync(home, { recursive: true });
  return { code, output, inHome, folder: /(\/\S*sallyport-demo-\w+)/.exec(output)?.[1] ?? '' };
}

describeWithPeers(['sshd', 'ssh', 'ssh-keygen'], 'npm start', () => {
  it('logs in, lets ssh in, revokes, keeps ssh out, verifies the log, and leaves nothing behind', async () => {
    const { code, output, folder, inHome } = await runDemo(['--once']);
    expect(output).toContain('a shell on ');
    expect(output).toContain('Permission denied (publickey)');
    expect(output).toMatch(/revoked by file/);
    expect(output).toMatch(/integrity\s+verified/);
    expect(code, output).toBe(0);
    expect(folder).not.toBe('');
    expect(existsSync(folder)).toBe(false);
    expect(inHome).toEqual([]);
  });

  it('stays up until Ctrl-C, names three commands to try, and ends cleanly', async () => {
    const { code, output, folder, inHome } = await runDemo([], 'audit search');
    expect(output.match(/^ {2}bin\/sallyport /gm)).toHaveLength(3);
    expect(code, output).toBe(0);
    expect(existsSync(folder)).toBe(false);
    expect(inHome).toEqual([]);
  });
});
