import type { PersonId } from '../kernel/index.ts';
import type { Person, RefusalReason } from './person.ts';

/** How a watch learns of changes, best first for its kind of directory. */
export type WatchMethod = 'sync' | 'dirsync' | 'usn' | 'timestamps' | 'file';

/** One entry that a directory says was changed; what became of it is for a fresh question by id to find out. */
export interface ChangedObject {
  /** Immutable id, as it stands in a PersonId behind the colon; people and groups alike. */
  readonly id: string;
  /** Distinguished names that it has or had, as far as they are known. */
  readonly dns: readonly string[];
  readonly sid?: string;
  /** Names of attributes, in lower case; empty where the directory does not say which. Never values. */
  readonly attributes: readonly string[];
  readonly isGone: boolean;
}

/** What a look brought. Changes may be told twice, and none is left out unless `everybody` is set. */
export interface DirectoryNews {
  readonly objects: readonly ChangedObject[];
  /** Set when more may have changed than is named, with the reason: then everybody is to be asked again. */
  readonly everybody?: EverybodyReason;
  /** To go on from; undefined as long as there is nothing to go on from. */
  readonly cursor: string | undefined;
}

export type EverybodyReason =
  'first_look' | 'other_server' | 'lost_place' | 'container_changed' | 'too_many_changes' | 'file_changed';

/** A directory's own record of its changes, read with the rights of the service account. It never says what a change means. */
export interface DirectoryWatch {
  /** What is in use; undefined before the first look that found out. */
  readonly method: WatchMethod | undefined;
  /**
   * @param people immutable ids to look for where the directory does not tell of deletions
   * @throws CodedError `identity.directory_unavailable`: nothing is known, and nothing was missed
   */
  look(from: {
    readonly cursor: string | undefined;
    readonly people: readonly string[];
  }): Promise<DirectoryNews>;
  close(): void;
}

/**
 * What a directory says of somebody whom it let in before, with the difference between a refusal that it vouches for and one that
 * a lost right, an emptied base or a wrong filter would bring about as well.
 */
export type Standing =
  | { readonly outcome: 'here'; readonly person: Person; readonly doubt?: string }
  /** The entry is there and says so itself, or it is gone while every base and the filter still show others. */
  | { readonly outcome: 'gone'; readonly reason: GoneReason }
  /** Passes by itself, or with the next password. */
  | { readonly outcome: 'paused'; readonly reason: RefusalReason }
  | { readonly outcome: 'doubtful'; readonly reason: RefusalReason; readonly doubt: string };

export type GoneReason = 'disabled' | 'account_expired' | 'unknown_person' | 'not_in_scope';

/** The part of a PersonId behind the colon. */
export function immutableIdOf(id: PersonId): string {
  return id.slice(id.indexOf(':') + 1);
}
