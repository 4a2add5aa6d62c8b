import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkHome } from '../../../src/doors/client/index.ts';
import { isCodedError } from '../../../src/kernel/index.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-home-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function verdict(mode: number): string {
  chmodSync(folder, mode);
  try {
    checkHome(folder);
    return 'accepted';
  } catch (error) {
    if (isCodedError(error)) return error.code;
    throw error;
  }
}

describe('the home of a client', () => {
  it.each([0o700, 0o755, 0o711])('is accepted with mode %o', (mode) => {
    expect(verdict(mode)).toBe('accepted');
  });
  it.each([0o777, 0o770, 0o720, 0o702, 0o1777])(
    'is refused with mode %o, in which others can write',
    (mode) => {
      expect(verdict(mode)).toBe('client.loose_home');
    },
  );
  it('need not exist yet', () => {
    expect(() => checkHome(join(folder, 'none'))).not.toThrow();
  });
});
