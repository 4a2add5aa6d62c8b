import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { CodedError } from '../../kernel/index.ts';

/**
 * Keeps a second witness off the same memory: of two, each could vouch for another history. SQLite's lock on a file is the
 * operating system's, and ends with the process however it ends.
 * @returns what lets go of it. @throws CodedError `witness.in_use`, `witness.no_lock`
 */
export function lockFolder(folder: string): () => void {
  const file = join(folder, 'witness.lock');
  let lock: DatabaseSync | undefined;
  try {
    lock = new DatabaseSync(file);
    chmodSync(file, 0o600);
    lock.exec('PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE');
  } catch (error) {
    lock?.close();
    if (error instanceof Error && /locked|busy/i.test(error.message)) {
      throw new CodedError('witness.in_use', `Another witness runs with the state in ${folder}.`, {
        next: 'Stop it first. Never run two witnesses with one key.',
        cause: error,
      });
    }
    throw new CodedError('witness.no_lock', `The file ${file} cannot be made or locked.`, {
      next: 'Check that it belongs to the user that runs the witness, and the space on its disk. It holds nothing, and may be removed while no witness runs.',
      cause: error,
    });
  }
  const held = lock;
  return () => held.close();
}
