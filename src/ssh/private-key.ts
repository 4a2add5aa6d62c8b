import { createPrivateKey, sign, verify } from 'node:crypto';
import type { JsonWebKey, KeyObject } from 'node:crypto';
import { CodedError, decodeBase64, printable } from '../kernel/index.ts';
import type { RandomBytes } from '../kernel/index.ts';
import { publicKeyFromKeyObject, publicKeyToKeyObject } from './key-object.ts';
import { parseKeyFields, parsePublicKeyBlob } from './public-key.ts';
import type { KeyFields, PublicKey } from './public-key.ts';
import { encodeArmour, SshReader, SshWriter } from './wire.ts';

const magic = Buffer.from('openssh-key-v1\0');
const armour =
  /^-----BEGIN OPENSSH PRIVATE KEY-----\n([A-Za-z0-9+/=\n]+)-----END OPENSSH PRIVATE KEY-----\n?$/;
/** An RSA key of 16384 bits takes under 17,000. */
const maxKeyFileChars = 32 * 1024;
const maxCommentBytes = 1024;

/**
 * An unencrypted private key file, for short-lived keys of a client's own; write it with mode 600. Ed25519, ECDSA and RSA.
 * @throws CodedError `ssh.not_a_private_key`, `ssh.unknown_key_type`
 * @see OpenSSH PROTOCOL.key
 */
export function formatOpensshPrivateKey(privateKey: KeyObject, comment: string, random: RandomBytes): string {
  const publicKey = publicKeyOfPrivate(privateKey);
  const check = random(4);
  const section = new SshWriter(1024).raw(check).raw(check).string(publicKey.type);
  writePrivateFields(section, privateKey, publicKey);
  section.string(printable(comment, 256));
  for (let pad = 1; section.length % 8 !== 0; pad += 1) section.byte(pad);
  const file = new SshWriter(2048).raw(magic);
  file.string('none').string('none').string('').uint32(1).string(publicKey.blob).string(section.finish());
  return encodeArmour('OPENSSH PRIVATE KEY', file.finish());
}

/** @throws CodedError `ssh.not_a_private_key`, and as `publicKeyFromKeyObject` */
export function publicKeyOfPrivate(privateKey: KeyObject): PublicKey {
  if (privateKey.type !== 'private')
    throw new CodedError('ssh.not_a_private_key', 'A private key is needed here, and this is not one.');
  return publicKeyFromKeyObject(privateKey);
}

/** The fields behind the type name of a private key, in files and in the agent (RFC 9987): RSA lists n before e here. */
export function writePrivateFields(writer: SshWriter, privateKey: KeyObject, publicKey: PublicKey): void {
  const { type, material, exponent } = parseKeyFields(publicKey.blob);
  if (exponent !== undefined) writer.mpint(material).mpint(exponent);
  else if (type.curve !== undefined) writer.string(type.curve.sshName).string(material);
  writeSecretFields(writer, privateKey, publicKey);
}

/** What the agent wants behind a certificate, which brings the public half itself; Ed25519 repeats it all the same. */
export function writeSecretFields(writer: SshWriter, privateKey: KeyObject, publicKey: PublicKey): void {
  const jwk = privateKey.export({ format: 'jwk' });
  const secret = (field: 'd' | 'qi' | 'p' | 'q'): Buffer => Buffer.from(jwk[field] ?? '', 'base64url');
  const { type, material } = parseKeyFields(publicKey.blob);
  if (type.family === 'rsa')
    writer.mpint(secret('d')).mpint(secret('qi')).mpint(secret('p')).mpint(secret('q'));
  else if (type.family === 'ecdsa') writer.mpint(secret('d'));
  else writer.string(material).string(Buffer.concat([secret('d'), material]));
}

/**
 * Reads back what `formatOpensshPrivateKey` or `ssh-keygen` wrote: one key, without a passphrase. The secret is tried against
 * the public half, so a key that comes back signs for the public key that it claims.
 * @throws CodedError `ssh.encrypted_key` when it has a passphrase, `ssh.unreadable_key` for any other kind of file,
 *   `ssh.malformed`, `ssh.invalid_key` when the halves do not belong together, and as `parsePublicKeyBlob`
 * @see OpenSSH PROTOCOL.key
 */
