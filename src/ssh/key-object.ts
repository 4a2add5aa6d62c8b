import { createPublicKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { CodedError } from '../kernel/index.ts';
import { findKeyType } from './key-types.ts';
import { parseKeyFields, parsePublicKeyBlob } from './public-key.ts';
import type { PublicKey } from './public-key.ts';
import { SshWriter } from './wire.ts';

/**
 * The key as node:crypto uses it. An sk- key gives the plain key inside it: its signatures are over more than the message, so
 * verify them with `verifySignature`.
 * @throws CodedError `ssh.invalid_key` when OpenSSL refuses what we accept (it knows more about RSA sizes than the wire does)
 */
export function publicKeyToKeyObject(key: PublicKey): KeyObject {
  const { type, material, exponent } = parseKeyFields(key.blob);
  const text = (bytes: Buffer): string => bytes.toString('base64url');
  try {
    if (exponent !== undefined)
      return createPublicKey({ format: 'jwk', key: { kty: 'RSA', n: text(material), e: text(exponent) } });
    if (type.curve === undefined)
      return createPublicKey({ format: 'jwk', key: { kty: 'OKP', crv: 'Ed25519', x: text(material) } });
    const size = type.curve.coordinateBytes;
    const x = text(material.subarray(1, 1 + size));
    const y = text(material.subarray(1 + size));
    return createPublicKey({ format: 'jwk', key: { kty: 'EC', crv: type.curve.jwkName, x, y } });
  } catch (cause) {
    throw new CodedError('ssh.invalid_key', 'OpenSSL refuses this public key.', { cause });
  }
}

/**
 * The SSH form of a public key, or of the public half of a private one.
 * @throws CodedError `ssh.unknown_key_type` for kinds that SSH has no plain type for (X25519, Ed448, RSA-PSS, other curves),
 *   and as `parsePublicKeyBlob`
 */
export function publicKeyFromKeyObject(keyObject: KeyObject): PublicKey {
  const publicKey = keyObject.type === 'private' ? createPublicKey(keyObject) : keyObject;
  const kind = publicKey.asymmetricKeyType;
  if (publicKey.type !== 'public' || (kind !== 'ed25519' && kind !== 'ec' && kind !== 'rsa'))
    throw unknownKind(kind ?? publicKey.type);
  const jwk = publicKey.export({ format: 'jwk' });
  const bytes = (value: string | undefined): Buffer => Buffer.from(value ?? '', 'base64url');
  const writer = new SshWriter();
  if (kind === 'ed25519') writer.string('ssh-ed25519').string(bytes(jwk.x));
  else if (kind === 'rsa') writer.string('ssh-rsa').mpint(bytes(jwk.e)).mpint(bytes(jwk.n));
  else {
    const curveName = jwk.crv?.replace('P-', 'nistp') ?? '';
    const type = findKeyType(`ecdsa-sha2-${curveName}`);
    if (type === undefined) throw unknownKind(jwk.crv ?? kind);
    writer
      .string(type.name)
      .string(curveName)
      .string(Buffer.concat([Buffer.of(4), bytes(jwk.x), bytes(jwk.y)]));
  }
  return parsePublicKeyBlob(writer.finish());
}

function unknownKind(kind: string): CodedError {
  return new CodedError('ssh.unknown_key_type', `SSH has no key type for ${kind} keys.`, {
    next: 'Use an Ed25519, ECDSA P-256/384/521 or RSA key.',
  });
}
