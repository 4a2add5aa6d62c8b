import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { CheckpointKeep } from '../broker/index.ts';
import { isSystemError } from '../kernel/index.ts';
import { syncFolder } from '../keys/index.ts';

/** Keeps the checkpoint in a file of its own, replaced by rename and synced. @param path absolute, not in the data folder */
export function checkpointFile(path: string): CheckpointKeep {
  return {
    name: path,
    read() {
      try {
        return readFileSync(path, 'utf8');
      } catch (error) {
        if (isSystemError(error) && error.code === 'ENOENT') return undefined;
        throw error;
      }
    },
    write(note) {
      const temporary = `${path}.new`;
      const descriptor = openSync(temporary, 'w', 0o644);
      try {
        writeFileSync(descriptor, note);
        fsyncSync(descriptor);
      } finally {
        closeSync(descriptor);
      }
      renameSync(temporary, path);
      syncFolder(dirname(path));
    },
  };
}
