import { createPublicKey, type KeyObject } from 'node:crypto';
import { CodedError } from '../kernel/index.ts';
import { DerFields, malformed, readAll, readNumber, readOid, readOne, type Tlv } from './der-reader.ts';
import { readCommonName, readGeneralNames, type GeneralName } from './names.ts';
import { oid } from './oids.ts';
import { decodePem } from './pem.ts';
import { caOf, readExtensions } from './read-certificate.ts';
import { isSignedBy } from './signature.ts';

const maxRequestBytes = 48 * 1024;
/** More names than any host has, and few enough for one entry of the log. */
export const maxRequestNames = 100;
const maxRsaBits = 4096;

/** What a CSR asks for and proves. Nothing of it goes into a certificate but the key: names are only wishes. */
export interface SigningRequest {
  readonly publicKey: KeyObject;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKeyInfo: Buffer;
  readonly commonName: string | undefined;
  readonly names: readonly GeneralName[];
  /** True when it wants the account of a Windows domain written in by itself. */
  readonly asksForSid: boolean;
}

/**
 * Reads a PKCS#10 request, PEM or DER, and checks that whoever made it holds the key.
 * @throws CodedError `x509.malformed`, `x509.not_pem`, `x509.too_large`, `x509.too_many_names`, `x509.unsupported_key`, `x509.key_size`,
 * `x509.ca_requested`, `x509.bad_proof`
 * @see RFC 2986
 */
export function parseSigningRequest(given: string | Buffer): SigningRequest {
  if (given.length > 2 * maxRequestBytes) throw tooLarge();
  const text = typeof given === 'string' ? given : given.toString('latin1');
  const isDer = typeof given !== 'string' && given[0] === 0x30;
  const bytes = isDer ? given : decodePem(text, ['CERTIFICATE REQUEST', 'NEW CERTIFICATE REQUEST']);
  if (bytes.length > maxRequestBytes) throw tooLarge();

  const outer = new DerFields(readOne(bytes, 0x30).content, 3);
  const info = outer.take(0x30, 'what is asked for');
  const algorithm = outer.take(0x30, 'the algorithm');
  const signature = outer.take(0x03, 'the signature');
  outer.end();
  const fields = new DerFields(info.content, 4);
  if (readNumber(fields.take(0x02, 'the version')) !== 0) throw malformed('it is of an unknown version');
  const subject = fields.take(0x30, 'the subject');
  const publicKeyInfo = fields.take(0x30, 'the public key');
  const attributes = fields.optional(0xa0);
  fields.end();

  const wishes = attributes === undefined ? undefined : readWishes(attributes);
  const publicKey = readSubjectPublicKey(publicKeyInfo);
  if (!isSignedBy(publicKey, info.whole, algorithm, signature)) {
    throw new CodedError('x509.bad_proof', 'The request is not signed with the key that it asks for.', {
      next: 'Make it again, with SHA-256 or better: `openssl req -new -sha256 -key KEY`.',
    });
  }
  return {
    publicKey,
    publicKeyInfo: publicKey.export({ format: 'der', type: 'spki' }),
    commonName: readCommonName(subject.whole),
    names: wishes?.names ?? [],
    asksForSid: wishes?.asksForSid ?? false,
  };
}

/** RFC 2985 section 5.4.2: the extensions that it would like to have. */
function readWishes(attributes: Tlv): Pick<SigningRequest, 'names' | 'asksForSid'> {
  let wishes: ReturnType<typeof readExtensions> | undefined;
  for (const attribute of readAll(attributes.content, 32)) {
    const parts = new DerFields(readOne(attribute.whole, 0x30).content, 2);
    const type = readOid(parts.take(0x06, 'the type of an attribute'));
    const values = parts.take(0x31, 'the values of an attribute');
    parts.end();
    if (type !== oid.extensionRequest) continue;
    if (wishes !== undefined) throw malformed('it asks for extensions twice');
    wishes = readExtensions(readOne(readOne(values.content, 0x30).whole, 0x30).content);
  }
  if (wishes === undefined) return { names: [], asksForSid: false };
  if (caOf({ extensions: wishes }) !== undefined) {
    throw new CodedError('x509.ca_requested', 'The request asks for a certificate of an authority.', {
      next: 'Make it without CA:TRUE. Authorities are made by whoever runs the broker, never on request.',
    });
  }
  const names = wishes.get(oid.subjectAltName)?.value;
  return {
    names: names === undefined ? [] : readGeneralNames(names, maxRequestNames),
    asksForSid: wishes.has(oid.sidExtension),
  };
}

/**
 * A key that IBM i, Windows and Linux can all use for TLS: RSA of 2048 to 4096 bits, P-256 or P-384. What is too large is refused by
 * its length, before anything is computed with it.
 * @throws CodedError `x509.malformed`, `x509.unsupported_key`, `x509.key_size`
 */
export function readSubjectPublicKey(info: Tlv): KeyObject {
  const fields = new DerFields(info.content, 2);
  const algorithm = fields.take(0x30, 'the algorithm of the key');
  const bits = fields.take(0x03, 'the key');
  fields.end();
  const [type, parameter] = readAll(algorithm.content, 2);
  if (type === undefined) throw malformed('the algorithm of the key is missing');
  const name = readOid(type);
  if (name === oid.rsaEncryption) {
    const modulus = readAll(readOne(bits.content.subarray(1), 0x30).content, 2)[0];
    const size = (modulus?.content.length ?? 0) * 8;
    if (size > maxRsaBits + 8 || size < 2048) throw keySize('RSA');
  } else if (name !== oid.ecPublicKey) throw unsupportedKey();
  else if (parameter?.tag !== 0x06) throw unsupportedKey();
  else if (![oid.p256, oid.p384].some((curve) => curve === readOid(parameter))) throw unsupportedKey();
  let key: KeyObject;
  try {
    key = createPublicKey({ key: info.whole, format: 'der', type: 'spki' });
  } catch (error) {
    throw new CodedError('x509.malformed', 'The public key cannot be read.', {
      next: 'Make the key again.',
      cause: error,
    });
  }
  const rsaBits = key.asymmetricKeyDetails?.modulusLength ?? 2048;
  if (rsaBits < 2048 || rsaBits > maxRsaBits) throw keySize('RSA');
  const exponent = key.asymmetricKeyDetails?.publicExponent ?? 65_537n;
  if (exponent < 65_537n || exponent > 0xffff_ffffn) throw keySize('the exponent of RSA');
  return key;
}

function keySize(what: string): CodedError {
  return new CodedError('x509.key_size', `The size of the key is not taken: ${what}.`, {
    next: `Use RSA of 2048 to ${maxRsaBits} bits with the exponent 65537, or ECDSA P-256 or P-384.`,
  });
}

function unsupportedKey(): CodedError {
  return new CodedError('x509.unsupported_key', 'This kind of key is not taken for TLS.', {
    next: `Use RSA of 2048 to ${maxRsaBits} bits, ECDSA P-256 or ECDSA P-384. IBM i and Windows know no Ed25519 certificates.`,
  });
}

function tooLarge(): CodedError {
  return new CodedError('x509.too_large', `A request has at most ${maxRequestBytes} bytes.`, {
    next: 'Ask for fewer names.',
  });
}
