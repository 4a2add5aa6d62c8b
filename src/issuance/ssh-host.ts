import { parseAddress, parseKeyId, type KeyId, type RandomBytes, type Serial } from '../kernel/index.ts';
import type { Signer } from '../keys/index.ts';
import type { CertificateFields, PublicKey } from '../ssh/index.ts';
import { broken, createSshSigning, type LintedSshCertificate } from './ssh-signing.ts';

/** Longest life of a host certificate, in seconds. */
export const maxHostCertificateSeconds = 90n * 24n * 3600n;
const backdateSeconds = 60n;

/** What a host was found to be: exact names and addresses, and for how long. */
export interface HostGrant {
  /** Names in lower case, then addresses. */
  readonly principals: readonly string[];
  /** Seconds; valid when after <= now < before. */
  readonly validAfter: bigint;
  readonly validBefore: bigint;
}

/** A host certificate that passed every rule and may be signed, once. Only `lint` makes one. */
export type LintedSshHost = LintedSshCertificate;

/** Makes SSH host certificates of one CA, which signs nothing else. */
export interface SshHostIssuer {
  readonly caKey: PublicKey;
  /** `SHA256:…` */
  readonly caFingerprint: string;
  /** @throws CodedError `issuance.lint` naming the rule, `ssh.invalid_certificate` */
  lint(
    grant: HostGrant,
    subject: { readonly key: PublicKey; readonly serial: Serial; readonly keyId: KeyId },
    nowMs: number,
  ): LintedSshHost;
  /** The certificate in wire format. @throws CodedError `issuance.not_linted` */
  sign(linted: LintedSshHost): Buffer | Promise<Buffer>;
}

/** From a minute back, for that many seconds. */
export function hostGrant(principals: readonly string[], nowMs: number, seconds: number): HostGrant {
  const nowSeconds = BigInt(Math.floor(nowMs / 1000));
  return { principals, validAfter: nowSeconds - backdateSeconds, validBefore: nowSeconds + BigInt(seconds) };
}

/** @throws CodedError `ssh.wrong_signature_algorithm`, `ssh.unsupported_key` for a CA key that cannot sign certificates. */
export function createSshHostIssuer(options: {
  readonly signer: Signer;
  readonly random: RandomBytes;
}): SshHostIssuer {
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
        kind: 'host',
        keyId: parseKeyId(keyId),
        principals: grant.principals,
        validAfter: grant.validAfter,
        validBefore: grant.validBefore,
        // Any critical option makes the ssh client refuse a host; extensions mean nothing to it.
        criticalOptions: new Map(),
        extensions: new Map(),
      };
      checkPromises(fields, caKey, BigInt(Math.floor(nowMs / 1000)));
      return signing.prepare(fields);
    },
  };
}

/** No wildcard: OpenSSH before 10.3 takes `*` for a letter like any other, and 10.3 for any host. */
const exactName = /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/;

function checkPromises(fields: CertificateFields, caKey: PublicKey, nowSeconds: bigint): void {
  const { principals, validAfter, validBefore, serial, key } = fields;
  if (principals.length === 0) throw broken('it names no host, which older clients take for any host');
  if (new Set(principals).size !== principals.length) throw broken('it names a host twice');
  for (const principal of principals)
    if (parseAddress(principal) === undefined && !exactName.test(principal))
      throw broken('one of its names is no exact name or address');
  if (serial < 1n) throw broken('its serial is not positive');
  if (validAfter >= validBefore) throw broken('its validity is empty');
  if (validBefore - validAfter > maxHostCertificateSeconds + backdateSeconds)
    throw broken('it lives longer than 90 days');
  if (validAfter > nowSeconds) throw broken('it begins in the future');
  if (validBefore <= nowSeconds) throw broken('it is dead already');
  if (key.blob.equals(caKey.blob)) throw broken('it certifies the CA key itself');
}
