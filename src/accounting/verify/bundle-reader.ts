import { BundleLines } from './bundle-lines.ts';
import { checkOpenings, type Entry, type OpeningCounts, parseEntry } from './entry.ts';
import { type Checkpoint, decodeBase64, type PinnedKey, signatureFault } from './note.ts';
import { readCheckpoint } from './read-checkpoint.ts';
import { leafHash, LeftPart, rootOfTile, splitHashes } from './tree.ts';
import { Refusal } from './verdict.ts';

export interface ReadEntry {
  readonly index: bigint;
  readonly entry: Entry;
  readonly openings: OpeningCounts;
}

interface Tile {
  readonly level: number;
  readonly index: bigint;
  readonly hashes: readonly Buffer[];
}

interface EdgeTile extends Tile {
  /** Line of the file where it stands. */
  readonly line: number;
}

const endLine = /^sallyport-bundle-end v1 (0|[1-9]\d{0,14}) ([1-9]\d{0,14}) [A-Za-z0-9+/]{43}=$/;

/**
 * Reads a bundle from front to back (docs/formats/bundle.md). Each hash is checked against the signed root before anything
 * below it is read, so that what is wrong is found where it is. Methods throw Refusal at the first deviation.
 */
export class BundleReader {
  readonly #lines: BundleLines;
  readonly #pinned: PinnedKey;
  readonly #sizeBefore: bigint | undefined;
  readonly #left = new LeftPart();
  #range = { from: 0n, to: 0n };
  #edge: readonly EdgeTile[] = [];
  /** Root over the first `sizeBefore` entries, once the entries are read and if this bundle reaches there. */
  rootBefore: Buffer | undefined;

  constructor(input: AsyncIterable<Uint8Array>, pinned: PinnedKey, sizeBefore: bigint | undefined) {
    this.#lines = new BundleLines(input);
    this.#pinned = pinned;
    this.#sizeBefore = sizeBefore;
  }

