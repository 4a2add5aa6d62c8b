import { constants } from 'node:fs';
import { lstat, open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { CodedError } from '../../kernel/index.ts';

const waitMs = 10_000;
const pollMs = 25;
const sqliteBusy = 5;

/** To whom a file belongs. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/**
 * Runs work while no other process holds the same lock file. Node has no file locks of its own, and a file that merely exists
 * would outlive a killed process; SQLite's lock on a file is the operating system's and ends with its holder. The file stays
 * behind, empty. SQLite follows links, so it gets to see only a plain, empty file with one name, of this account or of `owner`, to
 * whom root gives the file. Within one process at most one may run at a time: closing a file ends every lock that the process has
 * on it (POSIX fcntl).
 * @throws CodedError `identity.people_file_locked` when the lock is not free within 10 seconds, `identity.people_file_unwritable` when
 * the lock file cannot be made or used, or is not such a file
 */
export async function withFileLock<Result>(
  lockFile: string,
  owner: Owner | undefined,
  work: () => Promise<Result>,
): Promise<Result> {
  const handle = await openPlainFile(lockFile, owner);
  try {
    const database = openDatabase(lockFile);
    try {
      for (let waitedMs = 0; !tryLock(database, lockFile); waitedMs += pollMs) {
        if (waitedMs >= waitMs) throw locked();
        await delay(pollMs);
      }
      const [checked, found] = [await handle.stat(), await lstat(lockFile).catch(() => undefined)];
      if (found?.ino !== checked.ino || found.dev !== checked.dev) throw strange(lockFile);
      return await work();
    } finally {
      database.close();
    }
  } finally {
    await handle.close();
  }
}

async function openPlainFile(lockFile: string, owner: Owner | undefined): Promise<FileHandle> {
  // O_NONBLOCK: a pipe in its place must not keep us waiting for a writer.
  const { O_RDWR, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = constants;
  const flags = O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK;
  const handle = await open(lockFile, flags, 0o600).catch((cause: unknown) => {
    const isLink = cause instanceof Error && 'code' in cause && cause.code === 'ELOOP';
    throw isLink ? strange(lockFile) : unwritable(lockFile, cause);
  });
  try {
    const stats = await handle.stat();
    const owners = [process.geteuid?.() ?? stats.uid, owner?.uid];
    if (!stats.isFile() || stats.nlink !== 1 || stats.size !== 0 || !owners.includes(stats.uid))
      throw strange(lockFile);
    if (owner !== undefined) await handle.chown(owner.uid, owner.gid);
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

function openDatabase(lockFile: string): DatabaseSync {
  const url = pathToFileURL(lockFile);
  // The file is there: SQLite must never make one.
  url.searchParams.set('mode', 'rw');
  try {
    return new DatabaseSync(url, { timeout: 0 });
  } catch (cause) {
    throw unwritable(lockFile, cause);
  }
}

function tryLock(database: DatabaseSync, lockFile: string): boolean {
  try {
    // In memory: no journal beside the lock, neither read nor written.
    database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
    return true;
  } catch (cause) {
    if (cause instanceof Error && 'errcode' in cause && cause.errcode === sqliteBusy) return false;
    throw unwritable(lockFile, cause);
  }
}

const locked = (): CodedError =>
  new CodedError('identity.people_file_locked', 'Another command is changing the built-in people.', {
    next: 'Wait until it has ended, then try again.',
  });

const strange = (file: string): CodedError =>
  new CodedError(
    'identity.people_file_unwritable',
    `${file} is not the plain, empty file that it should be.`,
    {
      next: 'Find out who made it: a link or a file of somebody else there may be an attack. Then delete it.',
    },
  );

/** For whatever keeps a file beside the people from being written. */
export const unwritable = (file: string, cause: unknown): CodedError =>
  new CodedError('identity.people_file_unwritable', `${file} cannot be written.`, {
    next: 'See that its folder exists, that your account may write there, and that the disk is not full.',
    cause,
  });
