import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sharedFolderVariable } from './broker-template.ts';
import { stopSharedPostgres } from './postgres.ts';

/** A folder that all test files of this run share; it goes with the run. */
export default function setup(): () => void {
  checkPeers();
  const shared = mkdtempSync(join(tmpdir(), 'sallyport-run-'));
  process.env[sharedFolderVariable] = shared;
  return () => {
    stopSharedPostgres(shared);
    rmSync(shared, { recursive: true, force: true });
  };
}

/** Peers are installed by scripts/test.mjs; this only fails early, by name, when CI lacks one. */
function checkPeers(): void {
  if (process.env['CI'] === undefined) return;
  for (const [program, args] of [
    ['ssh-keygen', ['-?']],
    ['ssh', ['-V']],
  ] as const) {
    if (spawnSync(program, args).error) throw new Error(`CI lacks ${program}`);
  }
}
