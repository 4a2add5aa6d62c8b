import { CodedError } from '../kernel/index.ts';
import type { Authentication, RefusalReason } from './person.ts';

type Refused = Extract<Authentication, { outcome: 'refused' }>;

const wording: Partial<
  Record<RefusalReason, readonly [code: `identity.${string}`, message: string, next: string]>
> = {
  disabled: ['identity.account_disabled', 'Your account is disabled.', 'Ask your directory administrator.'],
  locked: [
    'identity.account_locked',
    'Your account is locked in the directory.',
    'Wait until the lock ends, or ask your directory administrator.',
  ],
  account_expired: [
    'identity.account_expired',
    'Your account has expired.',
    'Ask your directory administrator.',
  ],
  password_expired: [
    'identity.password_expired',
    'Your password has expired.',
    'Change it where you usually do, then log in again.',
  ],
  must_change_password: [
    'identity.must_change_password',
    'You must change your password before you can log in.',
    'Change it where you usually do, then log in again.',
  ],
  outside_logon_hours: [
    'identity.outside_logon_hours',
    'Your account may not log in at this time of the week.',
    'Log in within your logon hours, or ask your directory administrator.',
  ],
};

/**
 * What the person is told about a refusal. Only somebody who proved the right password learns why; everybody else gets the
 * one `identity.login_refused`, whether the account exists or not. The log gets `refused.reason`.
 */
export function loginRefusal(refused: Refused): CodedError {
  const known = refused.passwordProved ? wording[refused.reason] : undefined;
  if (known !== undefined) return new CodedError(known[0], known[1], { next: known[2] });
  return new CodedError('identity.login_refused', 'The name or the password is not right.', {
    next: 'Check both and try again; if it goes on, ask your administrator to look the attempt up in the log.',
  });
}