export function parseOpensshPrivateKey(text: string): KeyObject {
  const base64 = text.length > maxKeyFileChars ? undefined : armour.exec(text)?.[1];
  const bytes = base64 === undefined ? undefined : decodeBase64(base64.replaceAll('\n', ''));
  if (bytes === undefined || !bytes.subarray(0, magic.length).equals(magic)) throw unreadable();
  const file = new SshReader(bytes.subarray(magic.length), 'private key file');
  const [cipher, kdf, kdfOptions] = [file.text(64), file.text(64), file.string(1024)];
  if (cipher !== 'none' || kdf !== 'none' || kdfOptions.length !== 0) throw encrypted();
  if (file.uint32() !== 1) throw file.malformed('holds more than one key, or none');
  const publicKey = parsePublicKeyBlob(file.string());
  const section = file.nested('private key');
  file.end();
  if (section.uint32() !== section.uint32()) throw section.malformed('has two check numbers that differ');
  const privateKey = readPrivateFields(section, publicKey);
  section.string(maxCommentBytes);
  if (section.remaining > 7) throw section.malformed(`has ${section.remaining} trailing bytes`);
  for (let pad = 1; section.remaining > 0; pad += 1)
    if (section.byte() !== pad) throw section.malformed('is padded wrongly');
  return privateKey;
}

/** The mirror of `writePrivateFields` behind the type name; the public half must be the one of the file's head. */
function readPrivateFields(section: SshReader, publicKey: PublicKey): KeyObject {
  const fields = parseKeyFields(publicKey.blob);
  const { type, material, exponent } = fields;
  if (type.securityKey || section.text(64) !== type.name) throw mismatched();
  const expect = (found: Buffer, wanted: Buffer): void => {
    if (!found.equals(wanted)) throw mismatched();
  };
  if (exponent !== undefined) {
    expect(section.mpint(), material);
    expect(section.mpint(), exponent);
  } else {
    if (type.curve !== undefined) expect(section.string(16), Buffer.from(type.curve.sshName));
    expect(section.string(256), material);
  }
  return createChecked(readSecret(section, fields), publicKey);
}

/** @returns the key as a JSON Web Key (RFC 7517, 7518 section 6, 8037 section 2) */
function readSecret(section: SshReader, { type, material, exponent }: KeyFields): JsonWebKey {
  const text = (value: Buffer): string => value.toString('base64url');
  if (exponent !== undefined) {
    const [d, qi, p, q] = [section.mpint(), section.mpint(), section.mpint(), section.mpint()];
    const [dp, dq] = [p, q].map((prime) => remainder(d, prime));
    if (dp === undefined || dq === undefined) throw mismatched();
    const secret = { d: text(d), p: text(p), q: text(q), dp: text(dp), dq: text(dq), qi: text(qi) };
    return { kty: 'RSA', n: text(material), e: text(exponent), ...secret };
  }
  if (type.curve !== undefined) {
    const size = type.curve.coordinateBytes;
    const d = section.mpint(size + 1);
    if (d.length > size) throw mismatched();
    const point = { x: text(material.subarray(1, 1 + size)), y: text(material.subarray(1 + size)) };
    return { kty: 'EC', crv: type.curve.jwkName, ...point, d: text(leftPad(d, size)) };
  }
  const secret = section.string(64);
  if (secret.length !== 64 || !secret.subarray(32).equals(material)) throw mismatched();
  return { kty: 'OKP', crv: 'Ed25519', x: text(material), d: text(secret.subarray(0, 32)) };
}

/** `value mod (prime - 1)`, which the file leaves out; undefined for what is no prime. */
function remainder(value: Buffer, prime: Buffer): Buffer | undefined {
  const [dividend, divisor] = [value, prime].map((bytes) => BigInt(`0x0${bytes.toString('hex')}`));
  if (dividend === undefined || divisor === undefined || divisor < 3n) return undefined;
  const hex = (dividend % (divisor - 1n)).toString(16);
  return Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex');
}

function leftPad(bytes: Buffer, size: number): Buffer {
  return Buffer.concat([Buffer.alloc(size - bytes.length), bytes]);
}

/** OpenSSL takes halves that do not belong together; a signature shows whether they do. */
function createChecked(key: JsonWebKey, publicKey: PublicKey): KeyObject {
  const probe = Buffer.from('sallyport: do these halves belong together?');
  const hash = key.kty === 'OKP' ? null : 'sha512';
  try {
    const privateKey = createPrivateKey({ key, format: 'jwk' });
    const signature = sign(hash, probe, privateKey);
    if (verify(hash, probe, publicKeyToKeyObject(publicKey), signature)) return privateKey;
  } catch {
    // OpenSSL found numbers that cannot be a key.
  }
  throw mismatched();
}

function mismatched(): CodedError {
  return new CodedError(
    'ssh.invalid_key',
    'The private and the public half of this key do not belong together.',
    {
      next: 'Use another copy of the file, or make a new key.',
    },
  );
}

function encrypted(): CodedError {
  return new CodedError(
    'ssh.encrypted_key',
    'This private key has a passphrase, and can only be read without one.',
    {
      next: 'Put it into the ssh-agent with ssh-add.',
    },
  );
}

function unreadable(): CodedError {
  return new CodedError('ssh.unreadable_key', 'This is not an OpenSSH private key file.', {
    next: 'Give a file as ssh-keygen writes it, beginning with “-----BEGIN OPENSSH PRIVATE KEY-----”.',
  });
}
