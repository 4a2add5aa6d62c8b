import { createHash } from 'node:crypto';
import { CodedError, isCodedError } from '../kernel/index.ts';
import { canonicalJson } from './canonical-json.ts';
import { type LogSigner, parseCheckpoint, signatureLines } from './checkpoint.ts';
import type { EntryValue } from './entry.ts';
import { edgeTiles, type ReadTile, tileWidth } from './tiles.ts';

/** One stored entry, as it leaves for a bundle. */
export interface BundleEntry {
  readonly index: bigint;
  readonly bytes: Uint8Array;
  /** Openings as they were stored; paths that retention has erased since are simply missing. */
  readonly openings: string | undefined;
}

export interface BundleOptions {
  /** The signed note of the tree that the bundle is a part of. */
  readonly checkpoint: string;
  /** Entries `from` up to and without `to`; `to` may not pass the size in the checkpoint. */
  readonly from: bigint;
  readonly to: bigint;
  readonly entries: AsyncIterable<BundleEntry> | Iterable<BundleEntry>;
  /** Tiles of the tree at the checkpoint's size; `tilesOverLeaves` makes them from leaf hashes. */
  readonly readTile: ReadTile;
  /** The log's key: it signs the end of the bundle, so that no opening can be dropped on the way. */
  readonly signer: LogSigner;
  /** True for personal values that the reader may not see; they leave as `"withheld"`. */
  readonly withhold?: (path: string) => boolean;
}

const flushBytes = 64 * 1024;

/**
 * Writes a bundle (docs/formats/bundle.md) piece by piece, in memory that does not grow with the log. It writes what is stored,
 * also where that no longer fits the tree: finding out is the verifier's work.
 * @throws CodedError `accounting.bad_range`, `accounting.bundle_gap` when an entry is missing, `accounting.bad_openings`,
 * `accounting.bad_checkpoint`
 */
export async function* writeBundle(options: BundleOptions): AsyncGenerator<Buffer> {
  const { size, origin } = parseCheckpoint(options.checkpoint);
  if (options.from < 0n || options.from >= options.to || options.to > size) {
    throw new CodedError(
      'accounting.bad_range',
      `There are no entries ${options.from} up to ${options.to}.`,
      {
        next: `The log has ${size} entries; the first has index 0.`,
      },
    );
  }
  const digest = createHash('sha256');
  let waiting: Buffer[] = [];
  let waitingBytes = 0;
  for await (const piece of pieces(options, size)) {
    digest.update(piece);
    waiting.push(piece);
    waitingBytes += piece.length;
    if (waitingBytes < flushBytes) continue;
    yield Buffer.concat(waiting);
    waiting = [];
    waitingBytes = 0;
  }
  const end = `sallyport-bundle-end v1 ${options.from} ${options.to} ${digest.digest('base64')}\n`;
  const sign = signatureLines(origin, options.signer);
  yield Buffer.concat([...waiting, Buffer.from(`${end}\n${sign(end)}`)]);
}

async function* pieces(options: BundleOptions, size: bigint): AsyncGenerator<Buffer> {
  const { from, to, readTile } = options;
  yield Buffer.from(`sallyport-bundle v1 ${from} ${to}\n${options.checkpoint}`);
  const edge = edgeTiles(size);
  for (const { level, index, width } of edge)
    yield tileLine(level, index, await readTile(level, index, width));
  const entries =
    Symbol.asyncIterator in options.entries
      ? options.entries[Symbol.asyncIterator]()
      : options.entries[Symbol.iterator]();
  for (const { level, index, width } of edge) yield* below(level, index, width);
  if ((await entries.next()).done !== true) throw gap(to);

  /** What hangs below the hashes of a tile, in the order of the entries: tiles in pre-order, entries under those of level 0. */
  async function* below(level: number, index: bigint, width: number): AsyncGenerator<Buffer> {
    const span = 256n ** BigInt(level);
    for (let child = index * 256n; child < index * 256n + BigInt(width); child += 1n) {
      if ((child + 1n) * span <= from || child * span >= to) continue;
      if (level === 0) {
        const next = await entries.next();
        if (next.done === true || next.value.index !== child) throw gap(child);
        yield entryLines(next.value, options.withhold);
      } else {
        yield tileLine(level - 1, child, await readTile(level - 1, child, tileWidth));
        yield* below(level - 1, child, tileWidth);
      }
    }
  }
}

function tileLine(level: number, index: bigint, hashes: Buffer): Buffer {
  return Buffer.from(`tile ${level} ${index} ${hashes.toString('base64')}\n`);
}

function entryLines(entry: BundleEntry, withhold: BundleOptions['withhold']): Buffer {
  const lineEnd = Buffer.of(0x0a);
  return Buffer.concat([
    Buffer.from(`entry ${entry.index}\n`),
    entry.bytes,
    lineEnd,
    Buffer.from(openingsLine(entry, withhold)),
    lineEnd,
  ]);
}

function openingsLine(entry: BundleEntry, withhold: BundleOptions['withhold']): string {
  const paths = personalPaths(entry.bytes);
  if (paths.length === 0) return '{}';
  const held = parseRecord(entry.openings ?? '{}');
  if (held === undefined) throw badOpenings(entry.index);
  const line: Record<string, EntryValue> = {};
  for (const path of paths) line[path] = withhold?.(path) === true ? 'withheld' : (held[path] ?? 'erased');
  try {
    return canonicalJson(line);
  } catch (error) {
    if (isCodedError(error)) throw badOpenings(entry.index);
    throw error;
  }
}

/** Paths of an entry's commitments; none when the stored bytes are no entry any more, which the verifier will tell. */
function personalPaths(bytes: Uint8Array): readonly string[] {
  const listed = parseRecord(Buffer.from(bytes).toString())?.['personal'];
  return Array.isArray(listed) ? listed.filter((path) => typeof path === 'string') : [];
}

function parseRecord(text: string): { readonly [key: string]: EntryValue } | undefined {
  try {
    const value = JSON.parse(text) as EntryValue;
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as { readonly [key: string]: EntryValue })
      : undefined;
  } catch {
    return undefined; // no JSON: the callers say what that means
  }
}

function gap(index: bigint): CodedError {
  return new CodedError('accounting.bundle_gap', `The store did not give entry ${index} where it belongs.`, {
    next: 'The stored log is damaged or the range was read wrongly. Compare the database with a backup.',
  });
}

function badOpenings(index: bigint): CodedError {
  return new CodedError(
    'accounting.bad_openings',
    `The personal values kept for entry ${index} cannot be read.`,
    {
      next: 'The stored log is damaged. Compare the database with a backup.',
    },
  );
}
