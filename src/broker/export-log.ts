import { createHash } from 'node:crypto';
import { checkpointOf, parseCheckpoint, rootAt, writeBundle } from '../accounting/index.ts';
import { CodedError, isCodedError } from '../kernel/index.ts';
import { entryBy, stillSignedIn } from './entries.ts';
import type { Rooms, SignedIn } from './rooms.ts';
import { shownCheckpoint } from './witnessed-release.ts';

/** What is there already of an export that broke off. */
export interface HeldPart {
  /** The checkpoint in it. */
  readonly checkpoint: string;
  readonly sizeBytes: number;
  /** Hex, over these bytes. */
  readonly sha256: string;
}

export interface ExportRange {
  /** Entries `from` up to and without `to`; all of them when left out. */
  readonly from?: bigint;
  readonly to?: bigint;
  /** Go on behind this part: the same export byte for byte, without what is there. */
  readonly held?: HeldPart;
}

/**
 * A stretch of the log as it stands now, [from, to), as a bundle that verifies offline, or the rest of one that broke off. The
 * export is itself an entry, durable before the first byte.
 * @throws CodedError `accounting.bad_range`, `accounting.export_changed` at once; the stream itself fails only with the store
 */
export async function exportLog(
  rooms: Rooms,
  range: ExportRange,
  caller: SignedIn,
): Promise<AsyncIterable<Buffer>> {
  const { store, clock, logSigner } = rooms;
  const target = {
    kind: 'log',
    from: String(range.from ?? 0n),
    ...(range.to === undefined ? {} : { to: String(range.to) }),
  };
  await store.commit({
    guard: stillSignedIn(caller),
    entries: [entryBy(caller, { type: 'log.export', timeMs: clock.nowMs(), fields: { target } })],
  });
  const checkpoint =
    range.held === undefined
      ? await shownCheckpoint(rooms, last(range, (await store.logHead()).size))
      : await sameCheckpoint(rooms, range.held.checkpoint);
  const { size } = parseCheckpoint(checkpoint);
  const from = range.from ?? 0n;
  const to = range.to ?? size;
  if (from >= to || to > size) {
    throw new CodedError(
      'accounting.bad_range',
      `The log has ${size} entries; there is no stretch from ${from} to ${to}.`,
      { next: 'Choose 0 <= from < to <= the size of the log, or leave both out.' },
    );
  }
  const bundle = writeBundle({
    checkpoint,
    from,
    to,
    entries: store.logEntries(from, to),
    readTile: (...place) => store.readTile(...place),
    signer: logSigner,
  });
  return range.held === undefined ? bundle : behind(bundle, range.held);
}

/** The last entry that is asked for. */
function last({ to }: ExportRange, size: bigint): bigint {
  return (to === undefined || to > size ? size : to) - 1n;
}

/** A checkpoint of an earlier size, if this log signed it; lines of others behind that signature are passed on as they are. */
async function sameCheckpoint({ store, logSigner }: Rooms, note: string): Promise<string> {
  const { origin, size } = await store.logHead();
  try {
    const held = parseCheckpoint(note);
    if (held.origin !== origin || held.size > size) throw changed();
    const root = await rootAt(held.size, size, (...place) => store.readTile(...place));
    if (note.startsWith(checkpointOf({ ...held, root }, logSigner))) return note;
  } catch (error) {
    if (!isCodedError(error, 'accounting.bad_checkpoint')) throw error;
  }
  throw changed();
}

/** The rest of a stream whose beginning is held. Read anew from its start, so that its end signs all of it. */
async function behind(
  bundle: AsyncGenerator<Buffer>,
  { sizeBytes, sha256 }: HeldPart,
): Promise<AsyncGenerator<Buffer>> {
  const digest = createHash('sha256');
  let missing = sizeBytes;
  let rest: Buffer = Buffer.alloc(0);
  while (missing > 0) {
    const next = await bundle.next();
    if (next.done === true) throw changed();
    const chunk = next.value;
    digest.update(chunk.subarray(0, missing));
    rest = chunk.subarray(missing);
    missing -= chunk.length - rest.length;
  }
  if (digest.digest('hex') !== sha256) throw changed();
  return (async function* () {
    if (rest.length > 0) yield rest;
    yield* bundle;
  })();
}

function changed(): CodedError {
  return new CodedError(
    'accounting.export_changed',
    'What is there of the export is not the beginning of what the broker would send now.',
    { next: 'Export it anew. Personal values that were erased meanwhile do this, and so does another log.' },
  );
}
