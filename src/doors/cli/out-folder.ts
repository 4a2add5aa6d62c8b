import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import type { RandomBytes } from '../../kernel/index.ts';
import { CodedError } from '../../kernel/index.ts';
import { checkWritable, errnoOf, fileFault } from '../client/index.ts';

export interface OutFile {
  /** Below the folder, with `/`; ours and never from outside. */
  readonly path: string;
  readonly bytes: string | Uint8Array;
  /** For the owner alone. */
  readonly secret?: boolean;
}

/**
 * Refuses a folder that holds anything, before something is asked for that would go into it.
 * @throws CodedError `cli.folder_not_empty`, `client.cannot_write`
 */
export function checkOutFolder(folder: string): void {
  let names: readonly string[];
  try {
    names = readdirSync(folder);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return;
    throw fileFault('client.cannot_write', 'write', folder, error);
  }
  if (names.length > 0)
    throw new CodedError('cli.folder_not_empty', `${folder} is not empty.`, {
      next: 'Name a new folder: what is there is never overwritten.',
    });
}

/**
 * Refuses to put a key where a file is: what is there may be the only copy of another one.
 * @throws CodedError `cli.file_exists`, `client.cannot_write`
 */
export function checkNewKeyFile(path: string): void {
  if (existsSync(path))
    throw new CodedError('cli.file_exists', `${path} is there already, and a key is never overwritten.`, {
      next: 'Name another file, or take that one away first.',
    });
  checkWritable(path);
}

/**
 * Writes all files below a folder that appears under its name only when it is whole, with mode 0700.
 * @throws CodedError `cli.folder_not_empty`, `client.cannot_write`
 */
export function writeOutFolder(folder: string, files: readonly OutFile[], random: RandomBytes): void {
  checkOutFolder(folder);
  const target = resolve(folder);
  const part = join(dirname(target), `.${basename(target)}.${random(6).toString('hex')}.new`);
  try {
    mkdirSync(part, { mode: 0o700 });
    for (const { path, bytes, secret = false } of files) {
      mkdirSync(dirname(join(part, path)), { recursive: true });
      writeFileSync(join(part, path), bytes, { flag: 'wx', mode: secret ? 0o600 : 0o644, flush: true });
      // The umask must not take more away than asked: others of the team read the runbook.
      chmodSync(join(part, path), secret ? 0o600 : 0o644);
    }
    renameSync(part, target);
  } catch (error) {
    rmSync(part, { recursive: true, force: true });
    throw fileFault('client.cannot_write', 'write', folder, error);
  }
}
