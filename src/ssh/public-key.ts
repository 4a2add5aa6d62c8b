import { hash } from 'node:crypto';
import { CodedError, printable } from '../kernel/index.ts';
import type { SshBlob } from '../kernel/index.ts';
import { findCertificateKeyType, findKeyType } from './key-types.ts';
import type { Curve, KeyType } from './key-types.ts';
import { SshReader } from './wire.ts';

/** A plain public key that passed `parsePublicKeyBlob`. */
export interface PublicKey {
  /** SSH type name, e.g. `ssh-ed25519`, `sk-ecdsa-sha2-nistp256@openssh.com`. */
  readonly type: string;
  readonly blob: SshBlob;
  /** Bits of the modulus for RSA, of the curve otherwise. */
  readonly bits: number;
  /** For sk- keys only: part of the key and of every signature, `ssh:` unless the owner chose another. */
  readonly application?: string;
  /** As read from a key file, made printable; never part of the key. */
  readonly comment?: string;
}

/** Fields of a plain key or of the key inside a certificate, as views into the bytes that were read. */
export interface KeyFields {
  readonly type: KeyType;
  readonly bits: number;
  readonly application?: string;
  /** Ed25519: 32 bytes. ECDSA: the uncompressed point. RSA: the modulus without leading zeros. */
  readonly material: Buffer;
  /** RSA only: the public exponent without leading zeros. */
  readonly exponent?: Buffer;
}

const maxTypeNameBytes = 64;
const maxApplicationBytes = 1024;

const ed25519Prime = 2n ** 255n - 19n;
const orderEightY = 0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n;
/**
 * Encodings of the points of small order, for which anyone can make signatures that verify, and of y coordinates that are not
 * below the prime, with either sign bit. That other values are points at all is not checked: one that is none verifies nothing
 * (RFC 8032 section 5.1.7).
 */
const refusedEd25519: ReadonlySet<string> = new Set(
  [0n, 1n, ed25519Prime - 1n, orderEightY, ed25519Prime - orderEightY]
    .concat(Array.from({ length: 19 }, (_, above) => ed25519Prime + BigInt(above)))
    .flatMap((y) => [y, y + 2n ** 255n])
    .map((value) => Buffer.from(value.toString(16).padStart(64, '0'), 'hex').reverse().toString('hex')),
);

/**
 * Checks a public key in wire form (RFC 4253 section 6.6) completely: known type, point on its curve, minimal integers, RSA of
 * 1024 to 16384 bits with an odd modulus and exponent, no trailing bytes. The result owns a copy of the bytes.
 * @throws CodedError `ssh.malformed`, `ssh.invalid_key`, `ssh.unknown_key_type`, `ssh.certificate_as_key`, `ssh.dsa_key`
 */
export function parsePublicKeyBlob(bytes: Uint8Array): PublicKey {
  const blob = Buffer.from(bytes) as SshBlob;
  const fields = parseKeyFields(blob);
  return {
    type: fields.type.name,
    blob,
    bits: fields.bits,
    ...(fields.application === undefined ? {} : { application: fields.application }),
  };
}

/** The checked parts of a plain key blob. @throws as `parsePublicKeyBlob` */
export function parseKeyFields(blob: Uint8Array): KeyFields {
  const reader = new SshReader(blob, 'public key');
  const type = requireKeyType(reader.string(maxTypeNameBytes).toString('latin1'));
  const fields = readKeyFields(reader, type);
  reader.end();
  return fields;
}

/** Reads and checks what follows the type name of a key, or the nonce of a certificate. @throws as `parsePublicKeyBlob` */
export function readKeyFields(reader: SshReader, type: KeyType): KeyFields {
  if (type.family === 'rsa') return readRsa(reader, type);
  const material = type.curve === undefined ? readEd25519(reader) : readPoint(reader, type.curve);
  const bits = type.curve?.bits ?? 256;
  if (!type.securityKey) return { type, bits, material };
  return { type, bits, material, application: reader.text(maxApplicationBytes) };
}

