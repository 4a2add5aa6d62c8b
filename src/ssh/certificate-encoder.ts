import { CodedError, printable } from '../kernel/index.ts';
import { maxPrincipals, parseCaKey } from './certificate.ts';
import type { CertificateFields } from './certificate.ts';
import {
  createOptionsWriter,
  isOptionName,
  isOptionValue,
  knownCriticalOptions,
} from './certificate-options.ts';
import { findKeyType } from './key-types.ts';
import type { PublicKey } from './public-key.ts';
import { keyTypeOf, writeSignature } from './signature.ts';
import type { SignatureAlgorithm } from './signature.ts';
import { parseSourceAddressList } from './source-address.ts';
import { SshWriter } from './wire.ts';

/** Writes the certificates of one CA key. */
export interface CertificateEncoder {
  /**
   * The bytes that the CA signs; the caller owns them.
   * @throws CodedError `ssh.invalid_certificate` for what OpenSSH would not accept, or not as it was meant: no principals or
   *   more than 256, an empty one, NUL in any text, an empty validity, an unknown critical option, any on a host certificate;
   *   `ssh.bad_source_address`
   */
  encodeToBeSigned(fields: CertificateFields): Buffer;
  /** The certificate. @param rawSignature as `encodeSignature` takes it @throws CodedError `ssh.bad_signature_length` */
  finish(toBeSigned: Uint8Array, rawSignature: Uint8Array): Buffer;
}

const maxUint64 = (1n << 64n) - 1n;

/**
 * @throws CodedError `ssh.ca_is_certificate`, or `ssh.wrong_signature_algorithm` when this kind of key cannot sign this way
 * @see draft-ietf-sshm-cert-01
 */
export function createCertificateEncoder(
  caPublicKey: PublicKey,
  algorithm: SignatureAlgorithm,
): CertificateEncoder {
  const caKey = parseCaKey(caPublicKey.blob);
  if (caKey.type !== keyTypeOf(algorithm)) {
    throw new CodedError(
      'ssh.wrong_signature_algorithm',
      `A CA key of type ${caKey.type} cannot sign with ${algorithm}.`,
    );
  }
  // Empty reserved field, then the CA key: the same in every certificate of this CA.
  const tail = new SshWriter().uint32(0).string(caKey.blob).copy();
  const writer = new SshWriter(4096);
  const writeCriticalOptions = createOptionsWriter(checkCriticalOptions);
  const writeExtensions = createOptionsWriter(checkExtensions);
  return {
    encodeToBeSigned(fields) {
      checkFields(fields);
      writeFields(writer.clear(), fields);
      writeCriticalOptions(writer, fields.criticalOptions);
      writeExtensions(writer, fields.extensions);
      return writer.raw(tail).copy();
    },
    finish(toBeSigned, rawSignature) {
      const signature = writer.clear().raw(toBeSigned).beginString();
      writeSignature(writer, algorithm, rawSignature);
      return writer.endString(signature).copy();
    },
  };
}

function writeFields(writer: SshWriter, fields: CertificateFields): void {
  const type = findKeyType(fields.key.type);
  if (type === undefined) throw refused(`its key type ${printable(fields.key.type, 64)} has no certificates`);
  writer.string(type.certificateName).string(fields.nonce);
  // The key fields follow as they stand in the plain blob, behind its type name.
  writer.raw(fields.key.blob.subarray(4 + type.name.length));
  writer
    .uint64(fields.serial)
    .uint32(fields.kind === 'user' ? 1 : 2)
    .string(fields.keyId);
  const principals = writer.beginString();
  for (const principal of fields.principals) writer.string(principal);
  writer.endString(principals).uint64(fields.validAfter).uint64(fields.validBefore);
}

function checkFields(fields: CertificateFields): void {
  const { principals, validAfter, validBefore, serial, criticalOptions } = fields;
  if (fields.nonce.length !== 32) throw refused('its nonce is not 32 bytes long');
  if (principals.length === 0) throw refused('it names no principal, so it would name everyone or no one');
  if (principals.length > maxPrincipals) throw refused(`it names more than ${maxPrincipals} principals`);
  for (const principal of principals)
    if (principal === '' || principal.length > 256 || principal.includes('\0'))
      throw refused('one of its principals is empty, holds NUL or is too long');
  if (fields.keyId.includes('\0') || fields.keyId.length > 1024)
    throw refused('its key id holds NUL or is too long');
  if (serial < 0n || serial > maxUint64) throw refused('its serial does not fit 64 bits');
  if (validAfter < 0n || validBefore > maxUint64 || validAfter >= validBefore)
    throw refused('its validity ends before it begins');
  if (fields.kind === 'host' && criticalOptions.size > 0)
    throw refused('it is for a host and has critical options, which every ssh client refuses');
}

function checkCriticalOptions(options: ReadonlyMap<string, string>): void {
  for (const [name, value] of options)
    if (!knownCriticalOptions.has(name) || !isOptionValue(name, value))
      throw refused(`sshd does not know the critical option ${printable(name, 64)} with this value`);
  const sourceAddress = options.get('source-address');
  if (sourceAddress !== undefined) parseSourceAddressList(sourceAddress);
}

function checkExtensions(options: ReadonlyMap<string, string>): void {
  for (const [name, value] of options)
    if (!isOptionName(name) || !isOptionValue(name, value))
      throw refused(`its extension ${printable(name, 64)} is not well formed`);
}

function refused(why: string): CodedError {
  return new CodedError('ssh.invalid_certificate', `This certificate cannot be written: ${why}.`);
}
