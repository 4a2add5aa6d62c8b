import {
  DerFields,
  malformed,
  readAll,
  readBoolean,
  readMagnitude,
  readNumber,
  readOid,
  readOne,
  readTime,
} from './der-reader.ts';
import { readGeneralNames, type GeneralName } from './names.ts';
import { oid } from './oids.ts';
import { keyUsageBit, type KeyUsageBit } from './extensions.ts';

const maxCertificateBytes = 64 * 1024;
const maxNames = 1000;

/** A TBSCertificate as our own reader finds it. */
export interface ReadCertificate {
  /** Hex, lower case, without leading zero octets. */
  readonly serial: string;
  /** Octets of the INTEGER, with its sign. */
  readonly serialOctets: number;
  /** Name, DER. */
  readonly issuer: Buffer;
  readonly subject: Buffer;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Buffer;
  /** In order: each by its identifier, at most once. */
  readonly extensions: ReadonlyMap<string, { readonly critical: boolean; readonly value: Buffer }>;
}

/** Reads a whole certificate; its signature is somebody else's question. @throws CodedError `x509.malformed` */
export function readCertificate(bytes: Buffer): ReadCertificate {
  if (bytes.length > maxCertificateBytes) throw malformed('it is far too large');
  const outer = new DerFields(readOne(bytes, 0x30).content, 3);
  const toBeSigned = outer.take(0x30, 'what is signed');
  outer.take(0x30, 'the algorithm');
  outer.take(0x03, 'the signature');
  outer.end();
  return readToBeSigned(toBeSigned.whole);
}

/** Reads a TBSCertificate of version 3. @throws CodedError `x509.malformed` */
export function readToBeSigned(bytes: Buffer): ReadCertificate {
  const fields = new DerFields(readOne(bytes, 0x30).content, 10);
  if (readNumber(readOne(fields.take(0xa0, 'the version').content)) !== 2)
    throw malformed('it is not of version 3');
  const serial = fields.take(0x02, 'the serial');
  fields.take(0x30, 'the algorithm');
  const issuer = fields.take(0x30, 'the issuer');
  const [notBefore, notAfter, ...others] = readAll(fields.take(0x30, 'the validity').content, 3);
  if (notBefore === undefined || notAfter === undefined || others.length > 0)
    throw malformed('its validity is none');
  const subject = fields.take(0x30, 'the subject');
  const publicKey = fields.take(0x30, 'the public key');
  const extensions = readExtensions(readOne(fields.take(0xa3, 'extensions').content, 0x30).content);
  fields.end();
  return {
    serial: readMagnitude(serial, 64).toString('hex'),
    serialOctets: serial.content.length,
    issuer: issuer.whole,
    subject: subject.whole,
    notBeforeMs: readTime(notBefore),
    notAfterMs: readTime(notAfter),
    publicKey: publicKey.whole,
    extensions,
  };
}

/** A list of Extension. @throws CodedError `x509.malformed`, also for one that comes twice (RFC 5280 section 4.2) */
export function readExtensions(
  bytes: Buffer,
): ReadonlyMap<string, { readonly critical: boolean; readonly value: Buffer }> {
  const found = new Map<string, { critical: boolean; value: Buffer }>();
  for (const item of readAll(bytes, 64)) {
    if (item.tag !== 0x30) throw malformed('an extension is none');
    const fields = new DerFields(item.content, 3);
    const type = readOid(fields.take(0x06, 'the type of an extension'));
    const critical = fields.optional(0x01);
    const value = fields.take(0x04, 'the value of an extension').content;
    fields.end();
    if (found.has(type)) throw malformed('an extension comes twice');
    found.set(type, { critical: critical !== undefined && readBoolean(critical), value });
  }
  return found;
}

type Extensions = Pick<ReadCertificate, 'extensions'>;

/** Names of the SAN; none when there is no such extension. @throws CodedError `x509.malformed` */
export function namesOf({ extensions }: Extensions): readonly GeneralName[] {
  const value = extensions.get(oid.subjectAltName)?.value;
  return value === undefined ? [] : readGeneralNames(value, maxNames);
}

/** @throws CodedError `x509.malformed` */
export function usagesOf({ extensions }: Extensions): readonly string[] {
  const value = extensions.get(oid.extendedKeyUsage)?.value;
  return value === undefined ? [] : readAll(readOne(value, 0x30).content, 32).map(readOid);
}

/** @throws CodedError `x509.malformed` */
export function keyUsagesOf({ extensions }: Extensions): readonly KeyUsageBit[] {
  const value = extensions.get(oid.keyUsage)?.value;
  if (value === undefined) return [];
  const { tag, content } = readOne(value);
  if (tag !== 0x03 || content.length < 2 || content.length > 3) throw malformed('its key usage is none');
  const names = Object.keys(keyUsageBit) as KeyUsageBit[];
  return names.filter((name) => ((content[1] ?? 0) & (0x80 >> keyUsageBit[name])) !== 0);
}

/** Undefined: not a CA. @throws CodedError `x509.malformed` */
export function caOf({ extensions }: Extensions): { readonly pathLength?: number } | undefined {
  const value = extensions.get(oid.basicConstraints)?.value;
  if (value === undefined) return undefined;
  const fields = new DerFields(readOne(value, 0x30).content, 2);
  const ca = fields.optional(0x01);
  const length = fields.optional(0x02);
  fields.end();
  if (ca === undefined || !readBoolean(ca)) return undefined;
  return length === undefined ? {} : { pathLength: readNumber(length) };
}

/** The key identifiers: of the subject's key, and of the issuer's. @throws CodedError `x509.malformed` */
export function keyIdentifiersOf({ extensions }: Extensions): {
  readonly subject: Buffer | undefined;
  readonly authority: Buffer | undefined;
} {
  const subject = extensions.get(oid.subjectKeyIdentifier)?.value;
  const authority = extensions.get(oid.authorityKeyIdentifier)?.value;
  return {
    subject: subject && readOne(subject, 0x04).content,
    authority:
      authority && readAll(readOne(authority, 0x30).content, 3).find(({ tag }) => tag === 0x80)?.content,
  };
}
