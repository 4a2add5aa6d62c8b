import { type ReadTile, tileWidth } from './tiles.ts';
import { nodeHash } from './tree.ts';

/** Full tiles whose nodes are kept by themselves: some 16 KB each, at most twice as many. */
const mostKept = 512;
/** Rows of hashes within a tile, one upon the other; what lies above the last is a hash of the next level. */
const rows = 8;
/** Where each row begins: 256 hashes, 128, … 2. */
const rowStarts = Array.from({ length: rows }, (_, row) => 512 - 512 / 2 ** row);

/** The nodes of one tile. */
export class TileNodes {
  /** Of its lowest row, so many hashes exist. */
  readonly width: number;
  readonly #bytes = Buffer.allocUnsafeSlow(32 * (512 - 2));
  /** Of tiles above the lowest level, through which most proofs pass: what was asked for. */
  readonly #asked: Buffer[] | undefined;

  constructor(hashes: Buffer, level: number) {
    this.width = hashes.length / 32;
    this.#asked = level === 0 ? undefined : [];
    const bytes = this.#bytes;
    hashes.copy(bytes);
    for (let row = 1, count = this.width >> 1; row < rows; row += 1, count >>= 1) {
      const [below = 0, here = 0] = [rowStarts[row - 1], rowStarts[row]];
      for (let at = 0; at < count; at += 1) {
        const left = (below + 2 * at) * 32;
        const [one, other] = [bytes.subarray(left, left + 32), bytes.subarray(left + 32, left + 64)];
        nodeHash(one, other).copy(bytes, (here + at) * 32);
      }
    }
  }

  /** Root over the `nth` run of 2^height entries, counted over the whole tree: one that this tile has. The bytes are not to be changed. */
  node(height: number, nth: number): Buffer {
    const row = height & 7;
    const place = (rowStarts[row] ?? 0) + (nth % (256 >> row));
    // A view costs as much as all the rest. Those of the lowest level are too many to be kept.
    if (this.#asked === undefined) return this.#bytes.subarray(place * 32, place * 32 + 32);
    return (this.#asked[place] ??= this.#bytes.subarray(place * 32, place * 32 + 32));
  }
}

/**
 * The nodes of an RFC 6962 tree, made from its tiles. Those of full tiles never change and are kept, a bounded number of them: a
 * proof through tiles that were seen before hashes nothing but the right edge of the tree, and that once for each size.
 */
export class TileTree {
  readonly #readTile: ReadTile;
  readonly #most: number;
  /** Full tiles: those used lately, and those used before. */
  #young = new Map<number, TileNodes>();
  #old = new Map<number, TileNodes>();
  /** By level, the newest tile on the right edge that was not full. */
  readonly #edges: { readonly tile: number; readonly nodes: TileNodes }[] = [];
  #edgeRoots = { size: 0, roots: new Map<number, Buffer>() };

  /** @param mostTiles that are kept at the least, once they were read */
  constructor(readTile: ReadTile, mostTiles = mostKept) {
    this.#readTile = readTile;
    this.#most = mostTiles;
  }

  /**
   * The nodes of the tile that has the `nth` run of 2^height entries, in a tree of `size` entries. Undefined when it must be read
   * first: whoever has to wait for nothing should not.
   */
  kept(height: number, nth: number, size: number): TileNodes | undefined {
    const level = height >> 3;
    const tile = tileOf(height, nth);
    const name = nameOf(level, tile);
    const young = this.#young.get(name);
    if (young !== undefined) return young;
    const old = this.#old.get(name);
    if (old !== undefined) {
      this.#keep(name, old);
      return old;
    }
    const edge = this.#edges[level];
    return edge?.tile === tile && edge.nodes.width >= widthOf(level, tile, size) ? edge.nodes : undefined;
  }

  /** The same, read if need be. */
  async nodes(height: number, nth: number, size: number): Promise<TileNodes> {
    const kept = this.kept(height, nth, size);
    if (kept !== undefined) return kept;
    const level = height >> 3;
    const tile = tileOf(height, nth);
    const width = widthOf(level, tile, size);
    const nodes = new TileNodes(await this.#readTile(level, BigInt(tile), width), level);
    if (width === tileWidth) this.#keep(nameOf(level, tile), nodes);
    else this.#edges[level] = { tile, nodes };
    return nodes;
  }

  /** What was kept of the right edge from `from` on, for a tree of this size, or kept now. */
  edge(from: number, size: number): Buffer | undefined {
    return this.#edgeRoots.size === size ? this.#edgeRoots.roots.get(from) : undefined;
  }

  keepEdge(from: number, size: number, root: Buffer): void {
    if (this.#edgeRoots.size !== size) this.#edgeRoots = { size, roots: new Map() };
    this.#edgeRoots.roots.set(from, root);
  }

  /** Two generations: when the young one is full, it becomes the old one, and what nobody asked for since is gone. */
  #keep(name: number, nodes: TileNodes): void {
    if (this.#young.size >= this.#most) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(name, nodes);
  }
}

function nameOf(level: number, tile: number): number {
  return level * 2 ** 45 + tile;
}

function tileOf(height: number, nth: number): number {
  return Math.floor(nth / (256 >> (height & 7)));
}

/** How many hashes the tile has, in a tree of `size` entries. */
function widthOf(level: number, tile: number, size: number): number {
  return Math.min(Math.floor(size / 256 ** level) - tile * tileWidth, tileWidth);
}
