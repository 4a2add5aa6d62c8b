import { CodedError, decodeBase64, isCodedError, printable } from '../kernel/index.ts';
import type { SshBlob } from '../kernel/index.ts';
import { maxOptionsBytes, parseOptions } from './certificate-options.ts';
import { findCertificateKeyType } from './key-types.ts';
import type { KeyType } from './key-types.ts';
import { parsePublicKeyBlob, readKeyFields } from './public-key.ts';
import type { PublicKey } from './public-key.ts';
import { maxSignatureBytes, parseSignature } from './signature.ts';
import type { SignatureFields } from './signature.ts';
import { SshReader, SshWriter } from './wire.ts';

/** What a certificate says, without its CA and signature. */
export interface CertificateFields {
  readonly key: PublicKey;
  /** 32 random bytes, as ssh-keygen writes; 16 to 64 are read. */
  readonly nonce: Uint8Array;
  readonly serial: bigint;
  readonly kind: 'user' | 'host';
  readonly keyId: string;
  readonly principals: readonly string[];
  /** Seconds since the epoch; valid when after <= now < before. 0 and 2^64-1 mean always and forever. */
  readonly validAfter: bigint;
  readonly validBefore: bigint;
  /** Name to value; flags have the empty string. */
  readonly criticalOptions: ReadonlyMap<string, string>;
  readonly extensions: ReadonlyMap<string, string>;
}

/**
 * A certificate whose form is right in every respect. Nothing about trust, time or the signature's truth is decided yet, and its
 * texts are as the CA wrote them: `printable` comes before a terminal.
 */
export interface Certificate extends CertificateFields {
  /** Type name on the wire, e.g. `ssh-ed25519-cert-v01@openssh.com`. */
  readonly type: string;
  readonly caKey: PublicKey;
  readonly signature: SignatureFields;
  readonly blob: Buffer;
  /** The signed bytes: a view into `blob`, from the type name through the CA key. */
  readonly toBeSigned: Buffer;
}

export const maxPrincipals = 256;
const maxCertificateBytes = 256 * 1024;
const maxPrincipalBytes = 1024;
const kinds: ReadonlyMap<number, 'user' | 'host'> = new Map([
  [1, 'user'],
  [2, 'host'],
]);

/**
 * Reads a certificate from its wire form, or from a line as in a `-cert.pub` file, as strictly as PROTOCOL.certkeys and the
 * OpenSSH reader together allow: inner and outer type agree, options ascend, nothing trails, the CA key is a plain key, and
 * the signature algorithm belongs to it. The result owns its bytes.
 * @throws CodedError `ssh.malformed`, `ssh.not_a_certificate`, `ssh.ca_is_certificate`, `ssh.wrong_signature_algorithm`,
 *   and as `parsePublicKeyBlob` for the two keys inside
 * @see draft-ietf-sshm-cert-01; OpenSSH sshkey.c cert_parse
 */
export function parseCertificate(input: Uint8Array | string): Certificate {
  const blob = typeof input === 'string' ? certificateBlobOfLine(input) : Buffer.from(checkSize(input));
  const reader = new SshReader(blob, 'certificate');
  const typeName = reader.string(64).toString('latin1');
  const keyType = findCertificateKeyType(typeName);
  if (keyType === undefined) throw notACertificate(`its type is “${printable(typeName, 64)}”`);

  const nonce = reader.string(64);
  if (nonce.length < 16) throw reader.malformed('has a nonce under 16 bytes');
  const key = readSubjectKey(reader, keyType, blob);
  const serial = reader.uint64();
  const kind = kinds.get(reader.uint32());
  if (kind === undefined) throw reader.malformed('is neither for a user nor for a host');
  const keyId = reader.text();
  const principals = parsePrincipals(reader.nested('principals of the certificate', 64 * 1024));
  const validAfter = reader.uint64();
  const validBefore = reader.uint64();
  const criticalOptions = parseOptions(reader.string(maxOptionsBytes), 'critical options of the certificate');
  const extensions = parseOptions(reader.string(maxOptionsBytes), 'extensions of the certificate');
  // sshd ignores what stands in the reserved field; a CA that uses it means something that we do not know.
  if (reader.string(0).length > 0) throw reader.malformed('uses the reserved field');
  const caKey = parseCaKey(reader.string(4096));
  const toBeSigned = blob.subarray(0, reader.offset);
  const signature = parseSignature(caKey, reader.string(maxSignatureBytes));
  reader.end();
  const fields = { key, nonce, serial, kind, keyId, principals, validAfter, validBefore };
  return { type: typeName, ...fields, criticalOptions, extensions, caKey, signature, blob, toBeSigned };
}

