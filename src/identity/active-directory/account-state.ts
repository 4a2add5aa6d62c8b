import type { DirectoryEntry } from '../ldap/entry.ts';
import type { RefusalReason } from '../person.ts';
import { filetimeToMs } from './identifiers.ts';

export const stateAttributes: readonly string[] = [
  'userAccountControl',
  'msDS-User-Account-Control-Computed',
  'accountExpires',
  'pwdLastSet',
  'logonHours',
];

/** [MS-ADTS] section 2.2.16, userAccountControl bits. */
const accountDisabled = 0x2;
const lockout = 0x10;
const passwordExpired = 0x80_0000;

/** accountExpires: both mean never ([MS-ADA1] section 2.1). */
const never = new Set(['0', '9223372036854775807']);

/**
 * What a domain controller would say to the right password, from the account's attributes. Lockout and password expiry come
 * from the computed attribute: the controller has already weighed policies, lockout times and flags there
 * ([MS-ADTS] section 3.1.1.4.5.17).
 */
export function accountState(entry: DirectoryEntry, nowMs: number): RefusalReason | undefined {
  const control = flags(entry, 'userAccountControl');
  const computed = flags(entry, 'msDS-User-Account-Control-Computed');
  // Both are always there; an account whose state cannot be read is not let in.
  if (control === undefined || computed === undefined) return 'disabled';
  if ((control & accountDisabled) !== 0) return 'disabled';
  const [expires = '0'] = entry.text('accountExpires');
  if (!never.has(expires) && (filetimeToMs(expires) ?? -Infinity) <= nowMs) return 'account_expired';
  if ((computed & lockout) !== 0) return 'locked';
  if ((computed & passwordExpired) !== 0)
    return entry.text('pwdLastSet')[0] === '0' ? 'must_change_password' : 'password_expired';
  const [hours] = entry.bytes('logonHours');
  return hours !== undefined && !isWithinLogonHours(hours, nowMs) ? 'outside_logon_hours' : undefined;
}

/** False where the service account lost the right to read what `accountState` then takes for “disabled”. */
export function isStateReadable(entry: DirectoryEntry): boolean {
  return (
    flags(entry, 'userAccountControl') !== undefined &&
    flags(entry, 'msDS-User-Account-Control-Computed') !== undefined
  );
}

/**
 * logonHours: 21 bytes, one bit for each hour of the week in UTC from Sunday 00:00, least significant bit first. Empty means
 * always; any other length cannot be read and means never. @see [MS-SAMR] section 2.2.6.5
 */
export function isWithinLogonHours(hours: Buffer, nowMs: number): boolean {
  if (hours.length === 0) return true;
  if (hours.length !== 21) return false;
  const now = new Date(nowMs);
  const hour = now.getUTCDay() * 24 + now.getUTCHours();
  return ((hours[hour >> 3] ?? 0) & (1 << (hour & 7))) !== 0;
}

function flags(entry: DirectoryEntry, attribute: string): number | undefined {
  const [text] = entry.text(attribute);
  return text !== undefined && /^-?\d{1,10}$/.test(text) ? Number(text) : undefined;
}
