import type { Rooms } from './rooms.ts';

/** Bundles are made anew when this part of the shortest freshness has passed: a host may miss three of four. */
const partOfFreshness = 4;

/**
 * Gives all hosts a new bundle when what bundles hold besides the list has changed since they were last given one: a reload of the
 * policy, a start with another one. The version of a bundle is that of the list, so that a new list is published.
 */
export async function publishTrust(rooms: Pick<Rooms, 'store' | 'krl' | 'hosts'>): Promise<void> {
  const { digest } = rooms.hosts.bundles;
  const before = await rooms.store.trustDigest();
  if (before === digest) return;
  // Published first: when recording fails it is done once more, and never left out.
  if (before !== undefined) await rooms.krl.publish();
  await rooms.store.commit({ hosts: { trustDigest: digest }, entries: [] });
}

/** Every now and then: bundles do not get stale while nothing happens. Cheap when there is no host. */
export async function refreshTrust(
  rooms: Pick<Rooms, 'store' | 'krl' | 'hosts' | 'policy' | 'clock'>,
): Promise<void> {
  const groups = new Set(
    (await rooms.store.hostCounts()).flatMap(({ state, group }) => (state === 'enrolled' ? [group] : [])),
  );
  const { hostGroups } = rooms.policy();
  const seconds = [...groups].flatMap((name) => hostGroups.get(name)?.freshForSeconds ?? []);
  const publishedMs = rooms.krl.current?.publishedMs;
  if (seconds.length === 0 || publishedMs === undefined) return;
  if (rooms.clock.nowMs() - publishedMs >= (Math.min(...seconds) * 1000) / partOfFreshness)
    await rooms.krl.publish();
}
