/** One element of BER as LDAP uses it: tags of one byte, definite lengths (RFC 4511 section 5.1). */
export interface BerElement {
  readonly tag: number;
  /** Over the same memory. */
  readonly value: Buffer;
}

/** The elements that fill the bytes, one behind the other. @throws Error unless they do, to the last byte */
export function readElements(bytes: Buffer): readonly BerElement[] {
  const elements: BerElement[] = [];
  for (let at = 0; at < bytes.length;) {
    const header = readHeader(bytes, at);
    if (header === undefined || header.end > bytes.length) throw new Error('an element is cut short');
    elements.push({ tag: header.tag, value: bytes.subarray(header.start, header.end) });
    at = header.end;
  }
  return elements;
}

export interface BerHeader {
  readonly tag: number;
  readonly start: number;
  readonly end: number;
}

/** Tag and extent of the element at `at`. @returns undefined while its length is not all there. @throws Error when it can be no length */
export function readHeader(bytes: Buffer, at: number): BerHeader | undefined {
  const [tag, first] = [bytes[at], bytes[at + 1]];
  if (tag === undefined || first === undefined) return undefined;
  if ((tag & 0x1f) === 0x1f) throw new Error('a tag has more than one byte');
  if (first < 0x80) return { tag, start: at + 2, end: at + 2 + first };
  const count = first & 0x7f;
  if (count === 0 || count > 4) throw new Error('a length is indefinite or too long');
  const start = at + 2 + count;
  if (start > bytes.length) return undefined;
  return { tag, start, end: start + bytes.readUIntBE(at + 2, count) };
}

/** A non-negative INTEGER or ENUMERATED below 2^31. @throws Error */
export function readNumber({ value }: BerElement): number {
  if (value.length === 0 || value.length > 4 || ((value[0] ?? 0) & 0x80) !== 0)
    throw new Error('a number is out of range');
  return value.readUIntBE(0, value.length);
}