/** One line as in a `-cert.pub` file, without a line end. @throws CodedError `ssh.malformed`, `ssh.not_a_certificate` */
export function formatCertificate(blob: Uint8Array, comment = ''): string {
  const typeName = new SshReader(blob, 'certificate').string(64).toString('latin1');
  if (findCertificateKeyType(typeName) === undefined) throw notACertificate('it has the type of a plain key');
  const line = `${typeName} ${Buffer.from(blob.buffer, blob.byteOffset, blob.byteLength).toString('base64')}`;
  return comment === '' ? line : `${line} ${printable(comment, 256)}`;
}

/** The plain key that a CA signs with. @throws CodedError `ssh.ca_is_certificate`, and as `parsePublicKeyBlob` */
export function parseCaKey(blob: Uint8Array): PublicKey {
  try {
    return parsePublicKeyBlob(blob);
  } catch (cause) {
    if (isCodedError(cause, 'ssh.certificate_as_key')) {
      // A certificate in the place of the CA key would let every certificate holder sign (CVE-2025-49825).
      throw new CodedError(
        'ssh.ca_is_certificate',
        'The CA key is itself a certificate, which is never allowed.',
        {
          next: 'Use the plain public key of the CA.',
          cause,
        },
      );
    }
    throw cause;
  }
}

function readSubjectKey(reader: SshReader, keyType: KeyType, blob: Buffer): PublicKey {
  const start = reader.offset;
  const { bits, application } = readKeyFields(reader, keyType);
  const fields = blob.subarray(start, reader.offset);
  const plain = new SshWriter(fields.length + 64).string(keyType.name).raw(fields).finish() as SshBlob;
  return { type: keyType.name, blob: plain, bits, ...(application === undefined ? {} : { application }) };
}

function parsePrincipals(reader: SshReader): readonly string[] {
  const principals: string[] = [];
  while (reader.remaining > 0) {
    if (principals.length === maxPrincipals)
      throw reader.malformed(`names more than ${maxPrincipals} principals`);
    const principal = reader.text(maxPrincipalBytes);
    if (principal === '') throw reader.malformed('holds an empty principal');
    principals.push(principal);
  }
  return principals;
}

function checkSize<T extends { readonly length: number }>(input: T): T {
  if (input.length > 2 * maxCertificateBytes) throw notACertificate('it is far too long');
  return input;
}

function certificateBlobOfLine(line: string): Buffer {
  const [typeName, base64, ...comment] = checkSize(line)
    .trim()
    .split(/[ \t]+/);
  const blob = decodeBase64(base64 ?? '');
  if (typeName === undefined || blob === undefined || blob.length === 0 || comment.join('').includes('\n'))
    throw notACertificate('it is not one line of type, base64 and comment');
  if (new SshReader(blob, 'certificate').string(64).toString('latin1') !== typeName)
    throw notACertificate('its line and its content name different types');
  return blob;
}

function notACertificate(why: string): CodedError {
  return new CodedError('ssh.not_a_certificate', `This is not an SSH certificate: ${why}.`, {
    next: 'Give the contents of a file whose name ends in “-cert.pub”.',
  });
}
