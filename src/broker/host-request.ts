import {
  checkFresh,
  hostClockToleranceMs,
  readIdentityKey,
  verifyProofs,
  type HostRequest,
} from '../hosts/index.ts';
import { CodedError, type HostId } from '../kernel/index.ts';
import type { Host } from './host-rows.ts';
import type { Rooms } from './rooms.ts';

type OfKnownHost = Extract<HostRequest, { action: 'renew' | 'sync' | 'report' }>;

/**
 * The host that made a request: it is known, its identity key and every host key it names signed these very bytes, now and once. What
 * state it is in is for the caller to look at.
 * @throws CodedError `hosts.unknown_host`, `hosts.bad_signature`, `hosts.clock_skew`, `hosts.replayed`
 */
export async function openHostRequest(rooms: Rooms, request: OfKnownHost): Promise<Host> {
  const host = await rooms.store.host(request.host);
  if (host === undefined) throw unknownHost(request.host);
  verifyProofs(request, readIdentityKey(host.identityKey));
  await useOnce(rooms, request, host.identityFingerprint);
  return host;
}

/** Behind the signatures: who cannot sign cannot fill the memory of nonces. @throws CodedError `hosts.clock_skew`, `hosts.replayed` */
export async function useOnce(
  rooms: Rooms,
  request: HostRequest,
  identityFingerprint: string,
): Promise<void> {
  const { timeMs, nonce } = request;
  checkFresh(request, rooms.clock.nowMs());
  const times = { madeMs: timeMs, untilMs: timeMs + hostClockToleranceMs };
  if ((await rooms.hosts.nonces.use(identityFingerprint, nonce, times)) === 'new') return;
  throw new CodedError('hosts.replayed', 'This request was made before, or the broker cannot tell.', {
    next: 'Ask again with a fresh request; if this comes back, somebody repeats what the host sent.',
  });
}

/** Lets an enrolled host through. @throws CodedError `hosts.pending`, `hosts.conflict`, `hosts.retired` */
export function requireEnrolled(host: Host): void {
  switch (host.state) {
    case 'enrolled':
      return;
    case 'pending':
      throw new CodedError('hosts.pending', `This host waits for an admin: ${host.identityFingerprint}.`, {
        next: `An admin compares the fingerprint on both sides and runs \`sallyport host approve ${host.id}\`.`,
      });
    case 'conflict':
      throw conflictOf(host);
    case 'retired':
      throw new CodedError('hosts.retired', `The host ${host.id} was retired.`, {
        next: 'Uninstall, and enrol it anew with a token.',
      });
  }
}

/** Two machines, one key: nobody knows which is the right one. */
export function conflictOf(host: Pick<Host, 'id' | 'names' | 'conflict' | 'conflictWith'>): CodedError {
  const why = host.conflict ?? 'Two machines present one key.';
  return new CodedError('hosts.conflict', `The host ${nameOf(host)} is refused: ${why}`, {
    next: `An admin finds out which machine is the right one and runs \`sallyport host resolve ${host.id}\`.`,
    details: { hosts: [host.id, ...(host.conflictWith === undefined ? [] : [host.conflictWith])] },
  });
}

/** `db1.example.com (h-…)`. */
export function nameOf({ id, names }: Pick<Host, 'id' | 'names'>): string {
  const [name] = names;
  return name === undefined ? id : `${name} (${id})`;
}

export function unknownHost(id: HostId | string): CodedError {
  return new CodedError('hosts.unknown_host', `There is no host ${id} here.`, {
    next: 'See `sallyport host list`; on the host itself, enrol it anew.',
  });
}
