import {
  authorityKeyIdentifier,
  crlNumber,
  deltaCrlIndicator,
  extension,
  freshestCrl,
} from './extensions.ts';
import { enumerated, explicit, integer, integerOf, header, sequence, time } from './der.ts';
import {
  DerFields,
  malformed,
  readAll,
  readMagnitude,
  readOid,
  readOne,
  readTime,
  type Tlv,
} from './der-reader.ts';
import { oid } from './oids.ts';
import { readExtensions } from './read-certificate.ts';
import { algorithmIdentifier, type X509SignatureAlgorithm } from './signature.ts';

/** RFC 5280 section 5.3.1, those that this house gives. */
export const revocationReasons = {
  unspecified: 0,
  keyCompromise: 1,
  affiliationChanged: 3,
  superseded: 4,
  cessationOfOperation: 5,
  privilegeWithdrawn: 9,
} as const;
export type RevocationReason = keyof typeof revocationReasons;

/** One certificate that is no longer good: an element of revokedCertificates. `serial` is hex. */
export function encodeCrlEntry(serial: string, revokedMs: number, reason: RevocationReason): Buffer {
  // “Unspecified” is said by saying nothing (RFC 5280 section 5.3.1).
  const code = revocationReasons[reason];
  const extensions = code === 0 ? [] : [sequence(extension(oid.reasonCode, false, enumerated(code)))];
  return sequence(integer(Buffer.from(serial, 'hex')), time(revokedMs), ...extensions);
}

export interface CrlFields {
  readonly algorithm: X509SignatureAlgorithm;
  /** Name, byte for byte the subject of the issuer. */
  readonly issuer: Buffer;
  readonly authorityKeyId: Buffer;
  readonly thisUpdateMs: number;
  readonly nextUpdateMs: number;
  readonly number: bigint;
  /** A delta: what changed since the full list with this number. */
  readonly baseNumber?: bigint;
  /** In a full list: where its delta is. */
  readonly deltaUrl?: string;
  /** What `encodeCrlEntry` gave, one after the other. They are kept encoded: a list of 100,000 changes by one. */
  readonly entries: Buffer;
}

/** TBSCertList, version 2. @see RFC 5280 section 5.1 */
export function encodeCrlToBeSigned(fields: CrlFields): Buffer {
  const { entries, baseNumber, deltaUrl } = fields;
  const extensions = [
    authorityKeyIdentifier(fields.authorityKeyId),
    crlNumber(fields.number),
    ...(baseNumber === undefined ? [] : [deltaCrlIndicator(baseNumber)]),
    ...(deltaUrl === undefined ? [] : [freshestCrl(deltaUrl)]),
  ];
  const parts = [
    integerOf(1),
    algorithmIdentifier(fields.algorithm),
    fields.issuer,
    time(fields.thisUpdateMs),
    time(fields.nextUpdateMs),
    // RFC 5280 section 5.1.2.6: absent, never empty.
    ...(entries.length === 0 ? [] : [header(0x30, entries.length), entries]),
    explicit(0, sequence(...extensions)),
  ];
  return sequence(...parts);
}

/** A list as our own reader finds it. */
export interface ReadCrl {
  /** TBSCertList as it was signed. */
  readonly toBeSigned: Buffer;
  readonly algorithm: Tlv;
  readonly signature: Tlv;
  readonly issuer: Buffer;
  readonly thisUpdateMs: number;
  readonly nextUpdateMs: number;
  readonly number: bigint;
  /** Set in a delta. */
  readonly baseNumber: bigint | undefined;
  /** The entries, one after the other: a view. */
  readonly entries: Buffer;
  /** How many are revoked. */
  readonly count: number;
  /** Their serials, hex, in the order of the list. */
  serials(): Iterable<string>;
}

const maxCrlBytes = 256 * 1024 * 1024;

