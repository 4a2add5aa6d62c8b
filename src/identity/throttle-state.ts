import type { Clock } from '../kernel/index.ts';
import type { LoginStanding } from './person.ts';

/** What the throttle knows of one person, one address, or one person at one address; the caller stores it by `key`. */
export interface ThrottleRow {
  /**
   * `pair:`, `person:` or `address:` and 64 hex digits of SHA-256. No clear name or address; but names are few and guessable,
   * so treat the rows as personal.
   */
  readonly key: string;
  /** Failed attempts that still count. For an address: names that failed from it, and attempts that found no place. */
  readonly failures: number;
  /** Time of the last failed attempt, 0 when there is none. */
  readonly lastMs: number;
  /** Time of the last success, 0 when there is none. Only pairs have one. */
  readonly successMs: number;
  /** From this time on the row means nothing and may be deleted. */
  readonly forgetMs: number;
}

const second = 1000;
const minute = 60 * second;
const day = 24 * 60 * minute;

export type Kind = 'pair' | 'person' | 'address';

interface Rule {
  /** Failures that cost nothing. */
  readonly free: number;
  /** Delay after the last free one, in milliseconds; each further failure doubles it. */
  readonly firstMs: number;
  readonly longestMs: number;
  /** So long without a failure, and all is forgotten. */
  readonly forgetMs: number;
}

const rules: Readonly<Record<Kind, Rule>> = {
  pair: { free: 3, firstMs: 5 * second, longestMs: 15 * minute, forgetMs: 60 * minute },
  person: { free: 10, firstMs: second, longestMs: 30 * second, forgetMs: 15 * minute },
  address: { free: 20, firstMs: 5 * second, longestMs: 5 * minute, forgetMs: 60 * minute },
};
/** How long a success at an address lets its person past what others do there. */
const trustMs = 30 * day;
/** How long somebody who has waited out another's delay may take to come back. */
const promiseMs = 5 * minute;

/** A row at work. */
export interface State {
  readonly key: string;
  readonly kind: Kind;
  failures: number;
  lastMs: number;
  successMs: number;
  /** Admitted and not settled. */
  inFlight: number;
  /** Pairs only: when somebody held up by attempts on the person from elsewhere may come in, 0 when nobody was. */
  promisedMs: number;
  /** Whether a refusal of the delay that runs was told. */
  told: boolean;
  /** Refusals since the last one that was told. */
  untold: number;
}

export const freshState = (kind: Kind, key: string): State => ({
  key,
  kind,
  failures: 0,
  lastMs: 0,
  successMs: 0,
  inFlight: 0,
  promisedMs: 0,
  told: false,
  untold: 0,
});

/** Clears failures that were long enough ago. A last one in the future (the clock was set back) happens now, once. */
export function forgetOldFailures(state: State, nowMs: number): void {
  state.lastMs = Math.min(state.lastMs, nowMs);
  if (state.failures === 0 || nowMs - state.lastMs < rules[state.kind].forgetMs) return;
  state.failures = 0;
  state.told = false;
}

function delayMs(kind: Kind, failures: number): number {
  const { free, firstMs, longestMs } = rules[kind];
  if (failures < free) return 0;
  return Math.min(longestMs, firstMs * 2 ** Math.min(failures - free, 30));
}

/**
 * When the next attempt may come, by this state alone. Attempts in flight count as failures that happen now.
 */
export function openAtMs(state: State, nowMs: number): number {
  const baseMs = state.inFlight > 0 ? nowMs : Math.min(state.lastMs, nowMs);
  return baseMs + delayMs(state.kind, state.failures + state.inFlight);
}

export type Attempt = Readonly<Record<Kind, State>>;

/** Whether the person logged in from there within 30 days. */
const isTrusted = ({ pair }: Attempt, nowMs: number): boolean =>
  pair.successMs !== 0 && nowMs - pair.successMs < trustMs;

/** When this attempt may come in; writes down and keeps the promise to whoever is held up by attempts from elsewhere. */
export function admissionAtMs(attempt: Attempt, nowMs: number): number {
  const { pair, person, address } = attempt;
  const pairMs = openAtMs(pair, nowMs);
  if (isTrusted(attempt, nowMs)) return pairMs;
  const ownMs = Math.max(pairMs, openAtMs(address, nowMs));
  const personMs = openAtMs(person, nowMs);
  if (personMs <= nowMs) return ownMs;
  if (pair.promisedMs === 0 || nowMs - pair.promisedMs > promiseMs) pair.promisedMs = personMs;
  return Math.max(ownMs, Math.min(personMs, pair.promisedMs));
}

/**
 * Counts one refusal with the delay that caused it. `first` tells whether it is the first since that delay began, and
 * `refusedBefore` then how many came since the last one that was.
 */
