import { sha256, type Clock } from '../kernel/index.ts';
import type { LoginStanding } from './person.ts';
import { crowdNetwork, throttledName, throttledNetwork } from './throttle-keys.ts';
import {
  admissionAtMs,
  beginAttempt,
  countRefusal,
  forgetOldFailures,
  freshState,
  parseRow,
  settleAttempt,
  standingOf,
  toRow,
} from './throttle-state.ts';
import type { Attempt, Kind, LoginTicket, Settlement, State, ThrottleRow } from './throttle-state.ts';
import type { Admission, LoginAttempt } from './throttle.ts';

/** A throttle row as several brokers share it: with what one broker alone would keep in memory. */
export interface SharedThrottleRow extends ThrottleRow {
  /** When each attempt that is under way was admitted. */
  readonly flights: readonly number[];
  readonly promisedMs: number;
  readonly told: boolean;
}

/** Where several brokers keep their throttle together. */
export interface ThrottleTable {
  /**
   * Reads the rows of these keys, and writes what comes of them, at once: nobody else changes one of them in between. Durable on return.
   * @param work pure, and may be given rows of another throttle: without the fields that this one adds
   */
  changeThrottle<Result>(
    keys: readonly string[],
    work: (rows: ReadonlyMap<string, ThrottleRow>) => {
      readonly rows: readonly SharedThrottleRow[];
      readonly result: Result;
    },
  ): Promise<Result>;
}

/** As `LoginThrottle`, but everything is in the table: there are no rows to store with the entry. */
export interface SharedLoginThrottle {
  admit(attempt: LoginAttempt): Promise<SharedAdmission>;
}

export type SharedLoginTicket = Pick<LoginTicket, 'standing'> & {
  readonly [How in Settlement]: () => Promise<readonly ThrottleRow[]>;
};
export type SharedAdmission =
  | Extract<Admission, { readonly outcome: 'throttled' }>
  | { readonly outcome: 'admitted'; readonly ticket: SharedLoginTicket };

/** No directory takes that long: whoever admitted the attempt is dead, and told nobody what came of it. */
const longestFlightMs = 120_000;
const mostCounted = 10_000;

/** The rules of `createLoginThrottle` for several brokers: what one of them counted, each of them sees. */
export function createSharedThrottle(options: {
  readonly clock: Clock;
  readonly table: ThrottleTable;
}): SharedLoginThrottle {
  const { clock, table } = options;
  /** Refusals since the last one that was told, as far as this broker gave them: not worth a write each. */
  const untold = new Map<string, number>();

  const decide = (keys: Keys, network: string, rows: ReadonlyMap<string, ThrottleRow>): Decision => {
    const nowMs = clock.nowMs();
    const shared = loadAttempt(rows, keys, nowMs);
    const { attempt, flights } = shared;
    const { promisedMs } = attempt.pair;
    const waitMs = admissionAtMs(attempt, nowMs) - nowMs;
    if (waitMs > 0) {
      for (const state of states(attempt)) state.untold = untold.get(state.key) ?? 0;
      const refusal = countRefusal(attempt, nowMs);
      if (untold.size >= mostCounted) untold.clear();
      for (const state of states(attempt)) untold.set(state.key, state.untold);
      const isChanged = refusal.first || attempt.pair.promisedMs !== promisedMs;
      const refused = { ...refusal, retryAfterSeconds: Math.ceil(waitMs / 1000) };
      return { rows: isChanged ? rowsOf(shared) : [], result: { refused } };
    }
    const standing = standingOf(attempt, network, nowMs);
    const counted = beginAttempt(attempt);
    for (const kind of counted) flights[kind].push(nowMs);
    return { rows: rowsOf(shared), result: { admitted: { standing, counted, atMs: nowMs } } };
  };

  const settle = (
    keys: Keys,
    { counted, atMs }: Admitted,
    how: Settlement,
  ): Promise<readonly ThrottleRow[]> =>
    table.changeThrottle(Object.values(keys), (rows) => {
      const nowMs = clock.nowMs();
      const shared = loadAttempt(rows, keys, nowMs);
      for (const kind of counted) {
        const place = shared.flights[kind].indexOf(atMs);
        // Taken for dead meanwhile: it is counted again, for as long as it takes to settle it.
        if (place === -1) shared.attempt[kind].inFlight += 1;
        else shared.flights[kind].splice(place, 1);
      }
      settleAttempt(shared.attempt, counted, how, nowMs);
      return { rows: rowsOf(shared), result: [] };
    });

  return {
    async admit({ login, address }) {
      const name = throttledName(login);
      const network = throttledNetwork(address);
      const keys: Keys = {
        pair: keyOf('pair', name, network),
        person: keyOf('person', name),
        address: keyOf('address', network),
      };
      const { refused, admitted } = await table.changeThrottle(Object.values(keys), (rows) =>
        decide(keys, crowdNetwork(address), rows),
      );
      if (refused !== undefined) return { outcome: 'throttled', ...refused };
      let isSettled = false;
      const once = async (how: Settlement): Promise<readonly ThrottleRow[]> => {
        if (isSettled) return [];
        isSettled = true;
        return settle(keys, admitted, how);
      };
      return {
        outcome: 'admitted',
        ticket: {
          standing: admitted.standing,
          failed: () => once('failed'),
          turnedAway: () => once('turnedAway'),
          succeeded: () => once('succeeded'),
          withdrawn: () => once('withdrawn'),
        },
      };
    },
  };
}

