import { entryOfHost, hostFields, hostTarget } from './host-entries.ts';
import { conflictOf, nameOf } from './host-request.ts';
import type { Host, HostMove } from './host-rows.ts';
import type { Caller, Rooms } from './rooms.ts';

/** What it is called when two machines present one host key. */
function twinWords(other: Host): string {
  return `It presents a host key that ${nameOf(other)} presents as well: one machine is a copy of the other.`;
}

/**
 * Two machines present one host key: both are refused from now on, until an admin has found out which one is the right one.
 * @param newcomer a host that is not in the database yet, or one that is enrolled
 * @throws CodedError `hosts.conflict` naming both
 */
export async function refuseTwins(
  rooms: Rooms,
  {
    newcomer,
    isNew,
    twinId,
  }: { readonly newcomer: Host; readonly isNew: boolean; readonly twinId: Host['id'] },
  caller: Caller,
): Promise<never> {
  const twin = await rooms.store.host(twinId);
  if (twin === undefined) throw new Error('a claim belongs to a host');
  const atMs = rooms.clock.nowMs();
  const clone: Host = { ...newcomer, state: 'conflict', conflict: twinWords(twin), conflictWith: twin.id };
  const other: Host = { ...twin, state: 'conflict', conflict: twinWords(clone), conflictWith: clone.id };
  await rooms.store.commit({
    hosts: {
      ...(isNew ? { newHost: { host: clone, claims: [] } } : {}),
      moves: (isNew ? [other] : [clone, other]).map((host) => intoConflict(host, atMs)),
    },
    entries: [clone, other].map((host) => conflictEntry(host, atMs, caller)),
  });
  throw conflictOf(clone);
}

/**
 * A second machine uses the identity of a host: it is refused, and so is the other machine, until an admin has looked.
 * @throws CodedError `hosts.conflict`
 */
export async function refuseSecondMachine(
  rooms: Rooms,
  host: Host,
  why: string,
  caller: Caller,
): Promise<never> {
  const atMs = rooms.clock.nowMs();
  const { conflictWith: _none, ...own } = host;
  const refused: Host = { ...own, state: 'conflict', conflict: why };
  await rooms.store.commit({
    hosts: { moves: [intoConflict(refused, atMs)] },
    entries: [conflictEntry(refused, atMs, caller)],
  });
  throw conflictOf(refused);
}

function intoConflict({ id, conflict = '', conflictWith }: Host, atMs: number): HostMove {
  return {
    id,
    from: ['enrolled', 'conflict'],
    to: 'conflict',
    atMs,
    conflict: { why: conflict, ...(conflictWith === undefined ? {} : { with: conflictWith }) },
  };
}

function conflictEntry(host: Host, timeMs: number, caller: Caller): ReturnType<typeof entryOfHost> {
  const fields = { target: hostTarget(host), host: hostFields(host) };
  return entryOfHost(caller, { type: 'host.conflict', timeMs, fields });
}
