import { emptyRoot, nodeHash } from './tree.ts';

/** Hashes side by side in a full tile: C2SP tlog-tiles fixes the height of a tile at 8. */
export const tileWidth = 256;

/**
 * Reads a tile of the tree (C2SP tlog-tiles): hash `i` of tile (level, index) is the root over the 256^level entries from
 * (index * 256 + i) * 256^level on. @returns `width` hashes of 32 bytes, concatenated; width is 1 to 256.
 */
export type ReadTile = (level: number, index: bigint, width: number) => Buffer | Promise<Buffer>;

/** A tile and how many of its hashes exist. */
export interface TilePlace {
  readonly level: number;
  readonly index: bigint;
  readonly width: number;
}

/** The partial tiles on the right edge of a tree of `size` entries, highest level first; a level without one is left out. */
export function edgeTiles(size: bigint): TilePlace[] {
  const tiles: TilePlace[] = [];
  for (let level = 0, count = size; count > 0n; level += 1, count /= 256n) {
    const width = Number(count % 256n);
    if (width > 0) tiles.unshift({ level, index: count / 256n, width });
  }
  return tiles;
}

/** RFC 6962 root over hashes side by side, 32 bytes each: at least one, as many as there are. */
export function tileRoot(hashes: Buffer): Buffer {
  let row = Array.from({ length: hashes.length / 32 }, (_, nth) => hashes.subarray(nth * 32, nth * 32 + 32));
  while (row.length > 1) {
    const above: Buffer[] = [];
    for (let nth = 0; nth < row.length; nth += 2) {
      const [left = hashes, right] = row.slice(nth, nth + 2);
      // One without a neighbour moves up as it is.
      above.push(right === undefined ? left : nodeHash(left, right));
    }
    row = above;
  }
  return row[0] ?? emptyRoot();
}

/**
 * Tiles for a store that keeps leaf hashes only. Level 0 is read each time; the roots of full tiles are kept, 32 bytes per 256
 * entries. `readLeafHashes(from, count)` gives `count` leaf hashes from index `from` on, concatenated.
 */
export function tilesOverLeaves(
  readLeafHashes: (from: bigint, count: number) => Buffer | Promise<Buffer>,
): ReadTile {
  const roots = new Map<string, Buffer>();
  const read = async (level: number, index: bigint, width: number): Promise<Buffer> => {
    if (level === 0) return await readLeafHashes(index * 256n, width);
    const hashes: Buffer[] = [];
    for (let child = index * 256n; child < index * 256n + BigInt(width); child += 1n) {
      const name = `${level} ${child}`;
      const root = roots.get(name) ?? tileRoot(await read(level - 1, child, tileWidth));
      roots.set(name, root);
      hashes.push(root);
    }
    return Buffer.concat(hashes);
  };
  return read;
}
