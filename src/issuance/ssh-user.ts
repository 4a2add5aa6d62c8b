import { parseKeyId, parsePrincipal, type KeyId, type RandomBytes, type Serial } from '../kernel/index.ts';
import type { Signer } from '../keys/index.ts';
import type { UserGrant } from '../policy/index.ts';
import type { CertificateFields, PublicKey } from '../ssh/index.ts';
import { broken, createSshSigning, type LintedSshCertificate } from './ssh-signing.ts';

/** Longest life of a user certificate, in seconds, whatever policy says. */
export const maxUserCertificateSeconds = 24n * 3600n;
const backdateSeconds = 60n;
const maxAheadSeconds = 300n;

/** A certificate that passed every rule and may be signed, once. Only `lint` makes one. */
export type LintedSshUser = LintedSshCertificate;

/** Makes SSH user certificates of one CA. */
export interface SshUserIssuer {
  readonly caKey: PublicKey;
  /** `SHA256:…` */
  readonly caFingerprint: string;
  /**
   * Checks the finished certificate against what this house promises of every one, before the CA key is touched.
   * @throws CodedError `issuance.lint` naming the rule, `ssh.invalid_certificate`
   */
  lint(
    grant: UserGrant,
    subject: { readonly key: PublicKey; readonly serial: Serial; readonly keyId: KeyId },
    nowMs: number,
  ): LintedSshUser;
  /** The certificate in wire format. A Buffer at once for Ed25519 and ECDSA CAs. @throws CodedError `issuance.not_linted` */
  sign(linted: LintedSshUser): Buffer | Promise<Buffer>;
}

/** @throws CodedError `ssh.wrong_signature_algorithm`, `ssh.unsupported_key` for a CA key that cannot sign certificates. */
export function createSshUserIssuer(options: {
  readonly signer: Signer;
  readonly random: RandomBytes;
}): SshUserIssuer {
  const signing = createSshSigning(options);
  const { caKey, caFingerprint } = signing;
  return {
    caKey,
    caFingerprint,
    sign: (linted) => signing.sign(linted),
    lint(grant, { key, serial, keyId }, nowMs) {
      const fields: CertificateFields = {
        key,
        nonce: signing.nonce(),
        serial,
        kind: 'user',
        keyId: parseKeyId(keyId),
        principals: grant.principals,
        validAfter: grant.validAfter,
        validBefore: grant.validBefore,
        criticalOptions: grant.criticalOptions,
        extensions: grant.extensions,
      };
      checkPromises(fields, caKey, BigInt(Math.floor(nowMs / 1000)));
      return signing.prepare(fields);
    },
  };
}

/** A short key id that means nothing outside this house: sshd prints key ids unquoted. */
export function newKeyId(random: RandomBytes): KeyId {
  return parseKeyId(`sp-${random(8).toString('hex')}`);
}

function checkPromises(fields: CertificateFields, caKey: PublicKey, nowSeconds: bigint): void {
  const { principals, validAfter, validBefore, serial, key } = fields;
  if (principals.length === 0) throw broken('it names no principal');
  if (new Set(principals).size !== principals.length) throw broken('it names a principal twice');
  for (const principal of principals) parsePrincipal(principal);
  if (serial < 1n) throw broken('its serial is not positive');
  if (validAfter >= validBefore) throw broken('its validity is empty');
  if (validBefore - validAfter > maxUserCertificateSeconds + backdateSeconds)
    throw broken('it lives longer than 24 hours');
  if (validAfter > nowSeconds + maxAheadSeconds) throw broken('it begins more than 5 minutes ahead');
  if (validBefore <= nowSeconds) throw broken('it is dead already');
  if (key.blob.equals(caKey.blob)) throw broken('it certifies the CA key itself');
}
