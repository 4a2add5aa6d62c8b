import { CodedError, isCodedError, parseHostId, printable, type HostId } from '../kernel/index.ts';
import { unknownHost } from './host-request.ts';
import type { Host, HostCertificate, HostQuery } from './host-rows.ts';
import type { Rooms } from './rooms.ts';

/** A host with what the broker makes of what it said last. */
export interface SeenHost {
  readonly host: Host;
  /** How many bundles it is behind; undefined: it never said which one it has. */
  readonly behind: bigint | undefined;
  readonly freshness: 'fresh' | 'stale' | 'never';
}

export interface HostList {
  readonly hosts: readonly SeenHost[];
  /** Give it back as `after` for the next page. */
  readonly next: HostId | undefined;
}

/** By id, ascending. */
export async function listHosts(rooms: Rooms, asked: HostQuery): Promise<HostList> {
  const hosts = await rooms.store.hosts({ ...asked, limit: asked.limit + 1 });
  const page = hosts.slice(0, asked.limit);
  return {
    hosts: page.map((host) => seen(rooms, host)),
    next: hosts.length > asked.limit ? page.at(-1)?.id : undefined,
  };
}

/** One host, by its id or by a name it holds, with its live certificates. @throws CodedError `hosts.unknown_host` */
export async function showHost(
  rooms: Rooms,
  asked: string,
): Promise<SeenHost & { readonly certificates: readonly HostCertificate[] }> {
  const host = await findHost(rooms, asked);
  const certificates = await rooms.store.liveHostCertificates(host.id, rooms.clock.nowMs());
  return { ...seen(rooms, host), certificates };
}

/** The host an admin means. @throws CodedError `hosts.unknown_host` */
export async function findHost({ store }: Pick<Rooms, 'store'>, asked: string): Promise<Host> {
  const id =
    asHostId(asked) ?? (await store.hostClaims([`name:${asked.toLowerCase()}`])).values().next().value;
  const host = id === undefined ? undefined : await store.host(id);
  if (host === undefined) throw unknownHost(printable(asked, 80));
  return host;
}

function asHostId(text: string): HostId | undefined {
  try {
    return parseHostId(text);
  } catch (error) {
    if (isCodedError(error, 'kernel.bad_host_id')) return undefined;
    throw error;
  }
}

function seen(rooms: Rooms, host: Host): SeenHost {
  const { contact } = host;
  const current = rooms.krl.current?.version ?? 0n;
  if (contact === undefined || contact.installed === 0n)
    return { host, behind: undefined, freshness: 'never' };
  const group = rooms.policy().hostGroups.get(host.group);
  // The bundle it has was made before it first said so: not later than this it is stale, if no newer one has come.
  const staleMs = contact.installedMs + (group?.freshForSeconds ?? 0) * 1000;
  return {
    host,
    behind: current > contact.installed ? current - contact.installed : 0n,
    freshness: rooms.clock.nowMs() > staleMs ? 'stale' : 'fresh',
  };
}

/** How the estate stands, for metrics. */
export interface HostTotals {
  readonly counts: Awaited<ReturnType<Rooms['store']['hostCounts']>>;
  readonly stale: number;
  readonly behind: number;
  readonly waiting: number;
}

/** Counts over all hosts; stale and behind of those that are enrolled. */
export async function countHosts(rooms: Rooms): Promise<HostTotals> {
  const counts = await rooms.store.hostCounts();
  const current = rooms.krl.current?.version ?? 0n;
  let [stale, behind] = [0, 0];
  for (const { state, group } of counts) {
    if (state !== 'enrolled') continue;
    const freshMs = (rooms.policy().hostGroups.get(group)?.freshForSeconds ?? 0) * 1000;
    const lag = await rooms.store.hostLag(group, current, rooms.clock.nowMs() - freshMs);
    stale += lag.stale;
    behind += lag.behind;
  }
  return { counts, stale, behind, waiting: rooms.hosts.waiting.count };
}

/** @throws CodedError `hosts.wrong_state` */
export function requireState(host: Host, states: readonly Host['state'][], what: string): void {
  if (states.includes(host.state)) return;
  throw new CodedError('hosts.wrong_state', `The host ${host.id} is ${host.state}: it cannot be ${what}.`, {
    next: `See \`sallyport host show ${host.id}\`.`,
  });
}