type Keys = Readonly<Record<Kind, string>>;

interface Admitted {
  readonly standing: LoginStanding;
  readonly counted: readonly Kind[];
  readonly atMs: number;
}

interface Decision {
  readonly rows: readonly SharedThrottleRow[];
  readonly result:
    | {
        readonly refused: Omit<Extract<Admission, { outcome: 'throttled' }>, 'outcome'>;
        readonly admitted?: never;
      }
    | { readonly refused?: never; readonly admitted: Admitted };
}

interface SharedAttempt {
  readonly attempt: Attempt;
  readonly flights: Readonly<Record<Kind, number[]>>;
}

function loadAttempt(
  rows: ReadonlyMap<string, Partial<SharedThrottleRow>>,
  keys: Keys,
  nowMs: number,
): SharedAttempt {
  const load = (kind: Kind): { state: State; flights: number[] } => {
    const key = keys[kind];
    const row = rows.get(key);
    const state = (row && parseRow(row as ThrottleRow)) ?? freshState(kind, key);
    const flights = (row?.flights ?? []).filter(
      (atMs) => nowMs - atMs < longestFlightMs && atMs <= nowMs + longestFlightMs,
    );
    Object.assign(state, {
      inFlight: flights.length,
      promisedMs: row?.promisedMs ?? 0,
      told: row?.told ?? false,
    });
    forgetOldFailures(state, nowMs);
    return { state, flights };
  };
  const [pair, person, address] = [load('pair'), load('person'), load('address')];
  return {
    attempt: { pair: pair.state, person: person.state, address: address.state },
    flights: { pair: pair.flights, person: person.flights, address: address.flights },
  };
}

const states = (attempt: Attempt): readonly State[] => Object.values(attempt);

function rowsOf({ attempt, flights }: SharedAttempt): readonly SharedThrottleRow[] {
  return states(attempt).map((state) => {
    const row = toRow(state);
    const last = flights[state.kind].at(-1) ?? 0;
    return {
      ...row,
      forgetMs: Math.max(row.forgetMs, last + longestFlightMs),
      flights: flights[state.kind],
      promisedMs: state.promisedMs,
      told: state.told,
    };
  });
}

function keyOf(kind: Kind, ...parts: readonly string[]): string {
  return `${kind}:${sha256(JSON.stringify(parts)).toString('hex')}`;
}
