import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { lockFolder } from '../../../src/doors/witness/index.ts';
import { codeOf } from '../../accounting/log-fixture.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-lock-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('the lock of a witness', () => {
  it('is held by one, and let go of', () => {
    const unlock = lockFolder(folder);
    expect(codeOf(() => lockFolder(folder))).toBe('witness.in_use');
    unlock();
    lockFolder(folder)();
  });

  it('says what is wrong where no file can be made', () => {
    expect(codeOf(() => lockFolder(join(folder, 'nowhere')))).toBe('witness.no_lock');
    mkdirSync(join(folder, 'witness.lock'));
    expect(codeOf(() => lockFolder(folder))).toBe('witness.no_lock');
  });
});
