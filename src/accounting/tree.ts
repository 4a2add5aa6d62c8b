import { hash } from 'node:crypto';
import { CodedError } from '../kernel/index.ts';
import type { LogHead, TileHash } from './entry.ts';

/** SHA-256, 32 bytes. By way of a string: a buffer made by `hash` itself costs twice as much as all the rest. */
export function digest(bytes: Uint8Array): Buffer {
  return Buffer.from(hash('sha256', bytes, 'binary'), 'binary');
}

/** RFC 6962 section 2.1: the hash of the empty tree is SHA-256 of nothing. */
export function emptyRoot(): Buffer {
  return digest(Buffer.alloc(0));
}

/** SHA-256(0x00 || entry), RFC 6962 section 2.1. */
export function leafHash(entry: Uint8Array): Buffer {
  const prefixed = Buffer.allocUnsafe(1 + entry.length);
  prefixed[0] = 0;
  prefixed.set(entry, 1);
  return digest(prefixed);
}

// One buffer for every node: `digest` reads it before it returns, and nothing else runs meanwhile.
const pair = Buffer.alloc(65, 1);

/** SHA-256(0x01 || left || right), RFC 6962 section 2.1. */
export function nodeHash(left: Uint8Array, right: Uint8Array): Buffer {
  pair.set(left, 1);
  pair.set(right, 33);
  return digest(pair);
}

/** Size and root of the tree over entries that are read once, in order. */
export function treeOver(entries: Iterable<Uint8Array>): { readonly size: bigint; readonly root: Buffer } {
  const frontier: Buffer[] = [];
  let size = 0n;
  for (const entry of entries) {
    pushLeaf(frontier, size, leafHash(entry));
    size += 1n;
  }
  return { size, root: rootOf(frontier) };
}

/** Where a log that has no entry yet stands. */
export function emptyLogHead(origin: string): LogHead {
  return { origin, size: 0n, frontier: [], root: emptyRoot() };
}

/**
 * Puts one leaf after `size` leaves: `frontier` (largest subtree first) is changed in place. Hashes that a tile above level 0
 * holds, of subtrees of 256, 65,536, … leaves, are added to `tileHashes` as the leaf completes them.
 */
export function pushLeaf(frontier: Buffer[], size: bigint, leaf: Buffer, tileHashes?: TileHash[]): void {
  let carry = leaf;
  // Each trailing one bit of the size is a perfect subtree on the right edge that the new leaf completes.
  for (let rest = size, height = 1; rest % 2n === 1n; rest /= 2n, height += 1) {
    carry = nodeHash(frontier.pop() ?? leaf, carry);
    if (height % 8 === 0) tileHashes?.push({ level: height / 8, index: size >> BigInt(height), hash: carry });
  }
  frontier.push(carry);
}

/** Root over the perfect subtrees of a frontier, largest first; the empty tree's root when there is none. */
export function rootOf(frontier: readonly Buffer[]): Buffer {
  return frontier.length === 0 ? emptyRoot() : frontier.reduceRight((right, left) => nodeHash(left, right));
}

/**
 * Checks that a head is whole: as many subtrees as its size has one bits, 32 bytes each, and the root that they give.
 * @throws CodedError `accounting.bad_head`
 */
export function checkLogHead(head: LogHead): void {
  let subtrees = 0;
  for (let rest = head.size; rest > 0n; rest /= 2n) subtrees += Number(rest % 2n);
  if (
    head.size < 0n ||
    head.frontier.length !== subtrees ||
    head.frontier.some((hash) => hash.length !== 32) ||
    !rootOf(head.frontier).equals(head.root)
  ) {
    throw new CodedError(
      'accounting.bad_head',
      `The stored head of the log ${head.origin} does not hold together.`,
      {
        next: 'Do not append to it. Restore the database from a backup and compare it with the checkpoint kept outside.',
        details: { size: head.size.toString() },
      },
    );
  }
}
