import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isCodedError } from '../../src/kernel/index.ts';
import { readTrustedFile } from '../../src/keys/index.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-trusted-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function codeOf(run: () => unknown): string {
  try {
    run();
    return 'read';
  } catch (error) {
    if (isCodedError(error)) return error.code;
    throw error;
  }
}

describe('a file that decides something', () => {
  it.each([0o644, 0o600, 0o640, 0o444])('is read with mode %o', (mode) => {
    const file = join(folder, 'policy.yaml');
    writeFileSync(file, 'version: 1\n');
    chmodSync(file, mode);
    expect(readTrustedFile(file, 'The policy file').toString()).toBe('version: 1\n');
  });
  it.each([0o666, 0o664, 0o646, 0o622])('is refused with mode %o, in which others can change it', (mode) => {
    const file = join(folder, 'policy.yaml');
    writeFileSync(file, 'version: 1\n');
    chmodSync(file, mode);
    expect(codeOf(() => readTrustedFile(file, 'The policy file'))).toBe('keys.loose_permissions');
  });
  it('is refused when it is missing, a folder, or larger than 1 MiB', () => {
    writeFileSync(join(folder, 'large'), Buffer.alloc((1 << 20) + 1));
    for (const name of ['none', '.', 'large']) {
      expect([name, codeOf(() => readTrustedFile(join(folder, name), 'It'))]).toEqual([
        name,
        'keys.unreadable',
      ]);
    }
  });
});
