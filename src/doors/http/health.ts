import type { Rooms } from '../../broker/index.ts';

/** As long as any certificate may live, twice. */
const heldForMs = 2 * 86_400_000;

export interface Dependency {
  readonly name: string;
  readonly state: 'up' | 'down' | 'unknown';
  /** For whoever runs the broker: it may name files and servers. */
  readonly detail?: string;
}

/**
 * Ready means: logins can be answered and recorded. One directory of several that is down leaves the broker ready, and says so;
 * without its store or its list it is not. Sinks and witnesses are shown and do not count: entries wait for the ones in the log,
 * and only certificates whose profile says so for the others.
 */
export async function readiness(
  rooms: Rooms,
): Promise<{ readonly ready: boolean; readonly dependencies: readonly Dependency[] }> {
  const store = await storeState(rooms);
  const krl = rooms.krl.current;
  const list: Dependency = {
    name: 'krl',
    state: krl === undefined ? 'down' : 'up',
    detail: [
      krl === undefined ? 'no list has been published' : `version ${krl.version}`,
      ...(rooms.krl.loss === undefined ? [] : [rooms.krl.loss.message]),
    ].join('; '),
  };
  const held = await heldPeople(rooms);
  const directories = rooms.identity.health().map(({ directory, state, detail }): Dependency => ({
    name: `directory:${directory}`,
    state,
    detail: [detail, ...followed(rooms, directory, held)].join('; '),
  }));
  const anyDirectory = directories.some(({ state }) => state !== 'down');
  return {
    ready: store.state === 'up' && list.state === 'up' && anyDirectory,
    dependencies: [store, list, ...directories, ...(await sinkStates(rooms)), ...witnessStates(rooms)],
  };
}

/** People of each directory whose departures wait for an admin; nothing while the database does not answer. */
export async function heldPeople({ store, clock }: Rooms): Promise<ReadonlyMap<string, number>> {
  const held = new Map<string, number>();
  try {
    for (const { directory, state, people } of await store.departureReviews(clock.nowMs() - heldForMs))
      if (state === 'waiting') held.set(directory, (held.get(directory) ?? 0) + people.length);
  } catch {
    // The store's own line says so.
  }
  return held;
}

/** How departures of a directory are followed, in a few words. */
function followed(
  { followers }: Rooms,
  directory: string,
  held: ReadonlyMap<string, number>,
): readonly string[] {
  const state = followers.map((follower) => follower.state()).find((one) => one.directory === directory);
  if (state === undefined) return ['departures are not followed'];
  const waiting = held.get(directory) ?? 0;
  return [
    `departures: ${state.state === 'standby' ? 'another broker follows' : state.state}`,
    ...(state.doubtful.size === 0 ? [] : [`${state.doubtful.size} people in doubt`]),
    ...(waiting === 0 ? [] : [`${waiting} people wait for an admin (sallyport admin departures)`]),
  ];
}

async function storeState(rooms: Rooms): Promise<Dependency> {
  try {
    const { size } = await rooms.store.logHead();
    return { name: 'store', state: 'up', detail: `${size} log entries` };
  } catch {
    // The cause is in the log of every request that met it.
    return { name: 'store', state: 'down', detail: 'the database does not answer' };
  }
}

async function sinkStates(rooms: Rooms): Promise<readonly Dependency[]> {
  try {
    return (await rooms.delivery.states()).map(({ name, state, lag, failure }) => ({
      name: `sink:${name}`,
      state: state === 'standby' ? 'unknown' : state,
      detail: [
        ...(state === 'standby' ? ['another broker delivers'] : []),
        `${lag} entries behind`,
        ...(failure === undefined ? [] : [failure.detail]),
      ].join('; '),
    }));
  } catch {
    // The database does not answer, which the store's own line says.
    return [];
  }
}

/** The quorum, and each witness; nothing where there are none. */
function witnessStates({ cosigning, clock }: Rooms): readonly Dependency[] {
  if (cosigning === undefined) return [];
  const { newest, isFailing } = cosigning;
  const known = newest === undefined ? 'unknown' : 'up';
  const words = [
    ...(isFailing ? ['no quorum: certificates that must wait for one are refused'] : []),
    newest === undefined
      ? 'no quorum has cosigned anything yet'
      : `a quorum has cosigned ${newest.size} entries`,
  ];
  const each = cosigning.states().map(({ name, state, cosigned, failure }): Dependency => {
    const ageSeconds = cosigned && Math.max(0, Math.round((clock.nowMs() - cosigned.atMs) / 1000));
    const seen =
      cosigned === undefined
        ? 'has cosigned nothing yet'
        : `cosigned ${cosigned.size} entries ${ageSeconds} s ago`;
    const fault = failure === undefined ? [] : [`${failure.detail} (${failure.code})`];
    return { name: `witness:${name}`, state, detail: [seen, ...fault].join('; ') };
  });
  return [{ name: 'witnesses', state: isFailing ? 'down' : known, detail: words.join('; ') }, ...each];
}
