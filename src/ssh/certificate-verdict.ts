import type { Certificate } from './certificate.ts';
import { knownCriticalOptions } from './certificate-options.ts';
import type { PublicKey } from './public-key.ts';
import { verifySignature } from './signature.ts';
import { matchesSourceAddress, parseSourceAddressList } from './source-address.ts';

/** The checks in their order, which is sshd's: what it looks at first, it names first. */
export type CertificateCheck =
  | 'signature'
  | 'revoked'
  | 'untrusted_ca'
  | 'kind'
  | 'not_yet_valid'
  | 'expired'
  | 'no_principals'
  | 'principal'
  | 'critical_option'
  | 'source_address';

export interface CertificateQuestion {
  readonly trustedCaKeys: readonly PublicKey[];
  /** Seconds since the epoch. */
  readonly nowSeconds: bigint;
  readonly kind: 'user' | 'host';
  /** The account or host that is asked for, compared exactly. Left out: any that the certificate names. */
  readonly principal?: string;
  /** IPv4 or IPv6 text. Left out: a certificate that is bound to addresses is refused. */
  readonly sourceAddress?: string;
  /** True for a certificate, or a key or CA key of it, that is no longer good. */
  readonly isRevoked?: (certificate: Certificate) => boolean;
}

export type CertificateVerdict =
  | { readonly outcome: 'valid' }
  | { readonly outcome: 'invalid'; readonly check: CertificateCheck; readonly message: string };

/**
 * Whether sshd (or ssh, for a host certificate) would take this certificate, and if not, the first check that fails. Stricter
 * than OpenSSH before 10.3: a certificate without principals is never good, and a host name is never a pattern.
 * `verify-required` and a forced command bind the login, not the certificate: they pass here.
 * @throws CodedError `ssh.invalid_key` when OpenSSL cannot use the CA key
 * @see OpenSSH auth2-pubkey.c user_key_allowed, user_cert_trusted_ca; sshkey.c sshkey_cert_check_authority
 */
export function verifyCertificate(
  certificate: Certificate,
  question: CertificateQuestion,
): CertificateVerdict {
  const { caKey, principals, validAfter, validBefore } = certificate;
  const { nowSeconds, principal } = question;
  if (!verifySignature(caKey, certificate.signature, certificate.toBeSigned))
    return invalid('signature', 'The signature of the CA does not fit: the certificate was changed.');
  if (question.isRevoked?.(certificate) === true) return invalid('revoked', 'The certificate was revoked.');
  if (!question.trustedCaKeys.some((trusted) => trusted.blob.equals(caKey.blob)))
    return invalid('untrusted_ca', 'The CA that signed the certificate is not trusted here.');
  if (certificate.kind !== question.kind)
    return invalid('kind', `The certificate is for a ${certificate.kind}, not for a ${question.kind}.`);
  if (nowSeconds < validAfter) return invalid('not_yet_valid', 'The certificate is not valid yet.');
  if (nowSeconds >= validBefore) return invalid('expired', 'The certificate has expired.');
  if (principals.length === 0) return invalid('no_principals', 'The certificate names no principal.');
  if (principal !== undefined && !principals.includes(principal))
    return invalid('principal', 'The certificate does not name this principal.');
  return verifyCriticalOptions(certificate, question.sourceAddress);
}

function verifyCriticalOptions(
  certificate: Certificate,
  sourceAddress: string | undefined,
): CertificateVerdict {
  for (const name of certificate.criticalOptions.keys())
    if (certificate.kind === 'host' || !knownCriticalOptions.has(name))
      return invalid(
        'critical_option',
        `The critical option ${name} is not known for a ${certificate.kind}.`,
      );
  const list = certificate.criticalOptions.get('source-address');
  if (list === undefined) return { outcome: 'valid' };
  if (sourceAddress === undefined || !isAllowedFrom(list, sourceAddress))
    return invalid('source_address', 'The certificate may not be used from this address.');
  return { outcome: 'valid' };
}

function isAllowedFrom(list: string, sourceAddress: string): boolean {
  try {
    return matchesSourceAddress(parseSourceAddressList(list), sourceAddress);
  } catch {
    return false; // A list that cannot be read allows nobody, as in sshd.
  }
}

function invalid(check: CertificateCheck, message: string): CertificateVerdict {
  return { outcome: 'invalid', check, message };
}
