import type { Session } from '../identity/index.ts';
import type { PersonId } from '../kernel/index.ts';
import type { TlsCredential } from './tls-rows.ts';
import type { Credential } from './unit-of-work.ts';

/** One person who lost something at their directory, and what of it was still live when that was found. */
export interface FoundDeparture {
  readonly personId: PersonId;
  /** `identity.disabled`, `policy.no_longer_granted`, …: goes into the entries. */
  readonly reasonCode: string;
  readonly credentials: readonly Pick<Credential, 'caFingerprint' | 'serial'>[];
  readonly tls: readonly Pick<TlsCredential, 'caFingerprint' | 'serial'>[];
}

/**
 * Departures that were too many at once to be believed: nobody is cut off until an admin has said so. Rejected, the credentials in it
 * live until they expire; approved, each person is asked about once more.
 */
export interface DepartureReview {
  readonly id: string;
  readonly directory: string;
  readonly openedMs: number;
  /** `withdrawn`: nobody in it has lost anything any more. */
  readonly state: 'waiting' | 'approved' | 'rejected' | 'withdrawn';
  /** When it was decided. */
  readonly decidedMs?: number;
  readonly limit: 'people' | 'percent';
  /** How many people of the directory had something live when it was opened. */
  readonly atLarge: number;
  readonly people: readonly FoundDeparture[];
}

/** How far a directory's changes have been followed. */
export interface FollowedDirectory {
  /** What the directory's watch gave. */
  readonly cursor: string;
  readonly movedMs: number;
}

/** What follows a directory writes. */
export interface DepartureChange {
  /** Changes up to here were followed to their end. */
  readonly followed?: { readonly directory: string; readonly cursor: string; readonly atMs: number };
  /** Written whole; refused unless the stored one, if there is one, is waiting. */
  readonly departureReview?: DepartureReview;
}

/** Questions about departures, and about all that one person has. */
export interface DepartureReads {
  /** People of the directory with a live session, or a credential that is not revoked and expires after `nowMs`; in any order. */
  peopleAtLarge(directory: string, nowMs: number): Promise<readonly PersonId[]>;
  liveSessions(personId: PersonId, nowMs: number): Promise<readonly Session[]>;
  /** Account names that are theirs alone, in alphabetical order. */
  principalsOf(personId: PersonId): Promise<readonly string[]>;
  followedDirectory(directory: string): Promise<FollowedDirectory | undefined>;
  /** Those opened at or after the given time, the newest first, 1000 at most. */
  departureReviews(sinceMs: number): Promise<readonly DepartureReview[]>;
}

/** Which of several brokers does what only one need do. */
export interface Leases {
  /**
   * Takes or keeps a lease by the clock of the database. @returns false when another holder has it, until that one has been silent for
   * the given time
   */
  holdLease(name: string, holder: string, forMs: number): Promise<boolean>;
}
