import { hash as digest } from 'node:crypto';
import { CodedError, decodeBase64, isCodedError } from '../kernel/index.ts';
import { parsePublicKeyBlob } from './public-key.ts';
import type { PublicKey } from './public-key.ts';
import { maxSignatureBytes, parseSignature, verifySignature } from './signature.ts';
import type { SignatureFields } from './signature.ts';
import { encodeArmour, SshReader, SshWriter } from './wire.ts';

export type SshsigHash = 'sha256' | 'sha512';

/** A signature whose form is right; whether it is true is `verifySshsig`'s to say. */
export interface Sshsig {
  readonly publicKey: PublicKey;
  readonly namespace: string;
  readonly hash: SshsigHash;
  readonly signature: SignatureFields;
}

export type SshsigCheck = 'form' | 'namespace' | 'untrusted_key' | 'touch' | 'signature';

export type SshsigVerdict =
  | { readonly outcome: 'valid'; readonly publicKey: PublicKey }
  | { readonly outcome: 'invalid'; readonly check: SshsigCheck; readonly message: string };

const magic = Buffer.from('SSHSIG');
const version = 1;
const maxArmouredChars = 16 * 1024;
const armour = /^-----BEGIN SSH SIGNATURE-----\r?\n([A-Za-z0-9+/=\r\n]+)-----END SSH SIGNATURE-----\s*$/;

/**
 * The bytes to sign so that `ssh-keygen -Y verify -n NAMESPACE` accepts the result.
 * @throws CodedError `ssh.no_namespace` when the namespace is empty: it is what keeps a signature from being used elsewhere
 * @see OpenSSH PROTOCOL.sshsig
 */
export function encodeSshsigToBeSigned(
  namespace: string,
  message: Uint8Array,
  hash: SshsigHash = 'sha512',
): Buffer {
  if (namespace === '') throw new CodedError('ssh.no_namespace', 'An SSH signature needs a namespace.');
  return new SshWriter(256)
    .raw(magic)
    .string(namespace)
    .string('')
    .string(hash)
    .string(digest(hash, message, 'buffer'))
    .finish();
}

/** The armoured text of a signature. @param signatureBlob from `encodeSignature`, over `encodeSshsigToBeSigned` of the same hash */
export function encodeSshsig(
  publicKey: PublicKey,
  namespace: string,
  signatureBlob: Uint8Array,
  hash: SshsigHash = 'sha512',
): string {
  const writer = new SshWriter(1024).raw(magic).uint32(version).string(publicKey.blob);
  writer.string(namespace).string('').string(hash).string(signatureBlob);
  return encodeArmour('SSH SIGNATURE', writer.finish());
}

/**
 * Reads an armoured signature; the signing key must be a plain key.
 * @throws CodedError `ssh.not_a_signature`, `ssh.malformed`, `ssh.wrong_signature_algorithm`, and as `parsePublicKeyBlob`
 */
export function parseSshsig(armoured: string): Sshsig {
  const base64 = armoured.length > maxArmouredChars ? undefined : armour.exec(armoured)?.[1];
  const blob = decodeBase64((base64 ?? '').replaceAll(/\s/g, ''));
  if (blob === undefined || blob.length === 0) {
    throw new CodedError('ssh.not_a_signature', 'This is not an armoured SSH signature.', {
      next: 'Give the whole “.sig” file, from its BEGIN line to its END line.',
    });
  }
  const reader = new SshReader(blob, 'SSH signature');
  if (!reader.bytes(magic.length).equals(magic)) throw reader.malformed('does not begin with SSHSIG');
  if (reader.uint32() !== version) throw reader.malformed('has another version than 1');
  const publicKey = parsePublicKeyBlob(reader.string(8192));
  const namespace = reader.text(1024);
  if (namespace === '') throw reader.malformed('has no namespace');
  reader.string(1024); // reserved: PROTOCOL.sshsig tells readers to ignore it
  const hash = reader.string(16).toString('latin1');
  if (hash !== 'sha256' && hash !== 'sha512')
    throw reader.malformed('uses another hash than SHA-256 or SHA-512');
  const signature = parseSignature(publicKey, reader.string(maxSignatureBytes));
  reader.end();
  return { publicKey, namespace, hash, signature };
}

/** Whether one of the trusted keys signed this message for this namespace. An sk- signature needs the owner's touch. Never throws. */
export function verifySshsig(
  armoured: string,
  message: Uint8Array,
  expected: { readonly namespace: string; readonly trustedKeys: readonly PublicKey[] },
): SshsigVerdict {
  try {
    const sshsig = parseSshsig(armoured);
    const { publicKey, namespace, hash, signature } = sshsig;
    if (namespace !== expected.namespace)
      return invalid('namespace', 'The signature was made for another purpose.');
    if (!expected.trustedKeys.some((trusted) => trusted.blob.equals(publicKey.blob)))
      return invalid('untrusted_key', 'The key that signed is not trusted here.');
    if (signature.flags !== undefined && (signature.flags & 1) === 0)
      return invalid('touch', 'The signature was made without a touch of the security key.');
    if (!verifySignature(publicKey, signature, encodeSshsigToBeSigned(namespace, message, hash)))
      return invalid('signature', 'The signature does not fit the message.');
    return { outcome: 'valid', publicKey };
  } catch (error) {
    if (isCodedError(error)) return invalid('form', error.message);
    throw error;
  }
}

function invalid(check: SshsigCheck, message: string): SshsigVerdict {
  return { outcome: 'invalid', check, message };
}
