import { createPublicKey, type KeyObject } from 'node:crypto';
import { sha256 } from '../kernel/index.ts';
import { explicit, integer, integerOf, sequence, time } from './der.ts';
import { algorithmIdentifier, type X509SignatureAlgorithm } from './signature.ts';

/** Everything that stands in a certificate, each part DER as it goes in. */
export interface CertificateFields {
  /** Big-endian magnitude, 20 octets at most with its sign. */
  readonly serial: Buffer;
  /** Name. Byte for byte the subject of the issuer (RFC 5280 section 4.1.2.4). */
  readonly issuer: Buffer;
  /** Name. */
  readonly subject: Buffer;
  /** Whole seconds are kept. Alive from the first to the second, both included. */
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** SubjectPublicKeyInfo. */
  readonly publicKey: Buffer;
  readonly extensions: readonly Buffer[];
}

/** TBSCertificate, version 3. @see RFC 5280 section 4.1 */
export function encodeToBeSigned(fields: CertificateFields, algorithm: X509SignatureAlgorithm): Buffer {
  return sequence(
    explicit(0, integerOf(2)),
    integer(fields.serial),
    algorithmIdentifier(algorithm),
    fields.issuer,
    sequence(time(fields.notBeforeMs), time(fields.notAfterMs)),
    fields.subject,
    fields.publicKey,
    explicit(3, sequence(...fields.extensions)),
  );
}

/** RFC 7093 section 2 method 1: the leftmost 160 bits of SHA-256 over the public key. The same for as long as the key is. */
export function keyIdentifier(subjectPublicKeyInfo: Buffer): Buffer {
  return sha256(subjectPublicKeyInfo).subarray(0, 20);
}

/** SubjectPublicKeyInfo, DER. */
export function subjectPublicKeyInfo(key: KeyObject): Buffer {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key;
  return publicKey.export({ format: 'der', type: 'spki' });
}
