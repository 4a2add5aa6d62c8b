import { CodedError, pooledRandom, type RandomBytes } from '../kernel/index.ts';
import type { Signer } from '../keys/index.ts';
import {
  createCertificateEncoder,
  fingerprint,
  publicKeyFromKeyObject,
  type CertificateFields,
  type PublicKey,
} from '../ssh/index.ts';

/** A certificate that passed every rule and may be signed, once, by the CA whose `lint` made it. */
export interface LintedSshCertificate {
  readonly fields: CertificateFields;
}

/** The CA key of an issuer of SSH certificates: it signs what was prepared here, and each once. */
export interface SshSigning {
  readonly caKey: PublicKey;
  /** `SHA256:…` */
  readonly caFingerprint: string;
  /** 32 random bytes. */
  nonce(): Buffer;
  /** For fields that passed the rules. @throws CodedError `ssh.invalid_certificate` */
  prepare(fields: CertificateFields): LintedSshCertificate;
  /** The certificate in wire format. A Buffer at once for Ed25519 and ECDSA CAs. @throws CodedError `issuance.not_linted` */
  sign(linted: LintedSshCertificate): Buffer | Promise<Buffer>;
}

/** @throws CodedError `ssh.wrong_signature_algorithm`, `ssh.unsupported_key` for a CA key that cannot sign certificates. */
export function createSshSigning({
  signer,
  random,
}: {
  readonly signer: Signer;
  readonly random: RandomBytes;
}): SshSigning {
  const caKey = publicKeyFromKeyObject(signer.publicKey);
  const encoder = createCertificateEncoder(caKey, signer.algorithm);
  const waiting = new WeakMap<LintedSshCertificate, Buffer>();
  const nonce = pooledRandom(random);
  return {
    caKey,
    caFingerprint: fingerprint(caKey.blob),
    nonce: () => nonce(32),
    prepare(fields) {
      const linted = { fields };
      waiting.set(linted, encoder.encodeToBeSigned(fields));
      return linted;
    },
    sign(linted) {
      const toBeSigned = waiting.get(linted);
      if (toBeSigned === undefined)
        throw new CodedError('issuance.not_linted', 'Only a linted certificate is signed, and only once.');
      waiting.delete(linted);
      const signature = signer.sign(toBeSigned);
      return Buffer.isBuffer(signature)
        ? encoder.finish(toBeSigned, signature)
        : signature.then((raw) => encoder.finish(toBeSigned, raw));
    },
  };
}

/** A promise of this house that a finished certificate would break. */
export function broken(why: string): CodedError {
  return new CodedError('issuance.lint', `The certificate was not signed: ${why}.`, {
    next: 'This is a fault of the broker or of its policy file; tell your administrator.',
  });
}
