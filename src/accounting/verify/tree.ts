import { hash } from 'node:crypto';

/** SHA-256(0x00 || entry), RFC 6962 section 2.1. */
export function leafHash(entry: Buffer): Buffer {
  return hash('sha256', Buffer.concat([Buffer.of(0), entry]), 'buffer');
}

/** SHA-256(0x01 || left || right), RFC 6962 section 2.1. */
function nodeHash(left: Buffer, right: Buffer): Buffer {
  return hash('sha256', Buffer.concat([Buffer.of(1), left, right]), 'buffer');
}

/** The hashes of a tile, left to right. */
export function splitHashes(tile: Buffer): Buffer[] {
  const hashes: Buffer[] = [];
  for (let at = 0; at < tile.length; at += 32) hashes.push(tile.subarray(at, at + 32));
  return hashes;
}

/**
 * The left part of a tree, as the roots of its perfect subtrees. Grows by whole subtrees of 256^level leaves, each of which
 * must start at a multiple of its own width.
 */
export class LeftPart {
  readonly #subtrees: { readonly root: Buffer; readonly leaves: bigint }[] = [];
  size = 0n;

  push(root: Buffer, level: number): void {
    let grown = { root, leaves: 256n ** BigInt(level) };
    this.size += grown.leaves;
    for (;;) {
      const left = this.#subtrees.at(-1);
      if (left?.leaves !== grown.leaves) break;
      this.#subtrees.pop();
      grown = { root: nodeHash(left.root, grown.root), leaves: 2n * grown.leaves };
    }
    this.#subtrees.push(grown);
  }

  /** RFC 6962 root over everything pushed. */
  root(): Buffer {
    const roots = this.#subtrees.map((subtree) => subtree.root);
    return roots.length === 0 ? rootOfNothing() : roots.reduceRight((right, left) => nodeHash(left, right));
  }
}

/** Root over the hashes of one full tile. */
export function rootOfTile(hashes: readonly Buffer[]): Buffer {
  const part = new LeftPart();
  for (const hash of hashes) part.push(hash, 0);
  return part.root();
}

/**
 * The root of a tree of `size` leaves in which `leaf` stands at `index`, by its audit path (RFC 9162 section 2.1.3.2); undefined
 * when the path has not the length that such a tree needs, or there is no such leaf.
 */
export function rootFromPath(
  index: bigint,
  size: bigint,
  leaf: Buffer,
  path: readonly Buffer[],
): Buffer | undefined {
  if (index >= size) return undefined;
  let [first, second, root] = [index, size - 1n, leaf];
  for (const hash of path) {
    if (second === 0n) return undefined;
    if (first % 2n === 1n || first === second) {
      root = nodeHash(hash, root);
      // A subtree on the right edge without a neighbour stands higher up as it is.
      while (first % 2n === 0n && first !== 0n) [first, second] = [first / 2n, second / 2n];
    } else root = nodeHash(root, hash);
    [first, second] = [first / 2n, second / 2n];
  }
  return second === 0n ? root : undefined;
}

/** The root of a tree without leaves, RFC 6962 section 2.1. */
export function rootOfNothing(): Buffer {
  return hash('sha256', '', 'buffer');
}

/** Two states of a log, and what shows that one continues the other. */
export interface Continuation {
  readonly before: { readonly size: bigint; readonly root: Buffer };
  readonly after: { readonly size: bigint; readonly root: Buffer };
  readonly proof: readonly Buffer[];
}

/**
 * Whether the later tree begins with the earlier one (RFC 9162 section 2.1.4.2). From an empty tree and from an equal one only the
 * empty proof is right.
 */
export function isContinuation({ before, after, proof }: Continuation): boolean {
  if (before.size > after.size) return false;
  if (before.size === after.size) return proof.length === 0 && before.root.equals(after.root);
  if (before.size === 0n) return proof.length === 0;
  // The old root itself is left out of the proof where it is a node of the new tree.
  const whole = (before.size & (before.size - 1n)) === 0n;
  const [start, ...path] = whole ? [before.root, ...proof] : proof;
  if (start === undefined) return false;
  let [old, now] = [before.size - 1n, after.size - 1n];
  while (old % 2n === 1n) [old, now] = [old / 2n, now / 2n];
  let [oldRoot, newRoot] = [start, start];
  for (const hash of path) {
    if (now === 0n) return false;
    if (old % 2n === 1n || old === now) {
      oldRoot = nodeHash(hash, oldRoot);
      newRoot = nodeHash(hash, newRoot);
      while (old % 2n === 0n && old !== 0n) [old, now] = [old / 2n, now / 2n];
    } else newRoot = nodeHash(newRoot, hash);
    [old, now] = [old / 2n, now / 2n];
  }
  return now === 0n && oldRoot.equals(before.root) && newRoot.equals(after.root);
}
