import { entryBy, stillSignedIn } from './entries.ts';
import { hostFields, hostTarget } from './host-entries.ts';
import { claimsOf, type Host, type HostMove } from './host-rows.ts';
import { findHost, requireState } from './list-hosts.ts';
import { publishHosts, revocations } from './retire-host.ts';
import type { Rooms, SignedIn } from './rooms.ts';

export interface Resolution {
  /** The right one of two. */
  readonly host: string;
  readonly reason: string;
}

export interface ResolvedHost {
  readonly host: Host;
  /** The one that was the copy: retired, with its certificates. */
  readonly retired: Host | undefined;
}

/**
 * An admin found out which machine is the right one: it goes on, and the host that presented the same key is retired. Where one
 * identity was used by two machines, whichever speaks next is taken for the right one: the admin has stopped the other.
 * @throws CodedError `hosts.unknown_host`, `hosts.wrong_state`; `revocation.not_published` when only the list is missing
 */
export async function resolveHost(rooms: Rooms, asked: Resolution, caller: SignedIn): Promise<ResolvedHost> {
  const right = await findHost(rooms, asked.host);
  requireState(right, ['conflict'], 'resolved');
  const other = right.conflictWith === undefined ? undefined : await rooms.store.host(right.conflictWith);
  const copy = other?.state === 'conflict' ? other : undefined;
  const atMs = rooms.clock.nowMs();
  const { reason } = asked;
  const { conflict: _why, conflictWith: _with, ...rest } = right;
  const host: Host = { ...rest, state: 'enrolled', machine: '', changedMs: atMs };
  await rooms.store.transact(async (reads) => {
    const live = copy === undefined ? [] : await reads.liveHostCertificates(copy.id, atMs);
    const goesOn: HostMove = {
      id: host.id,
      from: ['conflict'],
      to: 'enrolled',
      atMs,
      machine: '',
      forgetStep: true,
      claims: claimsOf(host),
    };
    const fields = {
      target: hostTarget(host),
      host: hostFields({ ...host, ...(copy && { conflictWith: copy.id }) }),
    };
    return {
      change: {
        guard: stillSignedIn(caller),
        hosts: {
          // The copy first: what it holds is free for the right one then.
          moves: [
            ...(copy === undefined
              ? []
              : [{ id: copy.id, from: ['conflict'], to: 'retired', atMs } as const]),
            goesOn,
          ],
          ...(copy === undefined ? {} : { revokeCertificates: { hosts: [copy.id], atMs, reason } }),
        },
        entries: [
          entryBy(caller, { type: 'host.resolve', timeMs: atMs, fields, reason }),
          ...(copy === undefined ? [] : revocations(live, { host: copy, reason, timeMs: atMs }, caller)),
          ...(copy === undefined
            ? []
            : [
                entryBy(caller, {
                  type: 'host.retire',
                  timeMs: atMs,
                  fields: { target: hostTarget(copy) },
                  reason,
                }),
              ]),
        ],
      },
      result: undefined,
    };
  });
  if (copy !== undefined) await publishHosts(rooms);
  return { host, retired: copy };
}