/** `SHA256:` and the unpadded base64 of the hash of a plain key blob, as `ssh-keygen -l` prints it. */
export function fingerprint(blob: Uint8Array): string {
  return `SHA256:${hash('sha256', blob, 'base64').slice(0, 43)}`;
}

/** One line as in a `.pub` file, without a line end: type, base64, and the comment where there is one. */
export function formatPublicKey(key: PublicKey, comment = key.comment): string {
  const line = `${key.type} ${key.blob.toString('base64')}`;
  return comment === undefined || comment === '' ? line : `${line} ${printable(comment, 256)}`;
}

function requireKeyType(name: string): KeyType {
  const type = findKeyType(name);
  if (type !== undefined) return type;
  if (findCertificateKeyType(name) !== undefined || /-cert-v\d\d@/.test(name)) {
    throw new CodedError(
      'ssh.certificate_as_key',
      'This is a certificate, where a plain public key is needed.',
      {
        next: 'Give the key itself: the .pub file without “-cert” in its name.',
      },
    );
  }
  if (name === 'ssh-dss') {
    throw new CodedError('ssh.dsa_key', 'This is a DSA key. OpenSSH no longer accepts DSA keys.', {
      next: 'Make a new key with: ssh-keygen -t ed25519',
    });
  }
  throw new CodedError(
    'ssh.unknown_key_type',
    `“${printable(name, maxTypeNameBytes)}” is not a known key type.`,
    {
      next: 'Use an Ed25519, ECDSA, RSA or FIDO (sk-) key, e.g. from: ssh-keygen -t ed25519',
    },
  );
}

function readEd25519(reader: SshReader): Buffer {
  const point = reader.string(32);
  if (point.length !== 32) throw reader.malformed('holds an Ed25519 key that is not 32 bytes long');
  if (refusedEd25519.has(point.toString('hex')))
    throw invalidKey('This Ed25519 key is not a point that a private key could belong to.');
  return point;
}

function readPoint(reader: SshReader, curve: Curve): Buffer {
  if (reader.string(16).toString('latin1') !== curve.sshName)
    throw reader.malformed('names another curve than its type');
  const size = curve.coordinateBytes;
  const point = reader.string(1 + 2 * size);
  if (point.length !== 1 + 2 * size || point[0] !== 4)
    throw reader.malformed('holds a point that is not in uncompressed form');
  const x = BigInt(`0x${point.toString('hex', 1, 1 + size)}`);
  const y = BigInt(`0x${point.toString('hex', 1 + size)}`);
  const { p, b } = curve;
  if (x >= p || y >= p || (y * y - (x * x - 3n) * x - b) % p !== 0n)
    throw invalidKey(`This key is not a point on the curve ${curve.sshName}.`);
  return point;
}

function readRsa(reader: SshReader, type: KeyType): KeyFields {
  const exponent = reader.mpint();
  const material = reader.mpint();
  const bits = material.length * 8 - Math.clz32(material[0] ?? 0) + 24;
  if (bits < 1024 || bits > 16_384)
    throw invalidKey(`This RSA key has ${bits} bits; keys have between 1024 and 16384.`);
  if (!isOdd(material)) throw invalidKey('The modulus of this RSA key is even: it is no RSA key.');
  // OpenSSL verifies with no exponent over 64 bits once the modulus passes 3072 (OPENSSL_RSA_MAX_PUBEXP_BITS).
  if (exponent.length > 8 || !isOdd(exponent) || (exponent.length === 1 && exponent[0] === 1))
    throw invalidKey('The public exponent of this RSA key must be an odd number over 1, of at most 64 bits.');
  return { type, bits, material, exponent };
}

function isOdd(magnitude: Buffer): boolean {
  return ((magnitude.at(-1) ?? 0) & 1) === 1;
}

function invalidKey(message: string): CodedError {
  return new CodedError('ssh.invalid_key', message, { next: 'Make a new key with: ssh-keygen -t ed25519' });
}
