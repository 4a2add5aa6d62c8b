import { checkOpenings, decodeUtf8, type Entry, type OpeningCounts, parseEntry } from './entry.ts';
import { LineReader } from './lines.ts';
import {
  type Checkpoint,
  decodeBase64,
  maxSignatureLines,
  parseCheckpointText,
  type PinnedKey,
  signatureFault,
} from './note.ts';
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

/**
 * Reads a bundle from front to back (docs/formats/bundle.md). Each hash is checked against the signed root before anything
 * below it is read, so that what is wrong is found where it is. Methods throw Refusal at the first deviation.
 */
export class BundleReader {
  readonly #lines: LineReader;
  readonly #pinned: PinnedKey;
  readonly #sizeBefore: bigint | undefined;
  readonly #left = new LeftPart();
  #range = { from: 0n, to: 0n };
  #edge: readonly Tile[] = [];
  /** Entry that the line now read belongs to. */
  #at: bigint | undefined;
  /** Root over the first `sizeBefore` entries, once the entries are read and if this bundle reaches there. */
  rootBefore: Buffer | undefined;

  constructor(input: AsyncIterable<Uint8Array>, pinned: PinnedKey, sizeBefore: bigint | undefined) {
    this.#lines = new LineReader(input);
    this.#pinned = pinned;
    this.#sizeBefore = sizeBefore;
  }

  /** Reads the head of the file: range, checkpoint, tiles of the right edge, which must give the signed root. */
  async open(): Promise<{ from: bigint; to: bigint; checkpoint: Checkpoint }> {
    const header = await this.#line('a header');
    const [, first, last] = /^sallyport-bundle v1 (0|[1-9]\d{0,14}) ([1-9]\d{0,14})$/.exec(header) ?? [];
    if (first === undefined || last === undefined)
      throw this.#refuse('The file is not a bundle of version 1');
    const [from, to] = [BigInt(first), BigInt(last)];
    const { checkpoint, next } = await this.#checkpoint();
    if (from >= to || to > checkpoint.size) throw this.#refuse('The range does not fit the checkpoint');
    this.#range = { from, to };
    await this.#readEdge(checkpoint, next);
    this.#at = from;
    return { from, to, checkpoint };
  }

