import { chmodSync, chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
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
  it.each([0o666, 0o620, 0o602])('is refused when its configuration has mode %o', (mode) => {
    writeFileSync(join(folder, 'config.json'), '{}');
    expect(verdict(0o700)).toBe('accepted');
    chmodSync(join(folder, 'config.json'), mode);
    expect(verdict(0o700)).toBe('client.loose_home');
  });
  it.runIf(process.getuid?.() === 0)('is refused to root when it is another account’s', () => {
    chownSync(folder, 12_345, 12_345);
    expect(verdict(0o700)).toBe('client.loose_home');
    chownSync(folder, 0, 0);
    writeFileSync(join(folder, 'config.json'), '{}', { mode: 0o600 });
    chownSync(join(folder, 'config.json'), 12_345, 12_345);
    expect(verdict(0o700)).toBe('client.loose_home');
  });
  it('need not exist yet', () => {
    expect(() => checkHome(join(folder, 'none'))).not.toThrow();
  });
});
