import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { createCertificateEncoder, formatCertificate, publicKeyFromKeyObject } from '../../src/ssh/index.ts';
import type { PublicKey } from '../../src/ssh/index.ts';

export interface KeyPair {
  readonly publicKey: PublicKey;
  readonly privateKey: KeyObject;
}

export function newKeyPair(): KeyPair {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  return { publicKey: publicKeyFromKeyObject(publicKey), privateKey };
}

export interface Wanted {
  readonly subject: PublicKey;
  readonly ca: KeyPair;
  readonly serial: bigint;
  readonly keyId: string;
  readonly principal?: string;
}

/** A line for a `-cert.pub` file: a user certificate that is always valid. */
export function certificateLine({ subject, ca, serial, keyId, principal = 'alice' }: Wanted): string {
  const encoder = createCertificateEncoder(ca.publicKey, 'ed25519');
  const toBeSigned = encoder.encodeToBeSigned({
    key: subject,
    nonce: randomBytes(32),
    serial,
    kind: 'user',
    keyId,
    principals: [principal],
    validAfter: 0n,
    validBefore: 2n ** 64n - 1n,
    criticalOptions: new Map(),
    extensions: new Map(),
  });
  const certificate = encoder.finish(toBeSigned, sign(null, toBeSigned, ca.privateKey));
  return `${formatCertificate(certificate)}\n`;
}