  /** All entries of the range in order, then the signed end of the file. */
  async *entries(): AsyncGenerator<ReadEntry> {
    for (const tile of this.#edge) yield* this.#below(tile);
    if (this.#left.size === this.#sizeBefore) this.rootBefore = this.#left.root();
    this.#at = undefined;
    await this.#end();
  }

  /** Lets go of the source, also when it was not read to its end. */
  async close(): Promise<void> {
    await this.#lines.close();
  }

  async #checkpoint(): Promise<{ checkpoint: Checkpoint; next: string }> {
    const text = [await this.#line('a log name'), await this.#line('a size'), await this.#line('a root')];
    const checkpoint = parseCheckpointText(text);
    if (checkpoint === undefined || (await this.#line('an empty line')) !== '')
      throw this.#refuse('The checkpoint is malformed');
    const { origin } = checkpoint;
    if (origin !== this.#pinned.name) throw this.#refuse(`The bundle is of the log ${origin}`);
    const { signatures, next } = await this.#signatures();
    const fault = signatureFault(`${text.join('\n')}\n`, signatures, this.#pinned);
    if (fault !== undefined) throw this.#refuse(`The checkpoint cannot be relied on: ${fault}`);
    return { checkpoint, next };
  }

  async #signatures(): Promise<{ signatures: readonly string[]; next: string }> {
    const signatures: string[] = [];
    for (;;) {
      const line = await this.#line('a signature or a tile');
      if (!line.startsWith('— ')) return { signatures, next: line };
      signatures.push(line);
      if (signatures.length > maxSignatureLines) throw this.#refuse('There are too many signature lines');
    }
  }

  /** The partial tiles of the right edge, highest level first: together they give the root. */
  async #readEdge({ size, root }: Checkpoint, firstLine: string): Promise<void> {
    const edge: Tile[] = [];
    const whole = new LeftPart();
    let levels = 0;
    while (256n ** BigInt(levels + 1) <= size) levels += 1;
    let line = firstLine;
    for (let level = levels; level >= 0; level -= 1) {
      const count = size / 256n ** BigInt(level);
      const width = Number(count % 256n);
      if (width === 0) continue;
      if (edge.length > 0) line = await this.#line('a tile');
      const tile = { level, index: count / 256n, hashes: this.#tile(line, level, count / 256n, width) };
      for (const hash of tile.hashes) whole.push(hash, level);
      edge.push(tile);
    }
    if (!whole.root().equals(root))
      throw this.#refuse('The tiles of the right edge do not give the signed root');
    this.#edge = edge;
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
      this.#at = first > this.#range.from ? first : this.#range.from;
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
    const hashes = this.#tile(await this.#line('a tile'), level, index, 256);
    if (!rootOfTile(hashes).equals(hash)) throw this.#refuse('The tile does not give the hash above it');
    return { level, index, hashes };
  }

  #tile(line: string, level: number, index: bigint, width: number): readonly Buffer[] {
    const start = `tile ${level} ${index} `;
    const bytes = line.startsWith(start) ? decodeBase64(line.slice(start.length)) : undefined;
    if (bytes?.length !== 32 * width) throw this.#refuse(`Tile ${level} ${index} is missing or malformed`);
    return splitHashes(bytes);
  }

  async #entry(index: bigint, hash: Buffer): Promise<ReadEntry> {
    if ((await this.#line('an entry')) !== `entry ${index}`) throw this.#refuse('The entry is missing');
    const bytes = await this.#bytes('an entry');
    if (!leafHash(bytes).equals(hash)) throw this.#refuse('The entry is not the one in the signed tree');
    const entry = parseEntry(bytes);
    if (typeof entry === 'string') throw this.#refuse(`The entry is malformed: ${entry}`);
    const openings = checkOpenings(await this.#bytes('personal values'), entry);
    if (typeof openings === 'string') throw this.#refuse(`The entry cannot be shown: ${openings}`);
    return { index, entry, openings };
  }

  /** The last three lines: digest of all bytes before them, an empty line, and the log's signature over the digest's line. */
  async #end(): Promise<void> {
    const digest = this.#lines.digest().toString('base64');
    const line = await this.#line('the end line');
    if (line !== `sallyport-bundle-end v1 ${digest}`)
      throw this.#refuse('The file is not as it was exported');
    if ((await this.#line('an empty line')) !== '') throw this.#refuse('The end of the file is malformed');
    const fault = signatureFault(`${line}\n`, [await this.#line('a signature')], this.#pinned);
    if (fault !== undefined) throw this.#refuse(`The end of the file cannot be relied on: ${fault}`);
    if ((await this.#lines.next()) !== undefined) throw this.#refuse('There is something behind the end');
  }

  async #line(what: string): Promise<string> {
    const text = decodeUtf8(await this.#bytes(what));
    if (text === undefined) throw this.#refuse(`There should be ${what}`);
    return text;
  }

  async #bytes(what: string): Promise<Buffer> {
    let line: Buffer | undefined;
    try {
      line = await this.#lines.next();
    } catch (error) {
      throw error instanceof Refusal ? new Refusal({ ...error.finding, ...this.#entryNow() }) : error;
    }
    if (line === undefined) {
      const place = this.#at === undefined ? '' : ` in entry ${this.#at}`;
      const detail = `The file ends after line ${this.#lines.line}${place}, where there should be ${what}.`;
      throw new Refusal({ state: 'incomplete', detail, line: this.#lines.line + 1, ...this.#entryNow() });
    }
    return line;
  }

  #refuse(what: string): Refusal {
    const place = this.#at === undefined ? '' : `, entry ${this.#at}`;
    const detail = `${what} (line ${this.#lines.line}${place}).`;
    return new Refusal({ state: 'failed', detail, line: this.#lines.line, ...this.#entryNow() });
  }

  #entryNow(): { readonly index?: bigint } {
    return this.#at === undefined ? {} : { index: this.#at };
  }
}
