import { mostPerStep, mostUnindexed } from '../search-unindexed.ts';
import { credentialsBehind, indexNextCredentials } from './credential-index.ts';
import { entriesBehind, indexNextEntries } from './log-search.ts';
import type { Statements } from './statements.ts';

/** What is built behind the rows. It is brought up to them while nothing else is to do, and held near them while there is. */
export interface Index {
  /** How many rows it does not know yet. */
  readonly behind: (statement: Statements) => bigint;
  /** Takes in the next ones, within the transaction that is open. */
  readonly next: (statement: Statements, most?: number) => void;
  /** So many may be missing while others wait to be recorded: a burst is recorded first. */
  readonly allowed: bigint;
}

/** For searches, which look at what is missing one by one. */
export const logIndex: Index = { behind: entriesBehind, next: indexNextEntries, allowed: mostUnindexed };

/** For questions by person, key and account name, which wait until nothing is missing. */
export const credentialIndex: Index = {
  behind: credentialsBehind,
  next: indexNextCredentials,
  allowed: 2000n,
};

const indexes: readonly Index[] = [logIndex, credentialIndex];

/** One step of whatever is missing. @returns true while there is more */
export function indexStep(statement: Statements, index: Index): boolean {
  index.next(statement);
  return index.behind(statement) > 0n;
}

export function isBehind(statement: Statements): boolean {
  return indexes.some(({ behind }) => behind(statement) > 0n);
}

/** Whether one of them is further behind than it may be. */
export function isTooFarBehind(statement: Statements): boolean {
  return indexes.some(({ behind, allowed }) => behind(statement) > allowed);
}

/** One step of each that is behind. */
export function indexWhatIsMissing(statement: Statements): void {
  for (const index of indexes) if (index.behind(statement) > 0n) index.next(statement);
}

/** Takes in what is more than may be missing: as much as the transactions before added. */
export function indexWhatIsTooMuch(statement: Statements): void {
  for (const { behind, next, allowed } of indexes) {
    const excess = behind(statement) - allowed;
    if (excess > 0n) next(statement, Math.min(Number(excess), mostPerStep));
  }
}
