import type { JsonWebKey, KeyObject } from 'node:crypto';
import { createPrivateKey, generateKeyPairSync, sign } from 'node:crypto';
import type { RandomBytes } from '../../kernel/index.ts';
import { CodedError, sha256 } from '../../kernel/index.ts';

/** The P-256 key that a session is bound to. It never leaves this computer. */
export interface ProofKey {
  readonly privateKey: KeyObject;
  /** Public half as it goes into each proof. */
  readonly publicJwk: {
    readonly kty: 'EC';
    readonly crv: 'P-256';
    readonly x: string;
    readonly y: string;
  };
}

/** A fresh key for one session: each login makes its own. */
export function generateProofKey(): ProofKey {
  return toProofKey(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey);
}

/** @throws CodedError `client.bad_session_file` when it is not a private P-256 key. */
export function parseProofKey(jwk: Readonly<Record<string, unknown>>): ProofKey {
  try {
    return toProofKey(createPrivateKey({ key: jwk, format: 'jwk' }));
  } catch (error) {
    throw new CodedError('client.bad_session_file', 'The stored session has no usable key.', {
      next: 'Run `sallyport login`.',
      cause: error,
    });
  }
}

/** The secret half as a JSON Web Key, for the session file only: whoever has it and the token is the person. */
export function exportProofKey(key: ProofKey): JsonWebKey {
  return key.privateKey.export({ format: 'jwk' });
}

function toProofKey(privateKey: KeyObject): ProofKey {
  const { kty, crv, x, y } = privateKey.export({ format: 'jwk' });
  if (kty !== 'EC' || crv !== 'P-256' || x === undefined || y === undefined)
    throw new TypeError('not a P-256 key');
  return { privateKey, publicJwk: { kty, crv, x, y } };
}

export interface ProofOptions {
  readonly method: string;
  /** The whole address asked; query and fragment are left out of the proof (RFC 9449 section 4.2). */
  readonly url: URL;
  /** The session token that goes with the proof; none at login. */
  readonly token?: string;
  readonly nowMs: number;
  readonly random: RandomBytes;
}

/** One DPoP proof: a JWT signed with ES256. @see RFC 9449 section 4.2, RFC 7515 section 3.1 */
export function signProof(key: ProofKey, options: ProofOptions): string {
  const header = { typ: 'dpop+jwt', alg: 'ES256', jwk: key.publicJwk };
  const payload = {
    htm: options.method,
    htu: `${options.url.origin}${options.url.pathname}`,
    iat: Math.floor(options.nowMs / 1000),
    jti: options.random(16).toString('base64url'),
    ...(options.token === undefined ? {} : { ath: sha256(options.token).toString('base64url') }),
  };
  const signed = [header, payload]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.');
  // JWS wants r||s, not the ASN.1 sequence (RFC 7518 section 3.4).
  const signature = sign('sha256', Buffer.from(signed), {
    key: key.privateKey,
    dsaEncoding: 'ieee-p1363',
  });
  return `${signed}.${signature.toString('base64url')}`;
}
