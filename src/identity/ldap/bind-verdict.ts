import type { RefusalReason } from '../person.ts';
import type { BindAnswer } from './connection.ts';

/** What a bind says about the person; undefined when it says something about the server instead. */
export type BindVerdict =
  | { readonly outcome: 'accepted' }
  | { readonly outcome: 'refused'; readonly reason: RefusalReason; readonly passwordProved: boolean }
  | undefined;

export function refused(reason: RefusalReason, passwordProved: boolean): BindVerdict {
  return { outcome: 'refused', reason, passwordProved };
}

const success = 0;
const constraintViolation = 19;
const noSuchObject = 32;
const inappropriateAuthentication = 48;
const invalidCredentials = 49;
const insufficientAccessRights = 50;
const unwillingToPerform = 53;

/**
 * Reads the answer of an RFC 4511 server with or without the ppolicy control. `passwordExpired` (0) and `changeAfterReset`
 * (2) come only after the password was found right (slapd ppolicy_bind_response); `accountLocked` (1) comes before it is
 * looked at.
 * @see draft-behera-ldap-password-policy-10 section 8.1
 */
export function readBind(answer: BindAnswer): BindVerdict {
  if (answer.policyError === 2 && answer.resultCode === success) return refused('must_change_password', true);
  switch (answer.resultCode) {
    case success:
      // A server that says “expired” or “locked” and yet success is not taken at its word.
      if (answer.policyError === 0) return refused('password_expired', true);
      if (answer.policyError === 1) return refused('locked', false);
      return { outcome: 'accepted' };
    case invalidCredentials:
      if (answer.policyError === 0) return refused('password_expired', true);
      if (answer.policyError === 1) return refused('locked', false);
      return refused('wrong_password', false);
    case noSuchObject:
    case inappropriateAuthentication: // The entry has no password.
    case insufficientAccessRights: // slapd, where nobody may authenticate as this entry.
      return refused('wrong_password', false);
    case constraintViolation: // 389 Directory Server: “Exceed password retry limit”.
      return refused('locked', false);
    case unwillingToPerform: // 389 Directory Server: “Account inactivated”.
      return refused('disabled', false);
    default:
      return undefined;
  }
}
