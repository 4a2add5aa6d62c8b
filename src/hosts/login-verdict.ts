import { CodedError } from '../kernel/index.ts';
import { matchesSourceAddress, parseSourceAddressList } from '../ssh/index.ts';
import type { SeenLogin } from './seen-login.ts';

/** What the broker knows of the certificate with the serial that a login names; of our own CAs only. */
export interface IssuedCertificate {
  readonly keyFingerprint: string;
  readonly keyId: string;
  readonly principals: readonly string[];
  /** Seconds; valid when after <= now < before. */
  readonly validAfter: bigint;
  readonly validBefore: bigint;
  readonly revokedMs: number | undefined;
  /** Value of the `source-address` option, if it had one. */
  readonly sourceAddress: string | undefined;
}

export interface LoginFacts {
  /** When sshd let them in, by the host's clock. */
  readonly atMs: number;
  /** Fingerprints of every CA of ours, past ones as well. */
  readonly ourAuthorities: ReadonlySet<string>;
  /** Undefined: we never issued that serial. */
  readonly issued: IssuedCertificate | undefined;
  /** Names that open the account on that host besides its own (AuthorizedPrincipalsFile); undefined: only its own name does. */
  readonly accountPrincipals: readonly string[] | undefined;
  /** Keys that were registered for break-glass before the login. */
  readonly breakGlassKeys: ReadonlySet<string>;
  /** So long a revocation may take to reach the host. */
  readonly graceMs: number;
  /** So far the clocks of host and broker may be apart. */
  readonly skewMs: number;
}

/** In the order in which they are looked for; the first that holds is given. */
export type LoginVerdict =
  | 'password_or_other'
  | 'break_glass'
  | 'static_key'
  | 'foreign_ca'
  | 'unknown_serial'
  | 'mismatch'
  | 'out_of_window'
  | 'revoked_used'
  | 'principal_mismatch'
  | 'source_mismatch'
  | 'explained';

/**
 * Does an issued certificate explain this login? Joined by CA and serial: a key may have had many certificates, and a key id is
 * text that anybody's CA can write.
 */
export function judgeLogin(seen: SeenLogin, facts: LoginFacts): LoginVerdict {
  const { credential } = seen;
  if (credential.kind === 'other') return 'password_or_other';
  if (credential.kind === 'key')
    return facts.breakGlassKeys.has(credential.keyFingerprint) ? 'break_glass' : 'static_key';

  const { certificate } = credential;
  if (!facts.ourAuthorities.has(certificate.caFingerprint)) return 'foreign_ca';
  const { issued, atMs, skewMs, graceMs } = facts;
  if (issued === undefined) return 'unknown_serial';
  if (issued.keyFingerprint !== certificate.keyFingerprint || issued.keyId !== certificate.keyId)
    return 'mismatch';
  if (atMs < Number(issued.validAfter) * 1000 - skewMs || atMs >= Number(issued.validBefore) * 1000 + skewMs)
    return 'out_of_window';
  if (issued.revokedMs !== undefined && atMs > issued.revokedMs + graceMs) return 'revoked_used';
  const opening = facts.accountPrincipals ?? [seen.account];
  if (!issued.principals.some((principal) => opening.includes(principal))) return 'principal_mismatch';
  if (issued.sourceAddress !== undefined && !comesFrom(issued.sourceAddress, seen.address))
    return 'source_mismatch';
  return 'explained';
}

function comesFrom(sourceAddress: string, address: string): boolean {
  try {
    return matchesSourceAddress(parseSourceAddressList(sourceAddress), address);
  } catch (error) {
    // An option that cannot be read opens nothing, as at sshd.
    if (error instanceof CodedError) return false;
    throw error;
  }
}
