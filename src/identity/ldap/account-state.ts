import type { RefusalReason } from '../person.ts';
import type { DirectoryEntry } from './entry.ts';
import { parseGeneralizedTime } from './generalized-time.ts';

/** What the attributes of an account may say about it; all but the first two are operational and need read rights. */
export const stateAttributes: readonly string[] = [
  'shadowExpire',
  'nsAccountLock',
  'krbPrincipalExpiration',
  'pwdAccountLockedTime',
  'pwdReset',
  'pwdChangedTime',
  'pwdStartTime',
  'pwdEndTime',
  'pwdPolicySubentry',
];

/** Limits of a ppolicy entry, in seconds; 0 is “never ends”. */
export interface PasswordPolicy {
  readonly maxAgeSeconds: number;
  readonly lockoutSeconds: number;
}

export const policyAttributes: readonly string[] = ['pwdMaxAge', 'pwdLockoutDuration'];

export function readPolicy(entry: DirectoryEntry): PasswordPolicy {
  const seconds = (attribute: string): number => {
    const value = Number(entry.text(attribute)[0] ?? '0');
    return Number.isSafeInteger(value) && value > 0 ? value : 0;
  };
  return { maxAgeSeconds: seconds('pwdMaxAge'), lockoutSeconds: seconds('pwdLockoutDuration') };
}

/** What a server need not look at when it checks a password: RFC 2307 expiry, and the marks of 389 DS and FreeIPA. */
export function standingState(entry: DirectoryEntry, nowMs: number): RefusalReason | undefined {
  if (entry.text('nsAccountLock')[0]?.toLowerCase() === 'true') return 'disabled';
  const days = Number(entry.text('shadowExpire')[0] ?? '-1');
  // shadow(5): days since the epoch, -1 and empty never; pam_unix refuses from that day on.
  if (Number.isSafeInteger(days) && days >= 0 && nowMs >= days * 86_400_000) return 'account_expired';
  if (hasPassed(entry, 'krbPrincipalExpiration', nowMs)) return 'account_expired';
  return undefined;
}

/**
 * What ppolicy would say to the right password, from the attributes that it keeps. Without the policy's limits a lockout
 * counts as lasting until the next login ends it, and no password counts as expired.
 * @see draft-behera-ldap-password-policy-10 section 5.3; slapo-ppolicy(5)
 */
export function policyState(
  entry: DirectoryEntry,
  policy: PasswordPolicy | undefined,
  nowMs: number,
): RefusalReason | undefined {
  if (hasPassed(entry, 'pwdEndTime', nowMs)) return 'account_expired';
  const [start] = entry.text('pwdStartTime');
  if (start !== undefined && (parseGeneralizedTime(start) ?? Infinity) > nowMs) return 'disabled';
  const [lockedSince] = entry.text('pwdAccountLockedTime');
  // A lock without an end is no lockout but an administrator's word (slapo-ppolicy(5)), and does not pass by itself.
  if (lockedSince?.startsWith('0000') === true) return 'disabled';
  if (lockedSince !== undefined && isStillLocked(lockedSince, policy, nowMs)) return 'locked';
  if (entry.text('pwdReset')[0]?.toLowerCase() === 'true') return 'must_change_password';
  const changedMs = parseGeneralizedTime(entry.text('pwdChangedTime')[0] ?? '');
  const maxAgeSeconds = policy?.maxAgeSeconds ?? 0;
  if (changedMs !== undefined && maxAgeSeconds > 0 && nowMs > changedMs + maxAgeSeconds * 1000)
    return 'password_expired';
  return undefined;
}

/** A time that cannot be read counts as a lock. */
function isStillLocked(since: string, policy: PasswordPolicy | undefined, nowMs: number): boolean {
  const sinceMs = parseGeneralizedTime(since);
  if (sinceMs === undefined) return true;
  const lockoutSeconds = policy?.lockoutSeconds ?? 0;
  return lockoutSeconds === 0 || nowMs < sinceMs + lockoutSeconds * 1000;
}

function hasPassed(entry: DirectoryEntry, attribute: string, nowMs: number): boolean {
  const [time] = entry.text(attribute);
  return time !== undefined && (parseGeneralizedTime(time) ?? -Infinity) <= nowMs;
}