/** Reads a list of version 2; its signature is somebody else's question. @throws CodedError `x509.malformed` */
export function readCrl(bytes: Buffer): ReadCrl {
  if (bytes.length > maxCrlBytes) throw malformed('it is far too large');
  const outer = new DerFields(readOne(bytes, 0x30).content, 3);
  const toBeSigned = outer.take(0x30, 'what is signed');
  const algorithm = outer.take(0x30, 'the algorithm');
  const signature = outer.take(0x03, 'the signature');
  outer.end();
  const fields = new DerFields(toBeSigned.content, 8);
  if (readMagnitude(fields.take(0x02, 'the version'), 1)[0] !== 1) throw malformed('it is not of version 2');
  fields.take(0x30, 'the algorithm');
  const issuer = fields.take(0x30, 'the issuer');
  const thisUpdateMs = readTime(fields.any('the time'));
  const nextUpdateMs = readTime(fields.any('the time of the next list'));
  const list = fields.optional(0x30)?.content ?? Buffer.alloc(0);
  const extensions = readExtensions(readOne(fields.take(0xa0, 'extensions').content, 0x30).content);
  fields.end();
  for (const [type, { critical }] of extensions)
    if (critical && type !== oid.deltaCrlIndicator) throw malformed('a critical extension is not known here');
  const number = extensions.get(oid.crlNumber)?.value;
  const base = extensions.get(oid.deltaCrlIndicator)?.value;
  if (number === undefined) throw malformed('its number is missing');
  const places = entryPlaces(list);
  return {
    toBeSigned: toBeSigned.whole,
    algorithm,
    signature,
    issuer: issuer.whole,
    thisUpdateMs,
    nextUpdateMs,
    number: toBigint(readOne(number)),
    baseNumber: base && toBigint(readOne(base)),
    entries: list,
    count: places.length / 2,
    *serials() {
      for (let nth = 0; nth < places.length; nth += 2)
        yield list.toString('hex', places[nth], places[nth + 1]);
    },
  };
}

const toBigint = (tlv: Tlv): bigint => BigInt(`0x${readMagnitude(tlv, 20).toString('hex')}`);

/**
 * Where the serials of the entries begin and end. Entries of this house are short: each is walked by its lengths, without an object
 * for every part, because a list may have hundreds of thousands.
 */
function entryPlaces(list: Buffer): Uint32Array {
  const places: number[] = [];
  for (let at = 0; at < list.length;) {
    const size = list[at + 1];
    if (list[at] !== 0x30 || size === undefined || size >= 0x80 || at + 2 + size > list.length)
      throw malformed('an entry is none');
    const end = at + 2 + size;
    const serialSize = list[at + 3] ?? 0;
    const timeAt = at + 4 + serialSize;
    if (list[at + 2] !== 0x02 || serialSize < 1 || serialSize > 20 || timeAt >= end)
      throw malformed('an entry has no serial');
    const timeSize = list[timeAt] === 0x17 ? 13 : list[timeAt] === 0x18 ? 15 : -1;
    const rest = timeAt + 2 + timeSize;
    if (list[timeAt + 1] !== timeSize || rest > end) throw malformed('an entry has no time');
    if (rest < end) readEntryExtensions(list.subarray(rest, end));
    // A zero in front only keeps the number positive.
    places.push(list[at + 4] === 0 && serialSize > 1 ? at + 5 : at + 4, timeAt);
    at = end;
  }
  return Uint32Array.from(places);
}

/** Only the reason, as this house writes it. */
const reasonPrefix = sequence(extension(oid.reasonCode, false, enumerated(1))).subarray(0, -1);

function readEntryExtensions(bytes: Buffer): void {
  if (bytes.length === reasonPrefix.length + 1 && bytes.subarray(0, -1).equals(reasonPrefix)) return;
  for (const item of readAll(readOne(bytes, 0x30).content, 8)) readOid(readAll(item.content, 3)[0] ?? item);
}