export function countRefusal(
  attempt: Attempt,
  nowMs: number,
): { readonly first: boolean; readonly refusedBefore: number } {
  const { pair, person, address } = attempt;
  const cause = [pair, address].find((state) => openAtMs(state, nowMs) > nowMs) ?? person;
  const first = !cause.told;
  const refusedBefore = first ? cause.untold : 0;
  cause.untold = first ? 0 : cause.untold + 1;
  cause.told = true;
  return { first, refusedBefore };
}

/** An admitted attempt. It counts as a failure until one of these is called; settle each ticket, whatever happens, once. */
export interface LoginTicket {
  /** For the directory, which may have to choose whom it serves. */
  readonly standing: LoginStanding;
  /** The password was right. @returns the rows to store in the transaction of the login's entry. */
  succeeded(): readonly ThrottleRow[];
  /** The attempt was refused. @returns the rows to store in the transaction of the refusal's entry. */
  failed(): readonly ThrottleRow[];
  /**
   * The directory had no place for the attempt (`identity.busy`). Counts for the address alone, so that whoever fills the queue is
   * slowed and nobody's name suffers. @returns the rows to store in the transaction of the refusal's entry.
   */
  turnedAway(): readonly ThrottleRow[];
  /** Nothing was proved either way: no directory answered. Nothing changes. */
  withdrawn(): void;
}

/** How an attempt ended, as the ticket's methods say it. */
export type Settlement = Exclude<keyof LoginTicket, 'standing'>;

/** An attempt is admitted: from now on it counts as failed. @returns the kinds that it counts for */
export function beginAttempt({ pair, person, address }: Attempt): readonly Kind[] {
  // An address counts names, so only the first failure of a name adds to it.
  const counted = pair.failures + pair.inFlight === 0 ? [pair, person, address] : [pair, person];
  for (const state of counted) state.inFlight += 1;
  pair.promisedMs = 0;
  return counted.map(({ kind }) => kind);
}

/** It ended. @returns the states to store */
export function settleAttempt(
  attempt: Attempt,
  counted: readonly Kind[],
  how: Settlement,
  nowMs: number,
): readonly State[] {
  const { pair, person, address } = attempt;
  for (const kind of counted) {
    attempt[kind].inFlight -= 1;
    attempt[kind].told = false;
  }
  const fail = (state: State): void => {
    state.failures += 1;
    state.lastMs = nowMs;
    state.told = false;
  };
  switch (how) {
    case 'failed': {
      const failed = counted.map((kind) => attempt[kind]);
      failed.forEach(fail);
      return failed;
    }
    case 'turnedAway':
      fail(address);
      return [address];
    case 'succeeded':
      // Takes back only what this person at this address added: a guesser with an account of their own must not clear the rest.
      person.failures = Math.max(0, person.failures - pair.failures);
      if (pair.failures > 0) address.failures = Math.max(0, address.failures - 1);
      pair.failures = 0;
      pair.successMs = nowMs;
      return [pair, person, address];
    case 'withdrawn':
      return [];
  }
}

/** For the directory, which may have to choose whom it serves. */
export function standingOf(attempt: Attempt, network: string, nowMs: number): LoginStanding {
  return { trusted: isTrusted(attempt, nowMs), network };
}

/** A ticket for one attempt; a second settlement changes nothing and returns no rows. */
export function issueTicket(attempt: Attempt, network: string, clock: Clock): LoginTicket {
  const standing = standingOf(attempt, network, clock.nowMs());
  const counted = beginAttempt(attempt);
  let settled = false;
  const settle = (how: Settlement): readonly ThrottleRow[] => {
    if (settled) return [];
    settled = true;
    return settleAttempt(attempt, counted, how, clock.nowMs()).map(toRow);
  };
  return {
    standing,
    failed: () => settle('failed'),
    turnedAway: () => settle('turnedAway'),
    succeeded: () => settle('succeeded'),
    withdrawn: () => void settle('withdrawn'),
  };
}

/** What is stored of a state. */
export const toRow = (state: State): ThrottleRow => ({
  key: state.key,
  failures: state.failures,
  lastMs: state.lastMs,
  successMs: state.successMs,
  forgetMs: Math.max(
    state.lastMs + rules[state.kind].forgetMs,
    state.successMs === 0 ? 0 : state.successMs + trustMs,
  ),
});

/** @returns undefined for a row that this throttle did not write. */
export function parseRow({ key, failures, lastMs, successMs }: ThrottleRow): State | undefined {
  const kind = /^(pair|person|address):[0-9a-f]{64}$/.exec(key)?.[1] as Kind | undefined;
  const areCounts = [failures, lastMs, successMs].every((value) => Number.isSafeInteger(value) && value >= 0);
  if (kind === undefined || !areCounts) return undefined;
  return { ...freshState(kind, key), failures, lastMs, successMs };
}
