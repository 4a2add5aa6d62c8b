import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const bin = join(import.meta.dirname, '..', '..', 'bin', 'sallyport');

export interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** `error.code` of the `--json` output, `done` without one. */
  readonly code: string;
}

/** Runs `sallyport … --json` to its end, as a person's shell would. */
export function sallyport(
  args: readonly string[],
  options: { input?: string; env?: Record<string, string> } = {},
): Ran {
  const { status, stdout, stderr } = spawnSync(process.execPath, [bin, ...args, '--json'], {
    encoding: 'utf8',
    input: options.input ?? '',
    env: { ...process.env, ...options.env },
    timeout: 60_000,
  });
  const parsed = stdout.trim().startsWith('{') ? (JSON.parse(stdout) as { error?: { code?: string } }) : {};
  return { status, stdout, stderr, code: parsed.error?.code ?? 'done' };
}
