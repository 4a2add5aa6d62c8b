/** DER (X.690), the few types that X.509 needs. Each function returns one complete TLV. */
export function der(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const sizeBytes = contents.reduce((sum, part) => sum + part.length, 0);
  return Buffer.concat([Buffer.from([tag, ...lengthOctets(sizeBytes)]), ...contents]);
}

export const sequence = (...parts: readonly Uint8Array[]): Buffer => der(0x30, ...parts);
export const set = (...parts: readonly Uint8Array[]): Buffer => der(0x31, ...parts);
export const octetString = (bytes: Uint8Array): Buffer => der(0x04, bytes);
export const bitString = (bytes: Uint8Array, unusedBits = 0): Buffer =>
  der(0x03, Buffer.from([unusedBits]), bytes);
export const boolean = (value: boolean): Buffer => der(0x01, Buffer.from([value ? 0xff : 0]));
export const nothing = (): Buffer => der(0x05);
export const enumerated = (value: number): Buffer => der(0x0a, Buffer.from([value]));
export const utf8String = (text: string): Buffer => der(0x0c, Buffer.from(text, 'utf8'));
export const printableString = (text: string): Buffer => der(0x13, Buffer.from(text, 'latin1'));
export const ia5String = (text: string): Buffer => der(0x16, Buffer.from(text, 'latin1'));
export const generalString = (text: string): Buffer => der(0x1b, Buffer.from(text, 'latin1'));
/** Two octets for each UTF-16 unit, big-endian. */
export const bmpString = (text: string): Buffer => der(0x1e, Buffer.from(text, 'utf16le').swap16());
/** `[number] EXPLICIT` */
export const explicit = (number: number, content: Uint8Array): Buffer => der(0xa0 | number, content);

/** A non-negative INTEGER from its big-endian magnitude. */
export function integer(magnitude: Uint8Array): Buffer {
  let start = 0;
  while (start < magnitude.length - 1 && magnitude[start] === 0) start += 1;
  const minimal = magnitude.subarray(start);
  const needsZero = ((minimal[0] ?? 0) & 0x80) !== 0 || minimal.length === 0;
  return der(0x02, needsZero ? Buffer.from([0]) : Buffer.alloc(0), minimal);
}

/** A non-negative INTEGER. */
export function integerOf(value: number | bigint): Buffer {
  const hex = value.toString(16);
  return integer(Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex'));
}

/** OBJECT IDENTIFIER from dotted decimal. */
export function objectIdentifier(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const octets = [first * 40 + second, ...rest].flatMap((arc) => {
    const groups = [arc & 0x7f];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128))
      groups.unshift((left & 0x7f) | 0x80);
    return groups;
  });
  return der(0x06, Buffer.from(octets));
}

/** UTCTime before 2050, GeneralizedTime from then on (RFC 5280 section 4.1.2.5); whole seconds. */
export function time(timeMs: number): Buffer {
  const digits = digitsOf(timeMs);
  return digits < '2050' ? der(0x17, Buffer.from(digits.slice(2))) : der(0x18, Buffer.from(digits));
}

/** Whole seconds, whatever the year: what OCSP has (RFC 6960 section 4.2.1). */
export const generalizedTime = (timeMs: number): Buffer => der(0x18, Buffer.from(digitsOf(timeMs)));

function digitsOf(timeMs: number): string {
  return new Date(timeMs).toISOString().replace(/[-:T]|\.\d+/g, '');
}

/** Tag and length of a value that comes after them. */
export function header(tag: number, sizeBytes: number): Buffer {
  return Buffer.from([tag, ...lengthOctets(sizeBytes)]);
}

function lengthOctets(sizeBytes: number): number[] {
  if (sizeBytes < 0x80) return [sizeBytes];
  const octets: number[] = [];
  for (let left = sizeBytes; left > 0; left >>>= 8) octets.unshift(left & 0xff);
  return [0x80 | octets.length, ...octets];
}
