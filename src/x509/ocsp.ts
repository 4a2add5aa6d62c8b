import { createHash } from 'node:crypto';
import {
  bitString,
  der,
  enumerated,
  explicit,
  generalizedTime,
  objectIdentifier,
  octetString,
  sequence,
} from './der.ts';
import { DerFields, malformed, readAll, readBits, readMagnitude, readOid, readOne } from './der-reader.ts';
import { extension } from './extensions.ts';
import { oid } from './oids.ts';
import { readExtensions } from './read-certificate.ts';
import { revocationReasons, type RevocationReason } from './crl.ts';
import { algorithmIdentifier, signatureOctets, type X509SignatureAlgorithm } from './signature.ts';

const maxRequestBytes = 4096;
const maxAsked = 16;

/** One certificate that somebody asks about. */
export interface OcspQuestion {
  /** CertID as it came: the answer repeats it. */
  readonly certId: Buffer;
  readonly hash: 'sha1' | 'sha256';
  readonly issuerNameHash: Buffer;
  readonly issuerKeyHash: Buffer;
  /** Hex. */
  readonly serial: string;
}

export interface OcspRequest {
  readonly questions: readonly OcspQuestion[];
  /** The extension as it came, when there is one: the answer repeats it. */
  readonly nonce: Buffer | undefined;
}

const hashes: Readonly<Record<string, OcspQuestion['hash']>> = { [oid.sha1]: 'sha1', [oid.sha256]: 'sha256' };

/** Reads an OCSP request; a signature on it is not looked at. @throws CodedError `x509.malformed` @see RFC 6960 section 4.1 */
export function parseOcspRequest(bytes: Buffer): OcspRequest {
  if (bytes.length > maxRequestBytes) throw malformed('it is far too large');
  const outer = new DerFields(readOne(bytes, 0x30).content, 2);
  const fields = new DerFields(outer.take(0x30, 'what is asked').content, 4);
  outer.optional(0xa0);
  outer.end();
  const version = fields.optional(0xa0);
  if (version !== undefined && readMagnitude(readOne(version.content), 1)[0] !== 0)
    throw malformed('it is of an unknown version');
  fields.optional(0xa1);
  const list = readAll(fields.take(0x30, 'the list of questions').content, maxAsked);
  const extensions = fields.optional(0xa2);
  fields.end();
  if (list.length === 0) throw malformed('it asks nothing');
  const found =
    extensions === undefined ? undefined : readExtensions(readOne(extensions.content, 0x30).content);
  for (const [type, { critical }] of found ?? [])
    if (critical && type !== oid.ocspNonce) throw malformed('a critical extension is not known here');
  const nonce = found?.get(oid.ocspNonce);
  // RFC 9654 section 2.1: 1 to 128 octets.
  if (nonce !== undefined && (nonce.value.length < 1 || nonce.value.length > 130))
    throw malformed('its nonce is too long');
  return {
    questions: list.map((item) => readQuestion(item.content)),
    nonce: nonce && extension(oid.ocspNonce, nonce.critical, nonce.value),
  };
}

function readQuestion(bytes: Buffer): OcspQuestion {
  const fields = new DerFields(bytes, 2);
  const certId = fields.take(0x30, 'what is asked about');
  fields.optional(0xa0);
  fields.end();
  const id = new DerFields(certId.content, 4);
  const [type] = readAll(id.take(0x30, 'the hash').content, 2);
  const hash = type && hashes[readOid(type)];
  if (hash === undefined) throw malformed('its hash is not known here');
  const issuerNameHash = id.take(0x04, 'the hash of a name').content;
  const issuerKeyHash = id.take(0x04, 'the hash of a key').content;
  const serial = readMagnitude(id.take(0x02, 'a serial'), 20).toString('hex');
  id.end();
  const size = hash === 'sha1' ? 20 : 32;
  if (issuerNameHash.length !== size || issuerKeyHash.length !== size)
    throw malformed('a hash has a strange length');
  return { certId: certId.whole, hash, issuerNameHash, issuerKeyHash, serial };
}

/** How OCSP names an authority (RFC 6960 section 4.1.1): hashes over its Name and over the bits of its key. */
export function issuerHashes(
  subject: Buffer,
  publicKeyInfo: Buffer,
): Readonly<Record<OcspQuestion['hash'], { readonly name: Buffer; readonly key: Buffer }>> {
  const bits = keyBits(publicKeyInfo);
  const of = (hash: OcspQuestion['hash']): { name: Buffer; key: Buffer } => ({
    name: createHash(hash).update(subject).digest(),
    key: createHash(hash).update(bits).digest(),
  });
  return { sha1: of('sha1'), sha256: of('sha256') };
}

function keyBits(publicKeyInfo: Buffer): Buffer {
  const [, bits] = readAll(readOne(publicKeyInfo, 0x30).content, 2);
  if (bits === undefined) throw malformed('the key is missing');
  return readBits(bits);
}

export type OcspStatus =
  | { readonly kind: 'good' }
  | { readonly kind: 'revoked'; readonly revokedMs: number; readonly reason: RevocationReason }
  | { readonly kind: 'unknown' };

export interface OcspAnswerFields {
  /** SubjectPublicKeyInfo of who signs. */
  readonly signerKey: Buffer;
  readonly answers: readonly { readonly certId: Buffer; readonly status: OcspStatus }[];
  readonly producedMs: number;
  readonly nextUpdateMs: number;
  /** Extension, as `parseOcspRequest` gave it. */
  readonly nonce?: Buffer | undefined;
}

/** ResponseData: what is signed. @see RFC 6960 section 4.2.1 */
export function encodeOcspToBeSigned(fields: OcspAnswerFields): Buffer {
  const { producedMs, nextUpdateMs, nonce } = fields;
  const byKey = createHash('sha1').update(keyBits(fields.signerKey)).digest();
  const times = [generalizedTime(producedMs), explicit(0, generalizedTime(nextUpdateMs))];
  return sequence(
    explicit(2, octetString(byKey)),
    generalizedTime(producedMs),
    sequence(...fields.answers.map(({ certId, status }) => sequence(certId, encodeStatus(status), ...times))),
    ...(nonce === undefined ? [] : [explicit(1, sequence(nonce))]),
  );
}

function encodeStatus(status: OcspStatus): Buffer {
  if (status.kind === 'good') return der(0x80);
  if (status.kind === 'unknown') return der(0x82);
  const code = revocationReasons[status.reason];
  return der(0xa1, generalizedTime(status.revokedMs), ...(code === 0 ? [] : [explicit(0, enumerated(code))]));
}

/** OCSPResponse with status “successful”. `raw` is what a Signer gives; `certificates` are DER. */
export function encodeOcspResponse(
  toBeSigned: Buffer,
  algorithm: X509SignatureAlgorithm,
  raw: Buffer,
  certificates: readonly Buffer[],
): Buffer {
  const basic = sequence(
    toBeSigned,
    algorithmIdentifier(algorithm),
    bitString(signatureOctets(algorithm, raw)),
    explicit(0, sequence(...certificates)),
  );
  return sequence(enumerated(0), explicit(0, sequence(objectIdentifier(oid.ocspBasic), octetString(basic))));
}

const failures = { malformedRequest: 1, internalError: 2, tryLater: 3, unauthorized: 6 } as const;
export type OcspFailure = keyof typeof failures;

/** An answer that says why there is none: unsigned (RFC 6960 section 2.3). */
export function encodeOcspFailure(failure: OcspFailure): Buffer {
  return sequence(enumerated(failures[failure]));
}
