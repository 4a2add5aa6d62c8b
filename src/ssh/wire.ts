import { CodedError } from '../kernel/index.ts';

/**
 * Reads SSH wire primitives (RFC 4251 section 5) from one buffer, in order, never past its end. Strings are views into
 * the buffer, not copies.
 * @throws CodedError `ssh.malformed` from every method when the bytes do not hold what is asked for.
 */
export class SshReader {
  readonly #bytes: Buffer;
  readonly #what: string;
  #offset = 0;

  /** @param what names the structure in error messages, e.g. `certificate`. */
  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#what = what;
  }

  get remaining(): number {
    return this.#bytes.length - this.#offset;
  }

  get offset(): number {
    return this.#offset;
  }

  byte(): number {
    return this.bytes(1).readUInt8(0);
  }

  uint32(): number {
    return this.bytes(4).readUInt32BE(0);
  }

  uint64(): bigint {
    return this.bytes(8).readBigUInt64BE(0);
  }

  /** `sizeBytes` raw bytes. */
  bytes(sizeBytes: number): Buffer {
    if (sizeBytes > this.remaining) throw this.malformed(`ends ${sizeBytes - this.remaining} bytes early`);
    const start = this.#offset;
    this.#offset += sizeBytes;
    return this.#bytes.subarray(start, this.#offset);
  }

  /** A length-prefixed string of at most `maxBytes`. */
  string(maxBytes = 1 << 20): Buffer {
    const sizeBytes = this.uint32();
    if (sizeBytes > maxBytes)
      throw this.malformed(`holds a field of ${sizeBytes} bytes, more than ${maxBytes}`);
    return this.bytes(sizeBytes);
  }

  /** A string that must be valid UTF-8 without NUL. */
  text(maxBytes = 4096): string {
    const bytes = this.string(maxBytes);
    const text = bytes.toString('utf8');
    if (text.includes('\0') || !Buffer.from(text, 'utf8').equals(bytes))
      throw this.malformed('holds text that is not UTF-8, or NUL');
    return text;
  }

  /** A non-negative mpint in its one minimal form, as the magnitude without a leading zero (empty for 0). */
  mpint(maxBytes = 2049): Buffer {
    const bytes = this.string(maxBytes);
    if (bytes.length === 0) return bytes;
    const first = bytes.readUInt8(0);
    if ((first & 0x80) !== 0) throw this.malformed('holds a negative integer');
    if (first !== 0) return bytes;
    if (bytes.length === 1 || (bytes.readUInt8(1) & 0x80) === 0)
      throw this.malformed('holds an integer that is not minimal');
    return bytes.subarray(1);
  }

  /** A reader over the next string, for nested structures. */
  nested(what: string, maxBytes?: number): SshReader {
    return new SshReader(this.string(maxBytes), what);
  }

  /** Every structure ends with this: trailing bytes are refused. */
  end(): void {
    if (this.remaining !== 0) throw this.malformed(`has ${this.remaining} trailing bytes`);
  }

  malformed(why: string): CodedError {
    return new CodedError('ssh.malformed', `The ${this.#what} is malformed: it ${why}.`, {
      next: 'Check that the file or message is complete and of the right kind.',
    });
  }
}

/** Grows one buffer with SSH wire primitives (RFC 4251 section 5). */
export class SshWriter {
  #bytes: Buffer;
  #view: DataView;
  #length = 0;

  constructor(initialBytes = 512) {
    this.#bytes = Buffer.allocUnsafe(initialBytes);
    this.#view = viewOf(this.#bytes);
  }

  get length(): number {
    return this.#length;
  }

  byte(value: number): this {
    this.#reserve(1);
    this.#view.setUint8(this.#length, value);
    this.#length += 1;
    return this;
  }

  uint32(value: number): this {
    this.#reserve(4);
    this.#view.setUint32(this.#length, value);
    this.#length += 4;
    return this;
  }

  uint64(value: bigint): this {
    this.#reserve(8);
    this.#view.setBigUint64(this.#length, value);
    this.#length += 8;
    return this;
  }

  raw(bytes: Uint8Array): this {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
    return this;
  }

  string(value: Uint8Array | string): this {
    if (typeof value !== 'string') return this.uint32(value.length).raw(value);
    const start = this.beginString();
    this.#reserve(value.length * 3); // no UTF-16 unit takes more in UTF-8
    this.#length += this.#bytes.write(value, this.#length, 'utf8');
    return this.endString(start);
  }

  /** Opens a string whose length is not known yet; give the result to `endString` once its content is written. */
  beginString(): number {
    this.uint32(0);
    return this.#length;
  }

  endString(start: number): this {
    this.#view.setUint32(start - 4, this.#length - start);
    return this;
  }

  /** A non-negative integer given as big-endian magnitude; leading zeros are dropped, one is added where the top bit is set. */
  mpint(magnitude: Uint8Array): this {
    let start = 0;
    while (start < magnitude.length && magnitude[start] === 0) start += 1;
    const minimal = magnitude.subarray(start);
    const padded = minimal.length > 0 && ((minimal[0] ?? 0) & 0x80) !== 0;
    this.uint32(minimal.length + (padded ? 1 : 0));
    if (padded) this.byte(0);
    return this.raw(minimal);
  }

  /** The bytes written so far. The buffer belongs to the caller; the writer must not be used again. */
  finish(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Forgets what was written and keeps the room, for a writer that is used again and again with `copy`. */
  clear(): this {
    this.#length = 0;
    return this;
  }

  /** A copy of the bytes written so far; the caller owns it. */
  copy(): Buffer {
    const copy = Buffer.allocUnsafe(this.#length);
    this.#bytes.copy(copy, 0, 0, this.#length);
    return copy;
  }

  #reserve(sizeBytes: number): void {
    if (this.#length + sizeBytes <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#length + sizeBytes));
    this.#bytes.copy(grown, 0, 0, this.#length);
    this.#bytes = grown;
    this.#view = viewOf(grown);
  }
}

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The armour of OpenSSH's private keys and signatures: base64 in lines of 70 characters between two marks. @see sshkey.c, sshsig.c */
export function encodeArmour(what: string, content: Buffer): string {
  const base64 = content.toString('base64').replaceAll(/.{70}/g, '$&\n').trimEnd();
  return `-----BEGIN ${what}-----\n${base64}\n-----END ${what}-----\n`;
}
