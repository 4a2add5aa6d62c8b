import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { isCodedError } from '../../src/kernel/index.ts';

export const passphrase = 'correct-horse-battery';

/** A folder of mode 0700 that goes with the test file. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-keys-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** The code that some work fails with, `done` when it does not; any other fault is the test's. */
export async function codeOf(work: () => unknown): Promise<string> {
  try {
    await work();
    return 'done';
  } catch (error) {
    if (isCodedError(error)) return error.code;
    throw error;
  }
}
