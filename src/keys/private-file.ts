import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  lstatSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  type Stats,
} from 'node:fs';
import { dirname } from 'node:path';
import { CodedError } from '../kernel/index.ts';

const maxSecretBytes = 64 * 1024;
const maxTrustedBytes = 1 << 20;

/**
 * Reads a file that must be nobody else's business: a regular file of this user or of root, without any permission for group
 * or others. A symbolic link is followed, as secrets are often mounted so; what counts is the file it leads to.
 * @throws CodedError `keys.loose_permissions`, `keys.unreadable`
 */
export function readPrivateFile(path: string, what: string): Buffer {
  return readGuarded(path, what, { forbidden: 0o077, maxBytes: maxSecretBytes });
}

/** The text of such a file without the line end that editors put behind it: a password, a passphrase. @throws as `readPrivateFile` */
export function readPrivateLine(path: string, what: string): string {
  return readPrivateFile(path, what)
    .toString('utf8')
    .replace(/\r?\n$/, '');
}

/**
 * Reads a file that decides something and is no secret: others may read it, but only this user or root may change it.
 * @throws CodedError `keys.loose_permissions`, `keys.unreadable`
 */
export function readTrustedFile(path: string, what: string): Buffer {
  return readGuarded(path, what, { forbidden: 0o022, maxBytes: maxTrustedBytes });
}

function readGuarded(
  path: string,
  what: string,
  { forbidden, maxBytes }: { readonly forbidden: number; readonly maxBytes: number },
): Buffer {
  let descriptor: number | undefined;
  try {
    // Without O_NONBLOCK a named pipe would hold up the start until somebody writes into it.
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stat = fstatSync(descriptor);
    if (!stat.isFile() || stat.size > maxBytes) {
      throw new CodedError('keys.unreadable', `${what} ${path} is not a file of at most ${maxBytes} bytes.`, {
        next: 'Check the path in the configuration.',
      });
    }
    checkOwnerOnly(stat, { path, what, forbidden });
    return readFileSync(descriptor);
  } catch (error) {
    if (error instanceof CodedError) throw error;
    throw unreadable(error, `${what} ${path}`);
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

/** Refuses a folder that others may enter. @throws CodedError `keys.loose_permissions`, `keys.unreadable` */
export function checkPrivateFolder(path: string): void {
  checkFolder(path, 0o077);
}

/** Refuses a folder in which others could put or replace a file. @throws CodedError `keys.loose_permissions`, `keys.unreadable` */
export function checkTrustedFolder(path: string): void {
  checkFolder(path, 0o022);
}

function checkFolder(path: string, forbidden: number): void {
  let stat: Stats;
  try {
    stat = statSync(path);
  } catch (error) {
    throw unreadable(error, `The folder ${path}`);
  }
  if (!stat.isDirectory()) {
    throw new CodedError('keys.unreadable', `${path} is not a folder.`, {
      next: 'Check the path in the configuration.',
    });
  }
  checkOwnerOnly(stat, { path, what: 'The folder', forbidden });
}

function checkOwnerOnly(
  { mode, uid }: Stats,
  about: { readonly path: string; readonly what: string; readonly forbidden: number },
): void {
  const { path, what, forbidden } = about;
  const permissions = (mode & 0o777).toString(8);
  if ((mode & forbidden) !== 0) {
    throw new CodedError(
      'keys.loose_permissions',
      `${what} ${path} can be ${forbidden === 0o022 ? 'changed' : 'read or changed'} by others (mode ${permissions}).`,
      {
        next: `Run: chmod ${forbidden === 0o022 ? 'go-w' : 'go='} ${path}`,
        details: { path, mode: permissions },
      },
    );
  }
  // Windows has no user ids: there the access lists of the folder protect it.
  const own = process.geteuid?.();
  if (own === undefined || uid === own || uid === 0) return;
  throw new CodedError('keys.loose_permissions', `${what} ${path} belongs to another user (uid ${uid}).`, {
    next: `Run as root: chown ${own} ${path}`,
    details: { path, uid },
  });
}

function unreadable(error: unknown, what: string): CodedError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
  return new CodedError('keys.unreadable', `${what} cannot be read (${code}).`, {
    next: 'Check that it exists and belongs to the user that runs the broker.',
    cause: error,
  });
}

/**
 * Writes a private file, mode 0600, durable on return; never overwrites one that exists, and leaves nothing when it fails.
 * @throws CodedError `keys.exists`
 */
export function createPrivateFile(path: string, content: string | Uint8Array): void {
  const temporary = `${path}.new`;
  if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) throw exists(path);
  let descriptor: number;
  try {
    descriptor = openSync(temporary, 'wx', 0o600);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') throw exists(temporary);
    throw error;
  }
  try {
    try {
      writeFileSync(descriptor, content);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  syncFolder(dirname(path));
}

function exists(path: string): CodedError {
  return new CodedError('keys.exists', `${path} exists already and is not overwritten.`, {
    next: 'Choose an empty folder, or move the old file away first.',
  });
}

/**
 * Puts a public file, mode 0644, in the place of one: whole or not at all, and durable on return. What a crash left beside it, or a link that
 * somebody put there, is never written through.
 */
export function replaceFile(path: string, content: string | Uint8Array): void {
  const temporary = `${path}.new`;
  rmSync(temporary, { force: true });
  const descriptor = openSync(temporary, 'wx', 0o644);
  try {
    writeFileSync(descriptor, content);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  renameSync(temporary, path);
  syncFolder(dirname(path));
}

/** Makes a rename in the folder durable. */
export function syncFolder(path: string): void {
  const descriptor = openSync(path, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
