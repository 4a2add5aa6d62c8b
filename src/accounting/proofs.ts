import { CodedError } from '../kernel/index.ts';
import { emptyRoot, nodeHash } from './tree.ts';
import { type ReadTile, tileRoot, tileWidth } from './tiles.ts';

/**
 * Audit path of one entry in the tree of `size` entries (RFC 6962 section 2.1.1), nearest sibling first.
 * @throws CodedError `accounting.bad_range` unless 0 <= index < size
 */
export async function inclusionProof(index: bigint, size: bigint, readTile: ReadTile): Promise<Buffer[]> {
  if (index < 0n || index >= size) throw badRange(size);
  const path: Buffer[] = [];
  let [from, to] = [0n, size];
  while (to - from > 1n) {
    const middle = from + largestPowerBelow(to - from);
    const goesLeft = index < middle;
    path.unshift(
      await (goesLeft ? subtreeRoot(middle, to, size, readTile) : subtreeRoot(from, middle, size, readTile)),
    );
    if (goesLeft) to = middle;
    else from = middle;
  }
  return path;
}

/**
 * Proof that the tree of `size` entries continues the one of `before` (RFC 6962 section 2.1.2); empty when both are the same or
 * `before` is 0.
 * @throws CodedError `accounting.bad_range` unless 0 <= before <= size
 */
export async function consistencyProof(before: bigint, size: bigint, readTile: ReadTile): Promise<Buffer[]> {
  if (before < 0n || before > size) throw badRange(size);
  if (before === 0n || before === size) return [];
  const proof: Buffer[] = [];
  let [from, to] = [0n, size];
  while (to !== before) {
    const middle = from + largestPowerBelow(to - from);
    const goesLeft = before <= middle;
    proof.unshift(
      await (goesLeft ? subtreeRoot(middle, to, size, readTile) : subtreeRoot(from, middle, size, readTile)),
    );
    if (goesLeft) to = middle;
    else from = middle;
  }
  // The old tree's own right subtree; left out when that is the whole old tree, which the verifier knows.
  return from === 0n ? proof : [await subtreeRoot(from, to, size, readTile), ...proof];
}

/** Root of the tree as it was when it had `before` of its `size` entries. @throws CodedError `accounting.bad_range` */
export async function rootAt(before: bigint, size: bigint, readTile: ReadTile): Promise<Buffer> {
  if (before < 0n || before > size) throw badRange(size);
  return subtreeRoot(0n, before, size, readTile);
}

/**
 * Root over the entries `from` up to and without `to`, a stretch that occurs in an RFC 6962 tree of `size` entries: `from` is a
 * multiple of the smallest power of two that is not below its length.
 */
async function subtreeRoot(from: bigint, to: bigint, size: bigint, readTile: ReadTile): Promise<Buffer> {
  const length = to - from;
  if (length === 0n) return emptyRoot();
  const height = length.toString(2).length - 1;
  if (length !== 1n << BigInt(height)) {
    const middle = from + largestPowerBelow(length);
    const left = await subtreeRoot(from, middle, size, readTile);
    return nodeHash(left, await subtreeRoot(middle, to, size, readTile));
  }
  // A perfect subtree: a run of 2^(height mod 8) hashes of one tile.
  const level = Math.floor(height / 8);
  const first = from >> BigInt(8 * level);
  const tile = first / 256n;
  const there = (size >> BigInt(8 * level)) - tile * 256n;
  const hashes = await readTile(level, tile, there < 256n ? Number(there) : tileWidth);
  const start = Number(first % 256n) * 32;
  return tileRoot(hashes.subarray(start, start + 32 * 2 ** (height % 8)));
}

/** Largest power of two smaller than n, which is at least 2 (RFC 6962 section 2.1). */
function largestPowerBelow(n: bigint): bigint {
  return 1n << BigInt((n - 1n).toString(2).length - 1);
}

function badRange(size: bigint): CodedError {
  return new CodedError(
    'accounting.bad_range',
    `The log has ${size} entries; the proof asks for one that it has not.`,
  );
}
