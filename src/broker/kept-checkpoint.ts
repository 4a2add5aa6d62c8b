import { checkpointOf, parseCheckpoint, rootAt } from '../accounting/index.ts';
import { CodedError } from '../kernel/index.ts';
import type { Rooms } from './rooms.ts';

/** A place outside of the database for the newest checkpoint. */
export interface CheckpointKeep {
  /** Where it is, for people. */
  readonly name: string;
  /** Undefined when nothing was ever kept there. */
  read(): string | undefined;
  /** Replaces it whole; durable on return. */
  write(note: string): void;
}

type Parts = Pick<Rooms, 'store' | 'logSigner' | 'checkpointKeep'>;

/**
 * A log that was shorter or another one when its last checkpoint was kept was rolled back: to append to it would make a second
 * history, and serials would be issued twice. Reads a dozen tiles, however long the log is.
 * @throws CodedError `accounting.no_kept_checkpoint`, `accounting.bad_kept_checkpoint`, `accounting.rolled_back`, `accounting.forked`
 */
export async function refuseRollback({ store, logSigner, checkpointKeep }: Parts): Promise<void> {
  const { origin, size } = await store.logHead();
  const note = checkpointKeep.read();
  if (note === undefined) {
    if (size === 0n) return;
    throw new CodedError(
      'accounting.no_kept_checkpoint',
      `The log has ${size} entries, and no checkpoint of it is kept at ${checkpointKeep.name}: this database may be an old copy.`,
      {
        next: 'Put the file back. If the database was restored from a backup: docs/operations/backup.md, “Restore”.',
      },
    );
  }
  const kept = parseKept(note, checkpointKeep.name);
  // Ed25519 is deterministic: signing what it says again gives the same note, or it is not ours.
  if (kept.origin !== origin || checkpointOf(kept, logSigner) !== note) throw badKept(checkpointKeep.name);
  if (kept.size > size) {
    throw new CodedError(
      'accounting.rolled_back',
      `The log in the database has ${size} entries, and had ${kept.size} when the checkpoint at ${checkpointKeep.name} was kept: it was rolled back.`,
      {
        next: 'Put the newer database back. If it is lost: docs/operations/backup.md, “Restore”.',
        details: { size: String(size), kept: String(kept.size) },
      },
    );
  }
  const root = await rootAt(kept.size, size, (...place) => store.readTile(...place));
  if (!root.equals(kept.root)) {
    throw new CodedError(
      'accounting.forked',
      `The first ${kept.size} entries of the log are not those that the checkpoint at ${checkpointKeep.name} was signed for.`,
      {
        next: 'Keep database and checkpoint for whoever investigates, and see docs/operations/backup.md, “Restore”.',
      },
    );
  }
}

/** Keeps the newest checkpoint, if it is another one than the last time. @throws the error of the file system */
export async function keepCheckpoint({ store, checkpointKeep }: Parts): Promise<void> {
  const { checkpoint } = await store.logHead();
  if (checkpointKeep.read() !== checkpoint) checkpointKeep.write(checkpoint);
}

function parseKept(note: string, name: string): ReturnType<typeof parseCheckpoint> {
  try {
    return parseCheckpoint(note);
  } catch (error) {
    if (error instanceof CodedError) throw badKept(name, error);
    throw error;
  }
}

function badKept(name: string, cause?: unknown): CodedError {
  return new CodedError(
    'accounting.bad_kept_checkpoint',
    `What is kept at ${name} is not a checkpoint that this broker signed.`,
    {
      next: 'Check `log` in the configuration, and that the key folder is the right one. Otherwise somebody wrote to the file: find out who.',
      ...(cause === undefined ? {} : { cause }),
    },
  );
}
