import { sha256 } from '../kernel/index.ts';
import type { Clock } from '../kernel/index.ts';
import { crowdNetwork, throttledName, throttledNetwork } from './throttle-keys.ts';
import {
  admissionAtMs,
  countRefusal,
  forgetOldFailures,
  freshState,
  issueTicket,
  openAtMs,
  parseRow,
} from './throttle-state.ts';
import type { Attempt, Kind, LoginTicket, State, ThrottleRow } from './throttle-state.ts';

export type { LoginTicket, ThrottleRow } from './throttle-state.ts';

export interface LoginAttempt {
  readonly login: string;
  /** Not told apart on purpose: naming a directory must not give a guesser a second allowance for the same person. */
  readonly directory?: string;
  /** IPv4 or IPv6 text of the client. */
  readonly address: string;
}

export type Admission =
  | { readonly outcome: 'admitted'; readonly ticket: LoginTicket }
  | {
      readonly outcome: 'throttled';
      readonly retryAfterSeconds: number;
      /** The first refusal since its delay began: worth an entry in the log. The others of that delay are only counted. */
      readonly first: boolean;
      /** When `first`: refusals by earlier delays of the same person or address that were not. Otherwise 0. */
      readonly refusedBefore: number;
    };

export interface LoginThrottle {
  admit(attempt: LoginAttempt): Admission;
}

export interface LoginThrottleOptions {
  readonly clock: Clock;
  /** Rows stored before a restart. Verdicts go on as before; whoever was waiting out others’ attempts may wait 30 s anew. */
  readonly rows?: Iterable<ThrottleRow>;
  /** Rows kept in memory. 100,000, about 20 MB. */
  readonly capacity?: number;
}

/**
 * Slows guessing. A person at one address: after 3 failures 5 s, doubling to 15 minutes. An address that fails with many names:
 * after 20 names 5 s, doubling to 5 minutes. A person under attack from many addresses: after 10 failures 1 s, doubling to 30 s,
 * and whoever has waited that once is let in whatever the attackers did meanwhile, so that nobody can shut a stranger out. A person
 * who logged in from an address within 30 days passes both of the latter there.
 *
 * Only admitted attempts take memory, so a guesser cannot flush it with attempts that are turned away. Full memory drops the
 * rows used longest ago. A delay that still runs goes only when the 64 oldest all run, and then the one that ends first: refusing
 * everybody would serve an attacker better than one more guess does. Stored rows are untouched by that.
 */
export function createLoginThrottle(options: LoginThrottleOptions): LoginThrottle {
  const { clock, capacity = 100_000 } = options;
  const states = new Map<string, State>();
  const stored = [...(options.rows ?? [])].map(parseRow).filter((state) => state !== undefined);
  const usedMs = (state: State): number => Math.max(state.lastMs, state.successMs);
  for (const state of stored.sort((a, b) => usedMs(a) - usedMs(b))) keep(states, state);
  makeRoom(states, capacity, clock.nowMs());

  const find = (kind: Kind, ...parts: readonly string[]): State => {
    const key = `${kind}:${sha256(JSON.stringify(parts)).toString('hex')}`;
    return states.get(key) ?? freshState(kind, key);
  };

  return {
    admit({ login, address: from }) {
      const nowMs = clock.nowMs();
      const name = throttledName(login);
      const network = throttledNetwork(from);
      const pair = find('pair', name, network);
      const attempt: Attempt = { pair, person: find('person', name), address: find('address', network) };
      const all = Object.values(attempt);
      for (const state of all) forgetOldFailures(state, nowMs);
      const waitMs = admissionAtMs(attempt, nowMs) - nowMs;
      if (waitMs > 0) {
        if (pair.promisedMs !== 0) keep(states, pair);
        makeRoom(states, capacity, nowMs);
        const retryAfterSeconds = Math.ceil(waitMs / 1000);
        return { outcome: 'throttled', retryAfterSeconds, ...countRefusal(attempt, nowMs) };
      }
      const ticket = issueTicket(attempt, crowdNetwork(from), clock);
      for (const state of all) keep(states, state);
      makeRoom(states, capacity, nowMs);
      return { outcome: 'admitted', ticket };
    },
  };
}

/** Deletes and sets: the map's order is the order of use. */
function keep(states: Map<string, State>, state: State): void {
  states.delete(state.key);
  states.set(state.key, state);
}

/** Drops a hundredth at once: a Map walks over all that was deleted at its front before it finds the oldest. */
function makeRoom(states: Map<string, State>, capacity: number, nowMs: number): void {
  if (states.size <= capacity) return;
  const target = capacity - Math.floor(capacity / 100);
  const running: State[] = [];
  const dropSoonest = (): void => {
    const ends = running.map((state) => openAtMs(state, nowMs));
    // Of several that end at once, the first is the oldest.
    const [soonest] = running.splice(ends.indexOf(Math.min(...ends)), 1);
    if (soonest !== undefined) states.delete(soonest.key);
  };
  for (const state of states.values()) {
    if (states.size <= target) return;
    if (state.inFlight > 0) continue;
    if (openAtMs(state, nowMs) <= nowMs) states.delete(state.key);
    else if (running.push(state) >= 64) dropSoonest();
  }
  while (states.size > capacity && running.length > 0) dropSoonest();
}
