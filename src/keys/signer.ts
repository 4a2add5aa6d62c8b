import { constants, createPublicKey, sign, verify, type KeyObject } from 'node:crypto';
import { CodedError } from '../kernel/index.ts';

export type SignatureAlgorithm =
  'ed25519' | 'ecdsa-p256' | 'ecdsa-p384' | 'ecdsa-p521' | 'rsa-sha2-256' | 'rsa-sha2-512';

/**
 * One private key that can sign and tell its public half. Signatures are raw: Ed25519 64 bytes (RFC 8032), ECDSA r||s
 * (IEEE P1363), RSA PKCS#1 v1.5. Format rooms wrap them. RSA signs in the thread pool and is verified before it is handed
 * out, because a CRT fault would leak the key.
 */
export interface Signer {
  readonly algorithm: SignatureAlgorithm;
  readonly publicKey: KeyObject;
  /** A Buffer at once for Ed25519 and ECDSA (they sign on the loop), a promise for RSA. */
  sign(message: Uint8Array): Buffer | Promise<Buffer>;
}

const ecdsaByCurve = {
  prime256v1: { algorithm: 'ecdsa-p256', hash: 'sha256' },
  secp384r1: { algorithm: 'ecdsa-p384', hash: 'sha384' },
  secp521r1: { algorithm: 'ecdsa-p521', hash: 'sha512' },
} as const;

/**
 * A signer over one private key. The KeyObject is reused for the life of the process: parsing it for each signature would
 * halve the speed.
 * @param rsaHash what RSA hashes with: OpenSSH takes either, TLS of older systems knows SHA-256
 * @throws CodedError `keys.unsupported` for any other kind of key, and for RSA below 2048 bits.
 */
export function createSigner(privateKey: KeyObject, rsaHash: 'sha256' | 'sha512' = 'sha512'): Signer {
  const publicKey = createPublicKey(privateKey);
  switch (privateKey.asymmetricKeyType) {
    case 'ed25519':
      return { algorithm: 'ed25519', publicKey, sign: (message) => sign(null, message, privateKey) };
    case 'ec': {
      const curve = privateKey.asymmetricKeyDetails?.namedCurve ?? '';
      const known = curve in ecdsaByCurve ? ecdsaByCurve[curve as keyof typeof ecdsaByCurve] : undefined;
      if (known === undefined) throw unsupported(`the curve ${curve}`);
      const key = { key: privateKey, dsaEncoding: 'ieee-p1363' } as const;
      return { algorithm: known.algorithm, publicKey, sign: (message) => sign(known.hash, message, key) };
    }
    case 'rsa':
      if ((privateKey.asymmetricKeyDetails?.modulusLength ?? 0) < 2048)
        throw unsupported('RSA below 2048 bits');
      return {
        algorithm: rsaHash === 'sha256' ? 'rsa-sha2-256' : 'rsa-sha2-512',
        publicKey,
        sign: (message) => signRsa({ privateKey, publicKey, hash: rsaHash }, message),
      };
    default:
      throw unsupported(privateKey.asymmetricKeyType ?? 'this kind of key');
  }
}

interface RsaKeys {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  readonly hash: string;
}

function signRsa({ privateKey, publicKey, hash }: RsaKeys, message: Uint8Array): Promise<Buffer> {
  const padding = constants.RSA_PKCS1_PADDING;
  return new Promise((resolve, reject) => {
    sign(hash, message, { key: privateKey, padding }, (error, signature) => {
      if (error) return reject(error);
      verify(hash, message, { key: publicKey, padding }, signature, (verifyError, valid) => {
        if (verifyError) reject(verifyError);
        else if (valid) resolve(signature);
        else
          reject(
            new CodedError('keys.bad_signature', 'The RSA signature did not verify and was thrown away.'),
          );
      });
    });
  });
}

function unsupported(what: string): CodedError {
  return new CodedError('keys.unsupported', `A signing key cannot be ${what}.`, {
    next: 'Use Ed25519, ECDSA P-256, P-384 or P-521, or RSA of at least 2048 bits.',
  });
}
