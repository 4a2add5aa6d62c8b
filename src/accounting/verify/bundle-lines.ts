import { decodeUtf8 } from './entry.ts';
import { LineReader } from './lines.ts';
import { Refusal } from './verdict.ts';

/** The lines of a bundle, and where reading stands. Each method throws Refusal at the first thing that cannot be. */
export class BundleLines {
  readonly #lines: LineReader;
  /** Entry that the line now read belongs to. */
  at: bigint | undefined;
  #newest: Buffer = Buffer.alloc(0);

  constructor(input: AsyncIterable<Uint8Array>) {
    this.#lines = new LineReader(input);
  }

  /** The newest line, byte for byte as Latin-1, until the next one is asked for; empty when there was none. */
  get current(): string {
    return this.#newest.toString('latin1');
  }

  /** Number of the newest line. */
  get line(): number {
    return this.#lines.line;
  }

  /** The next line; `what` it should be, in words. */
  async text(what: string): Promise<string> {
    const text = decodeUtf8(await this.bytes(what));
    if (text === undefined) throw this.refuse(`There should be ${what}`);
    return text;
  }

  /** The same as bytes, which are valid until the next call. */
  async bytes(what: string): Promise<Buffer> {
    let line: Buffer | undefined;
    this.#newest = Buffer.alloc(0);
    try {
      line = await this.#lines.next();
    } catch (error) {
      throw error instanceof Refusal ? new Refusal({ ...error.finding, ...this.#entryNow() }) : error;
    }
    if (line === undefined) {
      const place = this.at === undefined ? '' : ` in entry ${this.at}`;
      const detail = `The file ends after line ${this.line}${place}, where there should be ${what}.`;
      throw new Refusal({ state: 'incomplete', detail, line: this.line + 1, ...this.#entryNow() });
    }
    this.#newest = line;
    return line;
  }

  /** Makes sure that nothing follows. */
  async end(): Promise<void> {
    if ((await this.#lines.next()) !== undefined) throw this.refuse('There is something behind the end');
  }

  /** SHA-256 of all lines read so far, with their LFs. */
  digest(): Buffer {
    return this.#lines.digest();
  }

  async close(): Promise<void> {
    await this.#lines.close();
  }

  /** Says what is wrong with a line: the newest one, or another one. */
  refuse(what: string, line = this.line): Refusal {
    const place = this.at === undefined ? '' : `, entry ${this.at}`;
    return new Refusal({
      state: 'failed',
      detail: `${what} (line ${line}${place}).`,
      line,
      ...this.#entryNow(),
    });
  }

  #entryNow(): { readonly index?: bigint } {
    return this.at === undefined ? {} : { index: this.at };
  }
}
