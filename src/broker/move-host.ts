import { CodedError } from '../kernel/index.ts';
import { entryBy, stillSignedIn } from './entries.ts';
import { hostFields, hostTarget } from './host-entries.ts';
import type { Host } from './host-rows.ts';
import { findHost, requireState } from './list-hosts.ts';
import { publishHosts } from './retire-host.ts';
import type { Rooms, SignedIn } from './rooms.ts';

export interface HostRelocation {
  readonly host: string;
  readonly group: string;
  readonly reason: string;
}

/**
 * A host goes over to another group: from the next bundle on its rules hold there. That bundle is there with the answer, because a new list
 * is published: the version of a bundle is that of its list.
 * @throws CodedError `hosts.unknown_host`, `hosts.wrong_state`, `hosts.unknown_group`, `hosts.same_group`;
 * `revocation.not_published` when only the new bundle is missing
 */
export async function moveHost(rooms: Rooms, asked: HostRelocation, caller: SignedIn): Promise<Host> {
  const { group, reason } = asked;
  const found = await findHost(rooms, asked.host);
  rooms.hosts.bundles.loadGroup(group);
  const atMs = rooms.clock.nowMs();
  const moved = await rooms.store.transact(async (reads) => {
    const host = (await reads.host(found.id)) ?? found;
    requireState(host, ['enrolled'], 'moved');
    if (host.group === group) throw sameGroup(host);
    const result: Host = { ...host, group, changedMs: atMs };
    const fields = {
      target: hostTarget(host),
      host: { ...hostFields(result), from_group: host.group },
    };
    return {
      change: {
        guard: stillSignedIn(caller),
        hosts: { moves: [{ id: host.id, from: ['enrolled'], to: 'enrolled', atMs, group }] },
        entries: [entryBy(caller, { type: 'host.move', timeMs: atMs, fields, reason })],
      },
      result,
    };
  });
  await publishHosts(rooms);
  return moved;
}

function sameGroup({ id, group }: Host): CodedError {
  return new CodedError('hosts.same_group', `The host ${id} is in the group “${group}” already.`, {
    next: 'Nothing needs to be done; see `sallyport host show`.',
  });
}
