import { lstatSync } from 'node:fs';
import { dirname } from 'node:path';
import type { CheckpointKeep } from '../broker/index.ts';
import { checkTrustedFolder, readTrustedFile, replaceFile } from '../keys/index.ts';

/**
 * Keeps the checkpoint in a file of its own, replaced by rename and synced, in a folder where nobody else can put another one.
 * What it gives throws CodedError `keys.loose_permissions`, `keys.unreadable`.
 * @param path absolute, not in the data folder
 */
export function checkpointFile(path: string): CheckpointKeep {
  return {
    name: path,
    read() {
      checkTrustedFolder(dirname(path));
      if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return undefined;
      return readTrustedFile(path, 'The kept checkpoint').toString('utf8');
    },
    write(note) {
      checkTrustedFolder(dirname(path));
      replaceFile(path, note);
    },
  };
}
