/** 100 ns ticks between 1601-01-01 and 1970-01-01. */
const epochTicks = 116_444_736_000_000_000n;

/**
 * Text form of an objectGUID of 16 bytes; its first three fields are little-endian.
 * @returns undefined unless there are 16 bytes. @see [MS-DTYP] section 2.3.4.2
 */
export function guidToText(bytes: Buffer): string | undefined {
  if (bytes.length !== 16) return undefined;
  const field = (from: number, to: number, reversed: boolean): string => {
    const part = Buffer.from(bytes.subarray(from, to));
    return (reversed ? part.reverse() : part).toString('hex');
  };
  return [
    field(0, 4, true),
    field(4, 6, true),
    field(6, 8, true),
    field(8, 10, false),
    field(10, 16, false),
  ].join('-');
}

/** The inverse of `guidToText`. @returns undefined unless the text is a lower-case GUID without braces. */
export function guidToBytes(text: string): Buffer | undefined {
  const match = /^([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{12})$/.exec(text);
  if (match === null) return undefined;
  const [a = '', b = '', c = '', d = '', e = ''] = match.slice(1);
  const reversed = [a, b, c].map((part) => Buffer.from(part, 'hex').reverse());
  return Buffer.concat([...reversed, Buffer.from(d + e, 'hex')]);
}

/**
 * Text form of a SID: `S-1-5-21-…`.
 * @returns undefined unless the bytes are one whole SID of revision 1 with at most 15 parts.
 * @see [MS-DTYP] sections 2.4.2.1 and 2.4.2.2
 */
export function sidToText(bytes: Buffer): string | undefined {
  const count = bytes[1] ?? 0;
  if (bytes[0] !== 1 || count > 15 || bytes.length !== 8 + 4 * count) return undefined;
  const authority = bytes.readUIntBE(2, 6);
  const parts = Array.from({ length: count }, (_, index) => bytes.readUInt32LE(8 + 4 * index));
  return ['S-1', authority >= 2 ** 32 ? `0x${authority.toString(16)}` : authority, ...parts].join('-');
}

/** A FILETIME of the directory (ticks of 100 ns since 1601, decimal text). @returns undefined unless it is such a number. */
export function filetimeToMs(text: string): number | undefined {
  if (!/^-?\d{1,19}$/.test(text)) return undefined;
  return Number((BigInt(text) - epochTicks) / 10_000n);
}
