import type { PersonId } from '../kernel/index.ts';
import type { DirectoryWatch, Standing, WatchMethod } from './watch.ts';

/** A group as its directory names it beyond doubt. Policy compares DNs and SIDs, never a bare CN. */
export interface Group {
  /** `S-1-5-…` in Active Directory. */
  readonly sid?: string;
  /** Distinguished name, as the directory wrote it. */
  readonly dn?: string;
  /** Name within a built-in directory, where names are unique. Not set by other directories. */
  readonly name?: string;
}

/** Who somebody is, as the directory said just now. Directories never return a person who may not log in. */
export interface Person {
  readonly id: PersonId;
  /** Name of the configured directory. */
  readonly directory: string;
  /** The canonical login name that the directory holds, not what was typed. */
  readonly login: string;
  readonly displayName?: string;
  /** Attribute names in lower case; each value list as the directory ordered it. Built-in people have `uid`. */
  readonly attributes: ReadonlyMap<string, readonly string[]>;
  /** Direct and inherited groups. */
  readonly groups: readonly Group[];
}

/** Why a directory does not let somebody in. Goes to the log by name. */
export type RefusalReason =
  | 'unknown_person'
  | 'wrong_password'
  | 'disabled'
  | 'locked'
  | 'account_expired'
  | 'password_expired'
  | 'must_change_password'
  | 'outside_logon_hours'
  | 'ambiguous_name'
  | 'not_in_scope';

export type Authentication =
  | { readonly outcome: 'accepted'; readonly person: Person }
  | {
      readonly outcome: 'refused';
      readonly reason: RefusalReason;
      /** True only where the right password was proved, so that the person may be told the reason without revealing an account. */
      readonly passwordProved: boolean;
      /** Set when the directory knows who was meant. */
      readonly personId?: PersonId;
    };

/** What is known of whoever tries to log in, before anything is proved. */
export interface LoginStanding {
  /** This person logged in from this address within 30 days. */
  readonly trusted: boolean;
  /** The network that the attempt comes from: a /24 of IPv4, a /64 of IPv6. */
  readonly network: string;
}

export type DirectoryKind = 'ldap' | 'active-directory' | 'built-in';

export interface DirectoryHealth {
  readonly directory: string;
  readonly kind: DirectoryKind;
  readonly state: 'up' | 'down' | 'unknown';
  /** For people: which server is down, and why. */
  readonly detail: string;
}

/**
 * One place that knows people. Implementations never cache a password, never follow referrals, and throw
 * `identity.directory_unavailable` when no server answers: an outage is not a refusal.
 */
export interface Directory {
  readonly name: string;
  readonly kind: DirectoryKind;
  /** True when a login of this form (`alice`, `alice@corp.example`, `CORP\alice`) is one that this directory answers for. */
  recognises(login: string): boolean;
  /**
   * Proves a password. `password` is 1 to 256 bytes: the caller has refused anything else before. A directory that cannot serve
   * everybody at once keeps places for those who are trusted; without a standing somebody is not.
   */
  authenticate(login: string, password: string, standing?: LoginStanding): Promise<Authentication>;
  /** The person now, by immutable id: accepted with fresh groups, or refused (`disabled`, `unknown_person`, …). No password. */
  recheck(id: PersonId): Promise<Authentication>;
  /** Finds by login name, without a password, for an admin's questions; disabled people too. */
  find(login: string): Promise<
    | {
        readonly id: PersonId;
        readonly login: string;
        readonly person?: Person;
        readonly reason?: RefusalReason;
      }
    | undefined
  >;
  /** As `recheck`, with how far a refusal is to be believed: for whoever takes something away that was given. */
  standing(id: PersonId): Promise<Standing>;
  /** Reads the directory's record of changes; without a method the best one that the service account may use. */
  watch(method?: WatchMethod): DirectoryWatch;
  health(): DirectoryHealth;
  close(): Promise<void>;
}
