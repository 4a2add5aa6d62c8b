import { verify, type KeyObject } from 'node:crypto';
import { CodedError } from '../kernel/index.ts';
import { bitString, integer, nothing, objectIdentifier, sequence } from './der.ts';
import { readBits, readOid, readOne, readAll, type Tlv } from './der-reader.ts';
import { oid } from './oids.ts';

/** What our authorities sign with: every TLS of the last fifteen years checks these. Never Ed25519: IBM i and Windows do not. */
export type X509SignatureAlgorithm = 'rsa-sha2-256' | 'ecdsa-p256' | 'ecdsa-p384';

const identifiers: Readonly<Record<X509SignatureAlgorithm, Buffer>> = {
  // RFC 4055 section 5: NULL parameters; RFC 5758 section 3.2: none.
  'rsa-sha2-256': sequence(objectIdentifier(oid.sha256WithRsa), nothing()),
  'ecdsa-p256': sequence(objectIdentifier(oid.ecdsaWithSha256)),
  'ecdsa-p384': sequence(objectIdentifier(oid.ecdsaWithSha384)),
};

/** @throws CodedError `x509.unsupported_key` for any other algorithm of a Signer. */
export function x509Algorithm(algorithm: string): X509SignatureAlgorithm {
  if (algorithm === 'rsa-sha2-256' || algorithm === 'ecdsa-p256' || algorithm === 'ecdsa-p384')
    return algorithm;
  throw new CodedError('x509.unsupported_key', `A TLS authority cannot sign with ${algorithm}.`, {
    next: 'Use RSA with SHA-256, ECDSA P-256 or ECDSA P-384.',
  });
}

/** AlgorithmIdentifier, DER. */
export function algorithmIdentifier(algorithm: X509SignatureAlgorithm): Buffer {
  return identifiers[algorithm];
}

/** SEQUENCE { toBeSigned, algorithm, signature }. `raw` is what a Signer gives: r||s for ECDSA (IEEE P1363). */
export function signedSequence(toBeSigned: Buffer, algorithm: X509SignatureAlgorithm, raw: Buffer): Buffer {
  return sequence(toBeSigned, identifiers[algorithm], bitString(signatureOctets(algorithm, raw)));
}

/** The signature as X.509 carries it: ECDSA-Sig-Value (RFC 3279 section 2.2.3), or the octets of RSA. */
export function signatureOctets(algorithm: X509SignatureAlgorithm, raw: Buffer): Buffer {
  if (algorithm === 'rsa-sha2-256') return raw;
  const half = raw.length / 2;
  return sequence(integer(raw.subarray(0, half)), integer(raw.subarray(half)));
}

const hashes: Readonly<Record<string, string>> = {
  [oid.sha256WithRsa]: 'sha256',
  '1.2.840.113549.1.1.12': 'sha384',
  '1.2.840.113549.1.1.13': 'sha512',
  [oid.ecdsaWithSha256]: 'sha256',
  [oid.ecdsaWithSha384]: 'sha384',
  '1.2.840.10045.4.3.4': 'sha512',
};

/**
 * Whether a signature that came with its algorithm is good. SHA-1 and anything unknown is not. @throws CodedError `x509.malformed`
 */
export function isSignedBy(key: KeyObject, toBeSigned: Buffer, algorithm: Tlv, signature: Tlv): boolean {
  const [type] = readAll(readOne(algorithm.whole, 0x30).content, 2);
  const hash = type && hashes[readOid(type)];
  if (hash === undefined) return false;
  const isEc = key.asymmetricKeyType === 'ec';
  if (isEc !== readOid(type as Tlv).startsWith('1.2.840.10045.')) return false;
  const bytes = readBits(signature);
  try {
    return verify(hash, toBeSigned, isEc ? { key, dsaEncoding: 'der' } : key, bytes);
  } catch {
    // What OpenSSL cannot even read as a signature is none.
    return false;
  }
}
