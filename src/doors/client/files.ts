import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  fchmodSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { RandomBytes } from '../../kernel/index.ts';
import { CodedError } from '../../kernel/index.ts';

/**
 * Writes a file whole or not at all, also when the power goes: a new file beside it, on disk before it gets the name, and the
 * name on disk on return. An empty file under the name would be worse than none: to sshd, a revocation list of zero bytes
 * revokes nothing. The folder is made with mode 0700 when missing.
 * @param mode of the file, 0o600 unless said otherwise.
 * @throws CodedError `client.cannot_write` naming the file and the cause.
 */
export function writeByRename(
  path: string,
  content: string | Uint8Array,
  random: RandomBytes,
  mode = 0o600,
): void {
  const draft = `${path}.${random(6).toString('hex')}.new`;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    writeDraft(draft, content, mode);
    renameSync(draft, path);
    syncFolder(dirname(path));
  } catch (error) {
    removeDraft(draft);
    throw cannotWrite(path, error);
  }
}

function writeDraft(draft: string, content: string | Uint8Array, mode: number): void {
  const file = openSync(draft, 'wx', mode);
  try {
    writeFileSync(file, content);
    // The process umask may have taken bits away that the caller wants, e.g. for a certificate that others may read.
    fchmodSync(file, mode);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** Of a folder that may be written but not read, and of file systems that know no sync of a folder. */
const unsyncable: ReadonlySet<string> = new Set(['EACCES', 'EINVAL', 'ENOTSUP']);

/**
 * Puts the names in a folder on disk: the sync of a file does not cover its name (fsync(2)). Where a folder cannot be synced,
 * the names are left to the file system.
 */
export function syncFolder(folder: string): void {
  // Windows opens no folder as a file.
  if (process.platform === 'win32') return;
  try {
    const opened = openSync(folder, 'r');
    try {
      fsyncSync(opened);
    } finally {
      closeSync(opened);
    }
  } catch (error) {
    // See above; anything else, such as a disk that fails, is the caller's to tell.
    if (!unsyncable.has(errnoOf(error) ?? '')) throw error;
  }
}

/**
 * Refuses a file that could not or must not be written, before anything is asked that is of no use without it; a folder that is missing
 * is not made, because a mistyped path in a timer would go unnoticed for ever.
 * @throws CodedError `client.cannot_write`
 */
export function checkWritable(path: string): void {
  const folder = dirname(resolve(path));
  if (!isFolder(folder)) {
    throw new CodedError('client.cannot_write', `${path} cannot be written: there is no folder ${folder}.`, {
      next: 'Check the path, or make the folder first.',
    });
  }
  const there = statSync(path, { throwIfNoEntry: false });
  if (there?.isDirectory() === true) throw cannotWrite(path, 'EISDIR');
  // To root's hands a rename would put a file in the place of /dev/null.
  if (there?.isFile() === false) throw cannotWrite(path, 'it is no plain file');
  checkAccess(folder, path);
}

/**
 * Refuses a folder in which nothing could be kept, before there is anything to keep. One that is not there yet is not made.
 * @throws CodedError `client.cannot_write`
 */
export function checkWritableFolder(folder: string): void {
  let present = folder;
  while (!existsSync(present)) present = dirname(present);
  if (!isFolder(present)) throw cannotWrite(folder, 'ENOTDIR');
  checkAccess(present, folder);
}

function isFolder(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
  } catch (error) {
    throw cannotWrite(path, error);
  }
}

function checkAccess(folder: string, path: string): void {
  try {
    accessSync(folder, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw cannotWrite(path, error);
  }
}

function removeDraft(draft: string): void {
  try {
    rmSync(draft, { force: true });
  } catch {
    // Its folder is not even one: there is nothing to remove, and the first fault is the one to tell.
  }
}

/** Files over this are not ours: nothing in the home is bigger than a few KiB. */
const maxSmallFileBytes = 1 << 20;

/**
 * Reads a small file. With `secret`, refuses one that others on this computer may read or write.
 * @returns undefined when there is no such file.
 * @throws CodedError `client.cannot_read`, `client.loose_permissions`
 */
export function readSmallFile(path: string, options: { readonly secret?: boolean } = {}): string | undefined {
  try {
    const found = statSync(path);
    if (found.size > maxSmallFileBytes) {
      throw new CodedError('client.cannot_read', `${path} is far too large to be what it should be.`, {
        next: 'Check the file name.',
      });
    }
    if (options.secret === true && process.platform !== 'win32' && (found.mode & 0o077) !== 0) {
      throw new CodedError('client.loose_permissions', `Others on this computer can reach ${path}.`, {
        next: `Run \`chmod 600 ${path}\`. If others use this computer, also log out and log in again.`,
      });
    }
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof CodedError) throw error;
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined;
    throw fileFault('client.cannot_read', 'read', path, error);
  }
}

/** `ENOENT` and the like, or undefined for anything that is not a system error. */
export function errnoOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

const causes: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'the file system is read-only',
  ENOSPC: 'the disk is full',
  EISDIR: 'it is a folder',
  ENOENT: 'no such file',
  ENOTDIR: 'a part of its path is not a folder',
};

function cannotWrite(path: string, error: unknown): CodedError {
  return fileFault('client.cannot_write', 'written', path, error);
}

/** A CodedError for a failed file operation, with the cause in words. @param error of the system, its errno, or its cause. */
export function fileFault(code: `client.${string}`, done: string, path: string, error: unknown): CodedError {
  const errno = typeof error === 'string' ? error : (errnoOf(error) ?? 'unknown error');
  return new CodedError(code, `${path} cannot be ${done}: ${causes[errno] ?? errno}.`, {
    next: 'Check the path, its owner and its permissions, then try again.',
    cause: error,
  });
}
