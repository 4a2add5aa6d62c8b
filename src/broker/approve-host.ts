import { parseHostName } from '../hosts/index.ts';
import { CodedError, isCodedError } from '../kernel/index.ts';
import { entryBy, stillSignedIn } from './entries.ts';
import { hostFields, hostTarget } from './host-entries.ts';
import { claimsOf, type Host } from './host-rows.ts';
import { findHost, requireState } from './list-hosts.ts';
import type { Rooms, SignedIn } from './rooms.ts';

export interface HostApproval {
  readonly host: string;
  /** As the host itself shows it: `SHA256:…` of its identity key. */
  readonly fingerprint: string;
  readonly group: string;
  /** Instead of those that it claimed. */
  readonly names?: readonly string[] | undefined;
  readonly reason?: string | undefined;
}

/**
 * An admin lets a host in that waits, having compared the fingerprint on both sides. It gets its certificates when it asks again.
 * @throws CodedError `hosts.unknown_host`, `hosts.wrong_state`, `hosts.other_fingerprint`, `hosts.unknown_group`, `hosts.bad_name`,
 * `hosts.name_taken`
 */
export async function approveHost(rooms: Rooms, asked: HostApproval, caller: SignedIn): Promise<Host> {
  // 1. This host, and no other that came in between.
  const waiting = await findHost(rooms, asked.host);
  requireState(waiting, ['pending'], 'approved');
  if (waiting.identityFingerprint !== asked.fingerprint.trim()) {
    throw new CodedError('hosts.other_fingerprint', 'The host that waits has another fingerprint.', {
      next: 'Compare `sallyport host show` with what the host printed at its installation. If they differ, retire it: somebody else asked.',
    });
  }
  rooms.hosts.bundles.loadGroup(asked.group);

  // 2. Nobody else holds what it claims.
  const names = asked.names === undefined ? waiting.names : [...new Set(asked.names.map(parseHostName))];
  const atMs = rooms.clock.nowMs();
  // Addresses come from a token alone: nobody reads them one by one.
  const host: Host = {
    ...waiting,
    state: 'enrolled',
    group: asked.group,
    names,
    addresses: [],
    changedMs: atMs,
  };
  const claims = claimsOf(host);
  const [taken] = await rooms.store.hostClaims(claims);
  if (taken !== undefined) throw alreadyHeld(taken[0]);

  // 3. One transaction.
  const fields = { target: hostTarget(host), host: hostFields(host) };
  try {
    await rooms.store.commit({
      guard: stillSignedIn(caller),
      hosts: {
        moves: [
          {
            id: host.id,
            from: ['pending'],
            to: 'enrolled',
            atMs,
            group: host.group,
            names,
            addresses: [],
            claims,
          },
        ],
      },
      entries: [entryBy(caller, { type: 'host.approve', timeMs: atMs, fields, reason: asked.reason })],
    });
  } catch (error) {
    if (!isCodedError(error, 'store.conflict')) throw error;
    const [quicker] = await rooms.store.hostClaims(claims);
    throw quicker === undefined || quicker[1] === host.id ? error : alreadyHeld(quicker[0]);
  }
  return host;
}

function alreadyHeld(claim: string): CodedError {
  const what = claim.slice(claim.indexOf(':') + 1);
  return new CodedError('hosts.name_taken', `Another host holds ${what}.`, {
    next: 'Retire the old host first if this one replaces it, or approve it with other names (--name).',
  });
}
