import type { SshBlob } from '../kernel/index.ts';
import type { SerialRuns } from './krl-serials.ts';

/**
 * A key revocation list: what sshd reads from `RevokedKeys`. An empty list revokes nothing and is a valid file; a file of
 * zero bytes is not one, although sshd takes it for one.
 * @see OpenSSH PROTOCOL.krl
 */
export interface Krl {
  /** Unsigned 64-bit; each published list has a higher one. */
  readonly version: bigint;
  /** Seconds since the epoch, unsigned 64-bit. */
  readonly generatedSeconds: bigint;
  /** At most 4096 bytes of UTF-8 without NUL; `ssh-keygen -Q -l` prints it. */
  readonly comment: string;
  /** Several entries for one CA add up. */
  readonly certificates: readonly KrlCertificates[];
  /** Plain public keys: each revokes the key itself, its certificates, and every certificate that it signed as a CA. */
  readonly keys: readonly SshBlob[];
  /** SHA-256 of plain key blobs, 32 bytes each: the same effect as the key. */
  readonly sha256: readonly Buffer[];
}

/** Certificates of one CA. */
export interface KrlCertificates {
  /** Plain key of the CA; undefined means every CA. */
  readonly caKey: SshBlob | undefined;
  /** Single serials in any order, or runs of them. Serial 0 cannot be revoked by serial: use the key id. */
  readonly serials: BigUint64Array | SerialRuns;
  /** Compared byte for byte as UTF-8; at most 4096 bytes each, no NUL. */
  readonly keyIds: readonly string[];
}

/** What `parseKrl` read: the list in normal form, and the question sshd asks of it. */
export interface ParsedKrl extends Krl {
  /** One entry per CA, with serials as runs. */
  readonly certificates: readonly (KrlCertificates & { readonly serials: SerialRuns })[];
  /** SHA-1 of plain key blobs, 20 bytes each: read, never written. */
  readonly sha1: readonly Buffer[];
  /** Answers as sshd would, in logarithmic time. */
  isRevoked(subject: KrlSubject): KrlVerdict;
}

/** A plain key, or a certificate: its subject key together with its CA key, serial and key id. */
export interface KrlSubject {
  readonly key: SshBlob;
  /** Without it, serial and key id meet only the entries for every CA. */
  readonly caKey?: SshBlob;
  readonly serial?: bigint;
  readonly keyId?: string;
}

export type KrlVerdict =
  | { readonly revoked: true; readonly by: 'serial' | 'key_id' | 'key' | 'sha256' | 'sha1' | 'ca' }
  | { readonly revoked: false };

/** `SSHKRL\n\0` */
export const krlMagic = Buffer.from('SSHKRL\n\0', 'latin1');

/** Section and subsection types of PROTOCOL.krl. */
export const krlSection = {
  certificates: 1,
  keys: 2,
  sha1: 3,
  signature: 4,
  sha256: 5,
  extension: 255,
} as const;
export const krlSubsection = {
  list: 0x20,
  range: 0x21,
  bitmap: 0x22,
  keyIds: 0x23,
  extension: 0x39,
} as const;

/**
 * Bounds that writer and reader share, so that what is written can be read back. All are far above use: a list of 1M single
 * serials costs each sshd login about 4 s.
 */
export const krlLimit = {
  bytes: 64 * 1024 * 1024,
  /** Runs of serials over all CAs: 16 bytes of memory each. */
  runs: 8 * 1024 * 1024,
  /** Keys, hashes and key ids together. */
  entries: 1024 * 1024,
  authorities: 1024,
  textBytes: 4096,
  keyBytes: 16 * 1024,
  /** OpenSSH writes wider bitmaps but cannot read them ("bignum is too large"), and then refuses every key login. */
  bitmapBits: 16_384,
} as const;
