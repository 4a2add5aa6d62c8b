import { CodedError } from '../kernel/index.ts';

/** A serial or a run of serials that no KRL may hold. */
export function badSerial(why: string): CodedError {
  return new CodedError('ssh.krl_bad_serial', `The revocation list cannot hold this: ${why}.`, {
    next: 'Revoke serials from 1 to 2^64-1; revoke a certificate with serial 0 by its key id or its key.',
  });
}

/** A field that cannot be written. */
export function badValue(why: string): CodedError {
  return new CodedError('ssh.krl_bad_value', `The revocation list cannot be written: ${why}.`, {
    next: 'Correct the entry; the list published before stays in force.',
  });
}

/** Beyond `krlLimit`, when writing and when reading. */
export function tooLarge(what: string): CodedError {
  return new CodedError('ssh.krl_too_large', `The revocation list holds too much: ${what}.`, {
    next: 'Drop entries of expired certificates, or retire the CA key and revoke it as a whole.',
  });
}

/** Bytes that are no KRL of the one format version. */
export function notAKrl(reason: 'magic' | 'version'): CodedError {
  const why =
    reason === 'magic' ? 'it does not start with SSHKRL' : 'its format version or flags are not known';
  return new CodedError(`ssh.krl_${reason}`, `This is not a revocation list that can be read: ${why}.`, {
    next: 'Fetch the list again: with an empty file sshd lets revoked keys in, with a foreign one it lets nobody in.',
  });
}

/** A section that OpenSSH refuses, skips, or does not check. */
export function refusedSection(
  reason: 'signature' | 'extension' | 'unknown_section',
  type: number,
): CodedError {
  return new CodedError(
    `ssh.krl_${reason}`,
    `The revocation list holds a section of type ${type}, which sshd refuses or does not check.`,
    { next: 'Write the list again without it; a signature belongs beside the list, as SSHSIG.' },
  );
}

/** A bitmap over `krlLimit.bitmapBits`. */
export function badBitmap(): CodedError {
  return new CodedError(
    'ssh.krl_bad_bitmap',
    'The revocation list holds a bitmap that sshd cannot read: with it, sshd would refuse every key.',
    { next: 'Write the list with this broker: ssh-keygen -k writes such bitmaps and cannot read them back.' },
  );
}

/** An explicit key or a hash of a wrong length. */
export function badHash(sizeBytes: number): CodedError {
  return new CodedError(
    'ssh.krl_bad_hash',
    `The revocation list holds a key or fingerprint of ${sizeBytes} bytes.`,
    { next: 'Write the list again: while one entry is of a wrong length, sshd refuses every key.' },
  );
}
