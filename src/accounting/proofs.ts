import { CodedError } from '../kernel/index.ts';
import { emptyRoot, nodeHash } from './tree.ts';
import { TileTree, type TileNodes } from './tile-tree.ts';
import type { ReadTile } from './tiles.ts';

/** What proofs are made from: tiles, and whatever was kept of those that were read before. */
export type ProofSource = TileTree | ReadTile;

/**
 * Audit path of one entry in the tree of `size` entries (RFC 6962 section 2.1.1), nearest sibling first.
 * @throws CodedError `accounting.bad_range` unless 0 <= index < size
 */
export async function inclusionProof(index: bigint, size: bigint, source: ProofSource): Promise<Buffer[]> {
  if (index < 0n || index >= size || size > mostEntries) throw badRange(size);
  const tree = treeOf(source);
  const path: Buffer[] = [];
  const end = Number(size);
  // Numbers from here on: a proof takes some twenty steps, and bigints would cost more than all the rest.
  let nth = Number(index);
  let nodes: TileNodes | undefined;
  for (let height = 0, run = 1; run < end; height += 1, run *= 2) {
    // Eight rows of one tile, then the tile above it.
    if ((height & 7) === 0) nodes = tree.kept(height, nth, end);
    const sibling = nth % 2 === 0 ? nth + 1 : nth - 1;
    const from = sibling * run;
    if (from + run <= end) path.push((nodes ??= await tree.nodes(height, nth, end)).node(height, sibling));
    else if (from < end) path.push(tree.edge(from, end) ?? (await subtreeRoot(from, end, end, tree)));
    nth = (nth - (nth % 2)) / 2;
  }
  return path;
}

/**
 * Proof that the tree of `size` entries continues the one of `before` (RFC 6962 section 2.1.2); empty when both are the same or
 * `before` is 0.
 * @throws CodedError `accounting.bad_range` unless 0 <= before <= size
 */
export async function consistencyProof(before: bigint, size: bigint, source: ProofSource): Promise<Buffer[]> {
  if (before < 0n || before > size || size > mostEntries) throw badRange(size);
  if (before === 0n || before === size) return [];
  const tree = treeOf(source);
  const proof: Buffer[] = [];
  const [old, end] = [Number(before), Number(size)];
  let [from, to] = [0, end];
  while (to !== old) {
    const middle = from + largestPowerBelow(to - from);
    const goesLeft = old <= middle;
    proof.unshift(
      await (goesLeft ? subtreeRoot(middle, to, end, tree) : subtreeRoot(from, middle, end, tree)),
    );
    if (goesLeft) to = middle;
    else from = middle;
  }
  // The old tree's own right subtree; left out when that is the whole old tree, which the verifier knows.
  return from === 0 ? proof : [await subtreeRoot(from, to, end, tree), ...proof];
}

/** Root of the tree as it was when it had `before` of its `size` entries. @throws CodedError `accounting.bad_range` */
export async function rootAt(before: bigint, size: bigint, source: ProofSource): Promise<Buffer> {
  if (before < 0n || before > size || size > mostEntries) throw badRange(size);
  return subtreeRoot(0, Number(before), Number(size), treeOf(source));
}

function treeOf(source: ProofSource): TileTree {
  return source instanceof TileTree ? source : new TileTree(source);
}

/**
 * Root over the entries `from` up to and without `to`, a stretch that occurs in an RFC 6962 tree of `size` entries: `from` is a
 * multiple of the smallest power of two that is not below its length.
 */
async function subtreeRoot(from: number, to: number, size: number, tree: TileTree): Promise<Buffer> {
  const length = to - from;
  if (length === 0) return emptyRoot();
  const height = Math.floor(Math.log2(length));
  if (length === 2 ** height) {
    const nth = from / length;
    return (await tree.nodes(height, nth, size)).node(height, nth);
  }
  const edge = to === size ? tree.edge(from, size) : undefined;
  if (edge !== undefined) return edge;
  const middle = from + largestPowerBelow(length);
  const left = await subtreeRoot(from, middle, size, tree);
  const root = nodeHash(left, await subtreeRoot(middle, to, size, tree));
  if (to === size) tree.keepEdge(from, size, root);
  return root;
}

/** Largest power of two smaller than n, which is at least 2 (RFC 6962 section 2.1). */
function largestPowerBelow(n: number): number {
  return 2 ** (Math.ceil(Math.log2(n)) - 1);
}

/** Far beyond any log, and exact as a number, its logarithm too. */
const mostEntries = 1n << 40n;

function badRange(size: bigint): CodedError {
  return new CodedError(
    'accounting.bad_range',
    `The log has ${size} entries; the proof asks for one that it has not.`,
  );
}
