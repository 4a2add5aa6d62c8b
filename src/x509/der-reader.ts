import { CodedError } from '../kernel/index.ts';

/** One value: its tag octet, its content, and both with the length between them. Views of the bytes that were read. */
export interface Tlv {
  readonly tag: number;
  readonly content: Buffer;
  readonly whole: Buffer;
}

const maxItems = 200_000;

/**
 * Reads DER strictly: definite, minimal lengths, one-octet tags, nothing left over. It goes down one level at a time, as far as
 * its caller does: depth is bounded by the code that reads, never by the bytes.
 * @throws CodedError `x509.malformed`
 * @see X.690 section 10
 */
export function readOne(bytes: Buffer, tag?: number): Tlv {
  const tlv = readAt(bytes, 0);
  if (tlv.whole.length !== bytes.length) throw malformed('something follows the end');
  if (tag !== undefined && tlv.tag !== tag) throw malformed(`a value has the tag ${tlv.tag}, not ${tag}`);
  return tlv;
}

/** The values that fill these bytes. @throws CodedError `x509.malformed`, also for more than `most` */
export function readAll(bytes: Buffer, most = maxItems): Tlv[] {
  const found: Tlv[] = [];
  for (let at = 0; at < bytes.length;) {
    if (found.length >= most) throw malformed(`it has more than ${most} parts`);
    const tlv = readAt(bytes, at);
    found.push(tlv);
    at += tlv.whole.length;
  }
  return found;
}

/** Takes the values of a SEQUENCE one after the other. */
export class DerFields {
  readonly #fields: readonly Tlv[];
  #next = 0;

  constructor(bytes: Buffer, most = 64) {
    this.#fields = readAll(bytes, most);
  }

  /** The next one, which must have this tag. @throws CodedError `x509.malformed` */
  take(tag: number, what: string): Tlv {
    const tlv = this.optional(tag);
    if (tlv === undefined) throw malformed(`${what} is missing`);
    return tlv;
  }

  /** The next one, if it has this tag. */
  optional(tag: number): Tlv | undefined {
    const tlv = this.#fields[this.#next];
    if (tlv === undefined || tlv.tag !== tag) return undefined;
    this.#next += 1;
    return tlv;
  }

  /** The next one, whatever it is. @throws CodedError `x509.malformed` */
  any(what: string): Tlv {
    const tlv = this.#fields[this.#next];
    if (tlv === undefined) throw malformed(`${what} is missing`);
    this.#next += 1;
    return tlv;
  }

  /** @throws CodedError `x509.malformed` when something is left. */
  end(): void {
    if (this.#next < this.#fields.length) throw malformed('it has a part too many');
  }
}

function readAt(bytes: Buffer, at: number): Tlv {
  const tag = bytes[at];
  const first = bytes[at + 1];
  if (tag === undefined || first === undefined) throw malformed('it ends too early');
  if ((tag & 0x1f) === 0x1f) throw malformed('a tag has more than one octet');
  let start = at + 2;
  let sizeBytes = first;
  if (first >= 0x80) {
    const octets = first & 0x7f;
    if (octets === 0 || octets > 4) throw malformed('a length is indefinite or far too long');
    sizeBytes = 0;
    for (let nth = 0; nth < octets; nth += 1) {
      const octet = bytes[start + nth];
      if (octet === undefined) throw malformed('it ends too early');
      sizeBytes = sizeBytes * 256 + octet;
    }
    start += octets;
    if (sizeBytes < 0x80 || (octets > 1 && sizeBytes < 256 ** (octets - 1)))
      throw malformed('a length is longer than it need be');
  }
  if (start + sizeBytes > bytes.length) throw malformed('a value is longer than what holds it');
  return {
    tag,
    content: bytes.subarray(start, start + sizeBytes),
    whole: bytes.subarray(at, start + sizeBytes),
  };
}

/** Dotted decimal of an OBJECT IDENTIFIER's content. @throws CodedError `x509.malformed` */
export function readOid({ tag, content }: Tlv): string {
  if (tag !== 0x06 || content.length === 0 || content.length > 64)
    throw malformed('an object identifier is none');
  const arcs: number[] = [];
  let arc = 0;
  let isFirst = true;
  for (const [nth, octet] of content.entries()) {
    if (isFirst && octet === 0x80) throw malformed('an object identifier is padded');
    arc = arc * 128 + (octet & 0x7f);
    if (arc > 0xffff_ffff) throw malformed('an object identifier is far too large');
    isFirst = (octet & 0x80) === 0;
    if (isFirst) {
      arcs.push(arc);
      arc = 0;
    } else if (nth === content.length - 1) throw malformed('an object identifier ends too early');
  }
  const [head = 0, ...rest] = arcs;
  const first = Math.min(2, Math.floor(head / 40));
  return [first, head - first * 40, ...rest].join('.');
}

/** The magnitude of a non-negative, minimal INTEGER, without its sign octet. @throws CodedError `x509.malformed` */
export function readMagnitude({ tag, content }: Tlv, maxBytes: number): Buffer {
  const [first, second] = content;
  if (tag !== 0x02 || first === undefined) throw malformed('a number is none');
  if ((first & 0x80) !== 0) throw malformed('a number is negative');
  if (first === 0 && second !== undefined && (second & 0x80) === 0) throw malformed('a number is padded');
  const magnitude = first === 0 && content.length > 1 ? content.subarray(1) : content;
  if (magnitude.length > maxBytes) throw malformed('a number is far too large');
  return magnitude;
}

/** A small non-negative INTEGER. @throws CodedError `x509.malformed` */
export function readNumber(tlv: Tlv): number {
  return readMagnitude(tlv, 6).reduce((sum, octet) => sum * 256 + octet, 0);
}

/** @throws CodedError `x509.malformed` unless it is TRUE or FALSE as DER writes them. */
export function readBoolean({ tag, content }: Tlv): boolean {
  if (tag !== 0x01 || content.length !== 1 || (content[0] !== 0 && content[0] !== 0xff))
    throw malformed('a truth value is none');
  return content[0] === 0xff;
}

/** The octets of a BIT STRING of whole octets. @throws CodedError `x509.malformed` */
export function readBits({ tag, content }: Tlv): Buffer {
  if (tag !== 0x03 || content[0] !== 0) throw malformed('a bit string is none of whole octets');
  return content.subarray(1);
}

/** UTCTime or GeneralizedTime as RFC 5280 section 4.1.2.5 writes them, in milliseconds. @throws CodedError `x509.malformed` */
export function readTime({ tag, content }: Tlv): number {
  const text = content.toString('latin1');
  const digits =
    tag === 0x17 && /^\d{12}Z$/.test(text) ? `${Number(text.slice(0, 2)) < 50 ? '20' : '19'}${text}` : text;
  const parts = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(digits);
  if ((tag !== 0x17 && tag !== 0x18) || parts === null) throw malformed('a time is none');
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts.slice(1).map(Number);
  const timeMs = Date.UTC(year, month - 1, day, hour, minute, second);
  // Otherwise the 31st of February would be a day in March.
  if (
    !new Date(timeMs)
      .toISOString()
      .startsWith(`${parts[1]}-${parts[2]}-${parts[3]}T${parts[4]}:${parts[5]}:${parts[6]}`)
  )
    throw malformed('a time is none');
  return timeMs;
}

export function malformed(why: string): CodedError {
  return new CodedError('x509.malformed', `This is not what it should be: ${why}.`, {
    next: 'Make it again with the program that made it; PEM and DER are taken.',
  });
}
