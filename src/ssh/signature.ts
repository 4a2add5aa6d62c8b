import { verify } from 'node:crypto';
import { CodedError, sha256 } from '../kernel/index.ts';
import { publicKeyToKeyObject } from './key-object.ts';
import { findKeyType } from './key-types.ts';
import type { Curve } from './key-types.ts';
import type { PublicKey } from './public-key.ts';
import { SshReader, SshWriter } from './wire.ts';

/** How a CA signs. RSA with SHA-1 (`ssh-rsa` as a signature) does not exist here. */
export type SignatureAlgorithm =
  'ed25519' | 'ecdsa-p256' | 'ecdsa-p384' | 'ecdsa-p521' | 'rsa-sha2-256' | 'rsa-sha2-512';

interface AlgorithmWire {
  readonly signatureName: string;
  readonly keyType: string;
  readonly curve: Curve | undefined;
}

const wireOf: Readonly<Record<SignatureAlgorithm, AlgorithmWire>> = {
  ed25519: wire('ssh-ed25519'),
  'ecdsa-p256': wire('ecdsa-sha2-nistp256'),
  'ecdsa-p384': wire('ecdsa-sha2-nistp384'),
  'ecdsa-p521': wire('ecdsa-sha2-nistp521'),
  'rsa-sha2-256': wire('ssh-rsa', 'rsa-sha2-256'),
  'rsa-sha2-512': wire('ssh-rsa', 'rsa-sha2-512'),
};

function wire(keyType: string, signatureName = keyType): AlgorithmWire {
  return { signatureName, keyType, curve: findKeyType(keyType)?.curve };
}

/** Largest signature blob: RSA of 16384 bits with its names and lengths. */
export const maxSignatureBytes = 4096;

/** SSH type name of the plain keys that sign this way. */
export function keyTypeOf(algorithm: SignatureAlgorithm): string {
  return wireOf[algorithm].keyType;
}

/**
 * A signature blob as SSH carries it: algorithm name, then body.
 * @param raw Ed25519 64 bytes; ECDSA r||s (IEEE P1363); RSA PKCS#1 v1.5, as long as the modulus
 * @throws CodedError `ssh.bad_signature_length` when `raw` cannot be a signature of this algorithm
 */
export function encodeSignature(algorithm: SignatureAlgorithm, raw: Uint8Array): Buffer {
  const writer = new SshWriter(raw.length + 64);
  writeSignature(writer, algorithm, raw);
  return writer.finish();
}

/** Writes what `encodeSignature` returns. @throws CodedError `ssh.bad_signature_length` */
export function writeSignature(writer: SshWriter, algorithm: SignatureAlgorithm, raw: Uint8Array): void {
  const { signatureName, curve } = wireOf[algorithm];
  if (!hasSignatureLength(algorithm, curve, raw.length)) {
    throw new CodedError(
      'ssh.bad_signature_length',
      `A signature of ${raw.length} bytes cannot come from ${algorithm}.`,
    );
  }
  writer.string(signatureName);
  if (curve === undefined) {
    writer.string(raw);
    return;
  }
  const body = writer.beginString();
  writer.mpint(raw.subarray(0, curve.coordinateBytes)).mpint(raw.subarray(curve.coordinateBytes));
  writer.endString(body);
}

function hasSignatureLength(
  algorithm: SignatureAlgorithm,
  curve: Curve | undefined,
  sizeBytes: number,
): boolean {
  if (algorithm === 'ed25519') return sizeBytes === 64;
  if (curve !== undefined) return sizeBytes === 2 * curve.coordinateBytes;
  return sizeBytes >= 128 && sizeBytes <= 2048;
}

/** What a parsed signature says of itself. */
export interface SignatureFields {
  /** Name on the wire, e.g. `rsa-sha2-512`, `sk-ssh-ed25519@openssh.com`. */
  readonly algorithm: string;
  /** As node:crypto takes it: ECDSA as r||s. */
  readonly raw: Buffer;
  /** sk- keys only: bit 0 the owner touched the token, bit 2 the token verified the owner. */
  readonly flags?: number;
  readonly counter?: number;
}

/**
 * Reads a signature blob that must fit this key: the algorithm belongs to the key type, the body has the one right form.
 * @throws CodedError `ssh.malformed`, or `ssh.wrong_signature_algorithm` (SHA-1 RSA included)
 */
export function parseSignature(key: PublicKey, blob: Uint8Array): SignatureFields {
  const reader = new SshReader(blob, 'signature');
  const algorithm = reader.string(64).toString('latin1');
  const type = findKeyType(key.type);
  const fits = key.type === 'ssh-rsa' ? /^rsa-sha2-(?:256|512)$/.test(algorithm) : algorithm === key.type;
  if (type === undefined || !fits) {
    throw new CodedError(
      'ssh.wrong_signature_algorithm',
      `A key of type ${key.type} cannot make this kind of signature, or only by SHA-1.`,
    );
  }
  const body = reader.nested('signature', maxSignatureBytes);
  const raw = type.curve === undefined ? body.bytes(body.remaining) : readEcdsaHalves(body, type.curve);
  body.end();
  const wanted = type.family === 'rsa' ? Math.ceil(key.bits / 8) : raw.length;
  if (raw.length !== wanted || (type.family === 'ed25519' && raw.length !== 64))
    throw reader.malformed(`has a body of ${raw.length} bytes`);
  const token = type.securityKey ? { flags: reader.byte(), counter: reader.uint32() } : {};
  reader.end();
  return { algorithm, raw, ...token };
}

function readEcdsaHalves(body: SshReader, curve: Curve): Buffer {
  const size = curve.coordinateBytes;
  const raw = Buffer.alloc(2 * size);
  for (const end of [size, 2 * size]) {
    const half = body.mpint(size + 1);
    if (half.length > size) throw body.malformed('holds an integer wider than its curve');
    half.copy(raw, end - half.length);
  }
  return raw;
}

/**
 * Whether `signature`, as `parseSignature` read it for this key, is over `message`. For sk- keys the signed bytes are the hash
 * of the application, flags, counter and the hash of the message (PROTOCOL.u2f); whether the flags suffice is the caller's.
 */
export function verifySignature(key: PublicKey, signature: SignatureFields, message: Uint8Array): boolean {
  const type = findKeyType(key.type);
  const keyObject = publicKeyToKeyObject(key);
  const signed = type?.securityKey === true ? securityKeyMessage(key, signature, message) : message;
  if (type?.curve !== undefined)
    return verify(type.curve.hash, signed, { key: keyObject, dsaEncoding: 'ieee-p1363' }, signature.raw);
  if (type?.family === 'rsa')
    return verify(
      signature.algorithm === 'rsa-sha2-512' ? 'sha512' : 'sha256',
      signed,
      keyObject,
      signature.raw,
    );
  return verify(null, signed, keyObject, signature.raw);
}

function securityKeyMessage(key: PublicKey, signature: SignatureFields, message: Uint8Array): Buffer {
  return new SshWriter(128)
    .raw(sha256(key.application ?? ''))
    .byte(signature.flags ?? 0)
    .uint32(signature.counter ?? 0)
    .raw(sha256(message))
    .finish();
}
