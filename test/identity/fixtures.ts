import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { Clock } from '../../src/kernel/index.ts';
import type { ScryptParameters } from '../../src/identity/index.ts';

/** A clock that stands until it is moved. */
export function standingClock(startMs = Date.UTC(2026, 10, 23, 8)): Clock & { advance(ms: number): void } {
  let nowMs = startMs;
  return {
    nowMs: () => nowMs,
    advance(ms) {
      nowMs += ms;
    },
  };
}

/** A folder that is gone after the test. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-identity-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** The cheapest cost that the file may hold. */
export const cheap: ScryptParameters = { N: 2 ** 14, r: 8, p: 1 };
