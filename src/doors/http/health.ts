import type { Rooms } from '../../broker/index.ts';

export interface Dependency {
  readonly name: string;
  readonly state: 'up' | 'down' | 'unknown';
  /** For whoever runs the broker: it may name files and servers. */
  readonly detail?: string;
}

/**
 * Ready means: logins can be answered and recorded. One directory of several that is down leaves the broker ready, and says so;
 * without its store or its list it is not. Sinks are shown and do not count: entries wait for them in the log.
 */
export async function readiness(
  rooms: Rooms,
): Promise<{ readonly ready: boolean; readonly dependencies: readonly Dependency[] }> {
  const store = await storeState(rooms);
  const krl = rooms.krl.current;
  const list: Dependency = {
    name: 'krl',
    state: krl === undefined ? 'down' : 'up',
    detail: krl === undefined ? 'no list has been published' : `version ${krl.version}`,
  };
  const directories = rooms.identity
    .health()
    .map(({ directory, state, detail }): Dependency => ({ name: `directory:${directory}`, state, detail }));
  const anyDirectory = directories.some(({ state }) => state !== 'down');
  return {
    ready: store.state === 'up' && list.state === 'up' && anyDirectory,
    dependencies: [store, list, ...directories, ...(await sinkStates(rooms))],
  };
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
