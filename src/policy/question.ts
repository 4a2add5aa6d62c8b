import type { Person } from '../identity/index.ts';
import type { PersonId, Principal } from '../kernel/index.ts';
import type { UserCertificateRequest } from './grant.ts';
import type { Policy, Profile } from './policy.ts';

/**
 * Who holds a personal principal now: the person it was last granted to and not released from, or undefined. It should
 * compare without case: on IBM i and Windows `Alice` and `alice` are one account.
 */
export type OwnerOf = (principal: Principal) => PersonId | undefined;

/** A request for `policy explain`: the key, the source address and the reason may be left open. */
export type UserCertificateQuestion = Omit<UserCertificateRequest, 'key' | 'sourceAddress'> &
  Partial<Pick<UserCertificateRequest, 'key' | 'sourceAddress'>>;

/** One person, one request, one profile. */
export interface Question {
  readonly policy: Policy;
  readonly profile: Profile;
  readonly person: Person;
  readonly request: UserCertificateQuestion;
  /** For explain: a reason that is not there is not known yet, rather than not given. */
  readonly reasonIsOpen: boolean;
  readonly ownerOf: OwnerOf;
}
