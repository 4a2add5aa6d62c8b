import { createHash } from 'node:crypto';
import { Refusal } from './verdict.ts';

/** No line of a bundle is longer, its newline not counted (docs/formats/bundle.md). */
export const maxLineBytes = 200_000;

/** Cuts a stream into lines that end in LF, with memory bounded by one chunk and one line, and hashes what was taken. */
export class LineReader {
  readonly #chunks: AsyncIterator<Uint8Array>;
  readonly #hash = createHash('sha256');
  #held: Buffer = Buffer.alloc(0);
  #start = 0;
  #hashed = 0;
  /** Lines taken so far, which is the number of the last one. */
  line = 0;

  constructor(input: AsyncIterable<Uint8Array>) {
    this.#chunks = input[Symbol.asyncIterator]();
  }

  /** The next line without its LF, valid until the next call; undefined at the end. @throws Refusal */
  async next(): Promise<Buffer | undefined> {
    let searched = this.#start;
    do {
      const end = this.#held.indexOf(0x0a, searched);
      const sizeBytes = (end < 0 ? this.#held.length : end) - this.#start;
      if (sizeBytes > maxLineBytes) throw this.#refuse('failed', `is longer than ${maxLineBytes} bytes`);
      if (end >= 0) {
        const taken = this.#held.subarray(this.#start, end);
        this.#start = end + 1;
        this.line += 1;
        return taken;
      }
      searched = sizeBytes;
    } while (await this.#refill());
    if (this.#start < this.#held.length)
      throw this.#refuse('incomplete', 'is cut off: the file ends within it');
    return undefined;
  }

  /** SHA-256 of all lines taken so far, with their LFs. */
  digest(): Buffer {
    this.#hash.update(this.#held.subarray(this.#hashed, this.#start));
    this.#hashed = this.#start;
    return this.#hash.copy().digest();
  }

  async close(): Promise<void> {
    await this.#chunks.return?.();
  }

  async #refill(): Promise<boolean> {
    const { done, value } = await this.#chunks.next();
    if (done === true) return false;
    this.#hash.update(this.#held.subarray(this.#hashed, this.#start));
    this.#held = Buffer.concat([this.#held.subarray(this.#start), value]);
    this.#start = 0;
    this.#hashed = 0;
    return true;
  }

  #refuse(state: 'failed' | 'incomplete', what: string): Refusal {
    const line = this.line + 1;
    return new Refusal({ state, detail: `Line ${line} ${what}.`, line });
  }
}
