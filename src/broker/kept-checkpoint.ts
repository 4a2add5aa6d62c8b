import { checkpointOf, parseCheckpoint, rootAt, type Checkpoint } from '../accounting/index.ts';
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

/** How the log in the database stands to the checkpoint that was kept. */
export interface Standing {
  /** `sound`: the log is the one that was kept, or has grown since; also one that never began. */
  readonly state: 'sound' | 'no_kept_checkpoint' | 'bad_kept_checkpoint' | 'rolled_back' | 'forked';
  /** Entries in the database. */
  readonly size: bigint;
  readonly origin: string;
  /** As it is signed in the database. */
  readonly checkpoint: string;
  /** As it was found, whatever it is. */
  readonly keptNote: string | undefined;
  /** Only when this broker signed it, for this log. */
  readonly kept: Checkpoint | undefined;
  /** Why a kept one is none. */
  readonly cause?: unknown;
}

/** Compares the log with the checkpoint that was kept. Reads a dozen tiles, however long the log is. */
export async function findStanding({ store, logSigner, checkpointKeep }: Parts): Promise<Standing> {
  const { origin, size, checkpoint } = await store.logHead();
  const keptNote = checkpointKeep.read();
  const found = { size, origin, checkpoint, keptNote, kept: undefined };
  if (keptNote === undefined) return { ...found, state: size === 0n ? 'sound' : 'no_kept_checkpoint' };
  let kept: Checkpoint;
  try {
    kept = parseCheckpoint(keptNote);
  } catch (error) {
    if (error instanceof CodedError) return { ...found, state: 'bad_kept_checkpoint', cause: error };
    throw error;
  }
  // Ed25519 is deterministic: signing what it says again gives the same note, or it is not ours.
  if (kept.origin !== origin || checkpointOf(kept, logSigner) !== keptNote)
    return { ...found, state: 'bad_kept_checkpoint' };
  if (kept.size > size) return { ...found, state: 'rolled_back', kept };
  const root = await rootAt(kept.size, size, (...place) => store.readTile(...place));
  return { ...found, state: root.equals(kept.root) ? 'sound' : 'forked', kept };
}

/**
 * A log that was shorter or another one when its last checkpoint was kept was rolled back: to append to it would make a second
 * history, and serials would be issued twice. One that has not begun is kept as such, so that from now on something is kept.
 * @throws CodedError `accounting.no_kept_checkpoint`, `accounting.bad_kept_checkpoint`, `accounting.rolled_back`, `accounting.forked`
 */
export async function refuseRollback(parts: Parts): Promise<void> {
  const standing = await findStanding(parts);
  if (standing.state !== 'sound') throw refusal(standing, parts.checkpointKeep.name);
  if (standing.keptNote === undefined) await replaceKeptCheckpoint(parts);
}

const recovery = '`sallyport audit recover` (docs/operations/backup.md, “Recover”)';

/** The error of a log that does not stand as it should. @param place where the checkpoint is kept */
export function refusal({ state, size, kept, cause }: Standing, place: string): CodedError {
  switch (state) {
    case 'no_kept_checkpoint':
      return new CodedError(
        'accounting.no_kept_checkpoint',
        `The log has ${size} entries, and no checkpoint of it is kept at ${place}: this database may be an old copy.`,
        { next: `Put the file back. If it is lost, or the database was restored: ${recovery}.` },
      );
    case 'rolled_back':
      return new CodedError(
        'accounting.rolled_back',
        `The log in the database has ${size} entries, and had ${kept?.size} when the checkpoint at ${place} was kept: it was rolled back.`,
        {
          next: `Put the newer database back. If it is lost: ${recovery}.`,
          details: { size: String(size), kept: String(kept?.size) },
        },
      );
    case 'forked':
      return new CodedError(
        'accounting.forked',
        `The first ${kept?.size} entries of the log are not those that the checkpoint at ${place} was signed for.`,
        {
          next: `Keep database and checkpoint for whoever investigates. To go on with this database: ${recovery}.`,
        },
      );
    case 'bad_kept_checkpoint':
    case 'sound':
      return new CodedError(
        'accounting.bad_kept_checkpoint',
        `What is kept at ${place} is not a checkpoint that this broker signed.`,
        {
          next: `Check \`log\` in the configuration, and that the key folder is the right one. If a recovery broke off, say it again: ${recovery}. Otherwise somebody wrote to the file: find out who.`,
          ...(cause === undefined ? {} : { cause }),
        },
      );
  }
}

/**
 * Keeps the newest checkpoint, if it is another one than the last time, and only while the log goes on from the one that is kept: a
 * file that followed whatever the database says would lose the very evidence it is for.
 * @throws CodedError as `refuseRollback`; `accounting.bad_head` when the head is not one that this broker signed for this tree; the
 * error of the file system
 */
export async function keepCheckpoint(parts: Parts): Promise<void> {
  const standing = await findStanding(parts);
  if (standing.state !== 'sound') throw refusal(standing, parts.checkpointKeep.name);
  await replaceKeptCheckpoint(parts);
}

/**
 * Keeps the checkpoint of the log as it stands, whatever was kept before: for a log that begins, and for an operator who vouches.
 * @throws CodedError `accounting.bad_head`; the error of the file system
 */
export async function replaceKeptCheckpoint({ store, logSigner, checkpointKeep }: Parts): Promise<void> {
  const { origin, size, root, checkpoint } = await store.logHead();
  const readTile: typeof store.readTile = (...place) => store.readTile(...place);
  const isSigned = checkpointOf({ origin, size, root }, logSigner) === checkpoint;
  if (!isSigned || !(await rootAt(size, size, readTile)).equals(root)) {
    throw new CodedError(
      'accounting.bad_head',
      'The head of the log in the database is not the one that this broker signed for its entries.',
      {
        next: `What is kept at ${checkpointKeep.name} was left as it is. Somebody wrote to the database past the broker: stop it, keep both, and find out who.`,
      },
    );
  }
  if (checkpointKeep.read() !== checkpoint) checkpointKeep.write(checkpoint);
}
