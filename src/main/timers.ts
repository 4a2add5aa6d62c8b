import type { Logger } from 'pino';
import {
  applyRetention,
  followLogins,
  catchUpCrls,
  heartbeat,
  keepCheckpoint,
  refreshTrust,
  settleAbandoned,
  UnreleasedSearch,
  voidOwed,
  type DirectoryFollower,
  type PeopleWatch,
  type RetentionRule,
  type Rooms,
} from '../broker/index.ts';

const heartbeatEveryMs = 600_000;
const catchUpEveryMs = 1000;
const peopleFileEveryMs = 1000;
const keepEveryMs = 1000;
const cosignEveryMs = 1000;
const retainEveryMs = 3_600_000;
const pruneEveryMs = 300_000;
const settleEveryMs = 10_000;
const judgeEveryMs = 2000;
const refreshEveryMs = 60_000;

export interface Timers {
  /** Starts nothing more, and waits for what is under way. */
  stop(): Promise<void>;
}

/** What only some brokers have to do. */
export interface TimedWork {
  readonly watches: readonly PeopleWatch[];
  readonly retention: readonly RetentionRule[];
  readonly followers: readonly DirectoryFollower[];
  /** How often each of them looks. */
  readonly lookEveryMs: number;
}

/** What a broker does without being asked. None of it keeps the process alive, and what fails is tried again the next time. */
export function startTimers(rooms: Rooms, work: TimedWork, log: Logger): Timers {
  const { watches, retention, followers } = work;
  const underWay = new Map<NodeJS.Timeout, Promise<void>>();
  const every = (
    intervalMs: number,
    what: string,
    work: () => Promise<void>,
    when: 'later' | 'also now' = 'later',
  ): NodeJS.Timeout => {
    const begin = (): void => {
      // One that takes long is not joined by the next.
      if (underWay.has(timer)) return;
      const done = work()
        .catch((error: unknown) => log.error({ err: error }, `${what} failed`))
        .finally(() => underWay.delete(timer));
      underWay.set(timer, done);
    };
    const timer = setInterval(begin, intervalMs).unref();
    if (when === 'also now') begin();
    return timer;
  };
  const unreleased = new UnreleasedSearch(rooms);
  const timers = [
    every(heartbeatEveryMs, 'heartbeat', () => heartbeat(rooms)),
    ...watches.map((watch) =>
      every(peopleFileEveryMs, 'looking at the people file', () => watch.look(rooms)),
    ),
    ...followers.map((follower) =>
      every(work.lookEveryMs, 'following a directory', () => follower.look(rooms)),
    ),
    every(catchUpEveryMs, 'publishing the list', () => rooms.krl.catchUp()),
    every(catchUpEveryMs, 'publishing the CRLs', async () => rooms.tls && catchUpCrls(rooms.tls)),
    every(catchUpEveryMs, 'copying the CRLs', async () => rooms.tls?.copies?.look()),
    every(keepEveryMs, 'keeping the checkpoint', () => keepCheckpoint(rooms)),
    every(cosignEveryMs, 'asking the witnesses', async () => rooms.cosigning?.look()),
    // Beside the door: a backlog of years, or another broker that is at it, keeps nobody out.
    every(
      retainEveryMs,
      'erasing what is kept no longer',
      () => applyRetention(rooms, retention),
      'also now',
    ),
    every(settleEveryMs, 'settling what dead brokers left', () => settleAbandoned(rooms)),
    every(settleEveryMs, 'declaring serials void', () => voidOwed(rooms)),
    ...(rooms.cosigning === undefined
      ? []
      : [every(settleEveryMs, 'withdrawing what was not handed out', () => unreleased.look())]),
    every(refreshEveryMs, 'refreshing the bundles of hosts', () => refreshTrust(rooms)),
    every(judgeEveryMs, 'judging logins', () => followLogins(rooms)),
    every(pruneEveryMs, 'pruning the list', () => rooms.krl.prune()),
  ];
  return {
    async stop() {
      for (const timer of timers) clearInterval(timer);
      await Promise.all(underWay.values());
    },
  };
}
