import { createPublicKey, verify } from 'node:crypto';
import { CodedError, decodeBase64, parseRfc3339, sha256 } from '../kernel/index.ts';
import { fingerprint, publicKeyFromKeyObject } from '../ssh/index.ts';
import { decodePem, readCertificate } from '../x509/index.ts';
import { readTlsSubject, type TlsSubject } from './tls-request.ts';

const toleranceMs = 120_000;

/** What the key of a certificate signs, with SHA-256, to have it renewed: nothing else that it ever signs looks like it. */
export function renewalStatement(serial: string, csr: string, time: string): Buffer {
  return Buffer.from(`sallyport-tls-renew-1\n${serial}\n${sha256(csr).toString('hex')}\n${time}\n`);
}

/** A renewal whose proof holds. Whether the certificate is one of ours, its key says: the rows know the fingerprint. */
export interface Renewal {
  /** Hex. */
  readonly serial: string;
  readonly oldKeyFingerprint: string;
  readonly subject: TlsSubject;
}

/**
 * Reads a renewal and checks both proofs: of the old key over the statement, of the new one in the CSR.
 * @throws CodedError `issuance.bad_renewal`, and as `readTlsSubject`
 */
export function readRenewal(
  given: {
    readonly certificate: string;
    readonly csr: string;
    readonly time: string;
    readonly signature: string;
  },
  nowMs: number,
): Renewal {
  const { certificate, csr, time } = given;
  const read = readCertificate(decodePem(certificate, ['CERTIFICATE']));
  const atMs = parseRfc3339(time);
  if (atMs === undefined || Math.abs(atMs - nowMs) > toleranceMs)
    throw bad('its time is not now', 'Set the clock, and sign again: a proof is good for two minutes.');
  const signature = decodeBase64(given.signature);
  const key = publicKeyOf(read.publicKey);
  const statement = renewalStatement(read.serial, csr, time);
  if (signature === undefined || !verify('sha256', statement, key, signature))
    throw bad(
      'it was not made with the key of the certificate',
      'Sign with the key of the certificate that is to be renewed.',
    );
  return {
    serial: read.serial,
    oldKeyFingerprint: fingerprint(publicKeyFromKeyObject(key).blob),
    subject: readTlsSubject(csr, []),
  };
}

function publicKeyOf(info: Buffer): ReturnType<typeof createPublicKey> {
  try {
    return createPublicKey({ key: info, format: 'der', type: 'spki' });
  } catch (error) {
    throw new CodedError('issuance.bad_renewal', 'The key of the certificate cannot be read.', {
      next: 'Send the certificate that is to be renewed, PEM.',
      cause: error,
    });
  }
}

function bad(why: string, next: string): CodedError {
  return new CodedError('issuance.bad_renewal', `The proof of the renewal does not hold: ${why}.`, { next });
}
