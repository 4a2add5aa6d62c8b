import { entryBy, stillSignedIn } from './entries.ts';
import { findPerson } from './find-person.ts';
import type { Rooms, SignedIn } from './rooms.ts';
import type { LogQuery, StoredEntry } from './unit-of-work.ts';

export interface LoginsQuery {
  /** Only what nothing explains. */
  readonly unexplained: boolean;
  readonly person?: string;
  /** Id or name. */
  readonly host?: string;
  readonly account?: string;
  /** From inclusive, to exclusive. */
  readonly fromMs?: number;
  readonly toMs?: number;
  /** Entries with a smaller index than this. */
  readonly before?: bigint;
  readonly limit: number;
}

/** How much of the estate the answer speaks of: no login from a host that does not report is no good news. */
export interface LoginCoverage {
  readonly enrolledHosts: number;
  /** Hosts that reported within the last hour. */
  readonly reportingHosts: number;
  /** Stretches of reports that are missing, of the last thirty days; at most a thousand are counted. */
  readonly gaps: number;
}

const hourMs = 3_600_000;
const gapsMs = 30 * 86_400_000;
const mostGaps = 1000;

/** Logins that hosts reported, newest first, with the verdict of each. The look itself is recorded. */
export async function listLogins(
  rooms: Rooms,
  query: LoginsQuery,
  caller: SignedIn,
): Promise<{
  readonly entries: readonly StoredEntry[];
  readonly next?: bigint;
  readonly coverage: LoginCoverage;
}> {
  const { store, clock } = rooms;
  const { unexplained, person: asked, host, account, fromMs, toMs, before, limit } = query;
  const person = asked === undefined ? undefined : await findPerson(rooms, asked);
  const target = { kind: 'logins', unexplained, ...(host === undefined ? {} : { value: host }) };
  const look = { type: 'log.read', timeMs: clock.nowMs(), subject: person?.id, fields: { target } } as const;
  await store.commit({ guard: stillSignedIn(caller), entries: [entryBy(caller, look)] });

  const common: Omit<LogQuery, 'type'> = {
    ...(person === undefined ? {} : { subjectId: person.id }),
    ...(host === undefined ? {} : { host }),
    ...(account === undefined ? {} : { principal: account }),
    ...(fromMs === undefined ? {} : { fromMs }),
    ...(toMs === undefined ? {} : { toMs }),
    ...(before === undefined ? {} : { before }),
    limit: limit + 1,
  };
  const types = unexplained ? ['login.unexplained'] : ['login.unexplained', 'login.seen'];
  const found = (await Promise.all(types.map((type) => store.searchLog({ ...common, type })))).flat();
  const sorted = found.toSorted((a, b) => Number(b.index - a.index));
  const entries = sorted.slice(0, limit);
  const last = entries.at(-1);
  return {
    entries,
    ...(sorted.length > limit && last !== undefined ? { next: last.index } : {}),
    coverage: await coverageOf(rooms),
  };
}

/** What stands beside every count. */
async function coverageOf({ store, clock }: Pick<Rooms, 'store' | 'clock'>): Promise<LoginCoverage> {
  const nowMs = clock.nowMs();
  const gaps = await store.searchLog({ type: 'host.feed_gap', fromMs: nowMs - gapsMs, limit: mostGaps });
  return {
    enrolledHosts: await enrolledHosts(store),
    reportingHosts: await store.reportingHosts(nowMs - hourMs),
    gaps: gaps.length,
  };
}

export async function enrolledHosts(store: Pick<Rooms['store'], 'hostCounts'>): Promise<number> {
  const counts = await store.hostCounts();
  return counts.filter(({ state }) => state === 'enrolled').reduce((sum, { count }) => sum + count, 0);
}
