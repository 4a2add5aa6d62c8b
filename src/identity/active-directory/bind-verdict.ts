import type { RefusalReason } from '../person.ts';
import { refused } from '../ldap/bind-verdict.ts';
import type { BindVerdict } from '../ldap/bind-verdict.ts';
import type { BindAnswer } from '../ldap/connection.ts';

/**
 * Win32 error codes that a domain controller writes as `data NNN` behind result 49, in hexadecimal; true where it gives the
 * code only to the right password. 775 (locked out) comes whatever the password was.
 * @see Microsoft Learn, “System Error Codes (1300-1699)” and “(1700-3999)”; [MS-ERREF] section 2.2
 */
const subCodes: ReadonlyMap<string, readonly [RefusalReason, passwordProved: boolean]> = new Map([
  ['525', ['unknown_person', false]], // ERROR_NO_SUCH_USER
  ['52e', ['wrong_password', false]], // ERROR_LOGON_FAILURE
  ['52f', ['not_in_scope', false]], // ERROR_ACCOUNT_RESTRICTION
  ['530', ['outside_logon_hours', true]], // ERROR_INVALID_LOGON_HOURS
  ['531', ['not_in_scope', true]], // ERROR_INVALID_WORKSTATION
  ['532', ['password_expired', true]], // ERROR_PASSWORD_EXPIRED
  ['533', ['disabled', true]], // ERROR_ACCOUNT_DISABLED
  ['534', ['not_in_scope', true]], // ERROR_LOGON_TYPE_NOT_GRANTED
  ['701', ['account_expired', true]], // ERROR_ACCOUNT_EXPIRED
  ['773', ['must_change_password', true]], // ERROR_PASSWORD_MUST_CHANGE
  ['775', ['locked', false]], // ERROR_ACCOUNT_LOCKED_OUT
]);

const invalidCredentials = 49;

/** Reads a domain controller's answer; a sub-code that is not known counts as a wrong password. */
export function readBind(answer: BindAnswer): BindVerdict {
  if (answer.resultCode === 0) return { outcome: 'accepted' };
  if (answer.resultCode !== invalidCredentials) return undefined;
  const code = /\bdata ([0-9a-f]{1,8})\b/i.exec(answer.diagnostic)?.[1]?.toLowerCase() ?? '';
  const [reason, passwordProved] = subCodes.get(code) ?? ['wrong_password', false];
  return refused(reason, passwordProved);
}