  /** Reads the head of the file: range, checkpoint, tiles of the right edge, which must give the signed root. */
  async open(): Promise<{
    from: bigint;
    to: bigint;
    checkpoint: Checkpoint;
    signatures: readonly string[];
  }> {
    const header = await this.#lines.text('a header');
    const [, first, last] = /^sallyport-bundle v1 (0|[1-9]\d{0,14}) ([1-9]\d{0,14})$/.exec(header) ?? [];
    if (first === undefined || last === undefined)
      throw this.#lines.refuse('The file is not a bundle of version 1');
    const [from, to] = [BigInt(first), BigInt(last)];
    this.#range = { from, to };
    const { checkpoint, signatures, next } = await readCheckpoint(this.#lines, this.#pinned);
    if (from >= to || to > checkpoint.size)
      throw this.#lines.refuse('The range does not fit the checkpoint', 1);
    await this.#readEdge(checkpoint, next);
    this.#lines.at = from;
    return { from, to, checkpoint, signatures };
  }

  /** All entries of the range in order, then the signed end of the file. */
  async *entries(): AsyncGenerator<ReadEntry> {
    for (const tile of this.#edge) yield* this.#below(tile);
    if (this.#left.size === this.#sizeBefore) this.rootBefore = this.#left.root();
    this.#lines.at = undefined;
    await this.#end();
  }

  /**
   * Where the fault behind a refusal lies: a wrong range in the header shows only later, where the file does not fit it. The end
   * says the range once more, and the log signed that. It is looked for from the newest line on, among lines that need not be
   * text: anything may have been put in their place. Nothing can be read afterwards.
   */
  async trace(refusal: Refusal): Promise<Refusal> {
    if (this.#range.to === 0n) return refusal;
    try {
      for (; ; await this.#lines.bytes('the end line')) {
        const line = this.#lines.current;
        const [, from, to] = endLine.exec(line) ?? [];
        if (from === undefined || to === undefined) continue;
        if ((await this.#endFault(line)) !== undefined) return refusal;
        if (BigInt(from) === this.#range.from && BigInt(to) === this.#range.to) return refusal;
        this.#lines.at = undefined;
        return this.#lines.refuse(`The bundle was exported with the range ${from} to ${to}`, 1);
      }
    } catch (error) {
      if (error instanceof Refusal) return refusal; // the end is missing or worth nothing
      throw error;
    }
  }

  /** Lets go of the source, also when it was not read to its end. */
  async close(): Promise<void> {
    await this.#lines.close();
  }

  /** The partial tiles of the right edge, highest level first: together they give the root. */
  async #readEdge({ size, root }: Checkpoint, firstLine: string): Promise<void> {
    const edge: EdgeTile[] = [];
    const whole = new LeftPart();
    let levels = 0;
    while (256n ** BigInt(levels + 1) <= size) levels += 1;
    let text = firstLine;
    for (let level = levels; level >= 0; level -= 1) {
      const count = size / 256n ** BigInt(level);
      const width = Number(count % 256n);
      if (width === 0) continue;
      if (edge.length > 0) text = await this.#lines.text('a tile');
      const hashes = this.#tile(text, level, count / 256n, width);
      for (const hash of hashes) whole.push(hash, level);
      edge.push({ level, index: count / 256n, hashes, line: this.#lines.line });
    }
    if (!whole.root().equals(root)) throw await this.#edgeRefusal(edge);
    this.#edge = edge;
  }

  /**
   * The root tells that a tile of the right edge is wrong, not which one. What hangs below a tile bears it out, if all of it is
   * in the range: the first one that is not borne out is named.
   */
  async #edgeRefusal(edge: readonly EdgeTile[]): Promise<Refusal> {
    const what = 'The tiles of the right edge do not give the signed root';
    const unproved: number[] = [];
    for (const tile of edge.length > 1 ? edge : []) {
      const borneOut = await this.#bearsOut(tile);
      this.#lines.at = undefined;
      if (borneOut === false) return this.#lines.refuse(what, tile.line);
      if (borneOut === undefined) unproved.push(tile.line);
    }
    const [first = edge[0]?.line, ...others] = unproved;
    return this.#lines.refuse(
      others.length === 0 ? what : `${what}; line ${others.join(' or ')} may be it too`,
      first,
    );
  }

  /** Does what hangs below a tile of the edge fit its hashes? Undefined when it does as far as the range goes. */
  async #bearsOut(tile: Tile): Promise<boolean | undefined> {
    try {
      const below = this.#below(tile);
      while ((await below.next()).done !== true);
    } catch (error) {
      if (error instanceof Refusal) return false;
      throw error;
    }
    const span = 256n ** BigInt(tile.level);
    const first = tile.index * 256n * span;
    const end = first + BigInt(tile.hashes.length) * span;
    // Below a hash of which no entry is in the range, nothing stands.
    return first + span > this.#range.from && end - span < this.#range.to ? true : undefined;
  }

  /** What hangs below a tile: entries at level 0, else each full tile of the next level and what hangs below it. */
  async *#below({ level, index, hashes }: Tile, counted = false): AsyncGenerator<ReadEntry> {
    const span = 256n ** BigInt(level);
    for (const [nth, hash] of hashes.entries()) {
      const child = index * 256n + BigInt(nth);
      const [first, end] = [child * span, (child + 1n) * span];
      const inRange = end > this.#range.from && first < this.#range.to;
      const childCounted = counted || this.#count(hash, level, first, inRange);
      if (!inRange) continue;
      this.#lines.at = first > this.#range.from ? first : this.#range.from;
      if (level === 0) yield await this.#entry(child, hash);
      else yield* this.#below(await this.#child(level - 1, child, hash), childCounted);
    }
  }

  /** Adds a subtree to the left part, unless the earlier size cuts through it: then its children are added one by one. */
  #count(hash: Buffer, level: number, first: bigint, inRange: boolean): boolean {
    const before = this.#sizeBefore;
    if (before === first) this.rootBefore = this.#left.root();
    const end = first + 256n ** BigInt(level);
    if (level > 0 && inRange && before !== undefined && first < before && before < end) return false;
    this.#left.push(hash, level);
    return true;
  }

  async #child(level: number, index: bigint, hash: Buffer): Promise<Tile> {
    const hashes = this.#tile(await this.#lines.text('a tile'), level, index, 256);
    if (!rootOfTile(hashes).equals(hash))
      throw this.#lines.refuse('The tile does not give the hash above it');
    return { level, index, hashes };
  }

  #tile(line: string, level: number, index: bigint, width: number): readonly Buffer[] {
    const start = `tile ${level} ${index} `;
    const bytes = line.startsWith(start) ? decodeBase64(line.slice(start.length)) : undefined;
    if (bytes?.length !== 32 * width)
      throw this.#lines.refuse(`Tile ${level} ${index} is missing or malformed`);
    return splitHashes(bytes);
  }

  async #entry(index: bigint, hash: Buffer): Promise<ReadEntry> {
    if ((await this.#lines.text('an entry')) !== `entry ${index}`)
      throw this.#lines.refuse('The entry is missing');
    const bytes = await this.#lines.bytes('an entry');
    if (!leafHash(bytes).equals(hash))
      throw this.#lines.refuse('The entry is not the one in the signed tree');
    const entry = parseEntry(bytes);
    if (typeof entry === 'string') throw this.#lines.refuse(`The entry is malformed: ${entry}`);
    const openings = checkOpenings(await this.#lines.bytes('personal values'), entry);
    if (typeof openings === 'string') throw this.#lines.refuse(`The entry cannot be shown: ${openings}`);
    return { index, entry, openings };
  }

  /** The last three lines: range and digest of all bytes before them, an empty line, and the log's signature over the first. */
  async #end(): Promise<void> {
    const digest = this.#lines.digest().toString('base64');
    const text = await this.#lines.text('the end line');
    const { line } = this.#lines;
    if (!endLine.test(text)) throw this.#lines.refuse('The end line is missing or malformed');
    const fault = await this.#endFault(text);
    if (text !== `sallyport-bundle-end v1 ${this.#range.from} ${this.#range.to} ${digest}`) {
      // Bound by nothing but the digest: signature lines of others, and which values were erased or withheld.
      const what =
        fault === undefined
          ? 'Something before the end is not as it was exported'
          : 'The end line was changed';
      throw this.#lines.refuse(what, line);
    }
    if (fault !== undefined) throw this.#lines.refuse(`The end of the file cannot be relied on: ${fault}`);
    await this.#lines.end();
  }

  /** Reads what follows an end line. @returns why its signature is worth nothing, in words. */
  async #endFault(end: string): Promise<string | undefined> {
    if ((await this.#lines.text('an empty line')) !== '')
      throw this.#lines.refuse('The end of the file is malformed');
    return signatureFault(`${end}\n`, [await this.#lines.text('a signature')], this.#pinned)?.what;
  }
}
