import { generateKeyPairSync, randomBytes, sign, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { repeated } from './measure.ts';
import type { Contender } from './measure.ts';

/** An Ed25519 key pair for one run. */
export function newEd25519(): { readonly publicKey: KeyObject; readonly privateKey: KeyObject } {
  return generateKeyPairSync('ed25519');
}

/**
 * U, the yardstick: what one core does at most, one Ed25519 signature after another with a reused key, over as many bytes as
 * a user certificate has.
 */
export function signatureLoop(privateKey: KeyObject, milliseconds = 150): Contender {
  const message = randomBytes(512);
  return repeated(milliseconds, 64, () => {
    sign(null, message, privateKey);
  });
}

/**
 * The least crypto of one issuance over HTTP: U, and the check of the proof of possession (RFC 9449) that every request
 * carries, an ECDSA P-256 signature over some 400 bytes.
 */
export function signatureAndProofLoop(privateKey: KeyObject, milliseconds = 150): Contender {
  const message = randomBytes(512);
  const proof = randomBytes(400);
  const proofKey = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const signature = sign('sha256', proof, { key: proofKey.privateKey, dsaEncoding: 'ieee-p1363' });
  const verifier = { key: proofKey.publicKey, dsaEncoding: 'ieee-p1363' } as const;
  return repeated(milliseconds, 64, () => {
    sign(null, message, privateKey);
    if (!verify('sha256', proof, verifier, signature))
      throw new Error('the proof that is measured does not verify');
  });
}
