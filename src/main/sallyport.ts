import { readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { Terminal } from '../doors/cli/index.ts';
import { runProgram } from '../doors/cli/index.ts';
import { systemClock, systemRandom } from '../kernel/index.ts';

const root = new URL('../../', import.meta.url);

const terminal: Terminal = {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  clock: systemClock,
  random: systemRandom,
  version: readVersion(),
  self: [process.execPath, fileURLToPath(new URL('bin/sallyport', root))],
  userName: userName(),
};

// `sallyport … | head` ends early: nobody is left to write to.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(process.exitCode ?? 0);
  process.stderr.write(
    `sallyport: The result cannot be written (${error.code ?? 'unknown fault'}).\n  next: Check free space where the output goes.\n`,
  );
  process.exit(1);
});

process.exitCode = await runProgram(process.argv.slice(2), {
  terminal,
  loadOperator: () => import('./operator/index.ts'),
});

function readVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('package.json', root), 'utf8'));
  return typeof manifest === 'object' && manifest !== null && 'version' in manifest
    ? String(manifest.version)
    : 'unknown';
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    // Containers run with user ids that no user database knows.
    return '';
  }
}
