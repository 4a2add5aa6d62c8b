import type { SyncRequest } from '../hosts/index.ts';
import { isCodedError } from '../kernel/index.ts';
import { refuseSecondMachine } from './conflict-host.ts';
import { openHostRequest, requireEnrolled } from './host-request.ts';
import type { Host } from './host-rows.ts';
import type { Caller, Rooms } from './rooms.ts';

/**
 * A host says how it stands, and gets its bundle when there is a newer one than it has, at once or within the time that it is ready
 * to wait. @returns the signed bundle, or undefined: what it has is in force
 * @throws CodedError `hosts.…` as `openHostRequest` and `requireEnrolled`; `hosts.conflict` for a second machine with this identity
 */
export async function syncHost(
  rooms: Rooms,
  request: SyncRequest,
  caller: Caller & { readonly gone: AbortSignal },
): Promise<Buffer | undefined> {
  // 1. It is the host, now, for the first time with these words.
  const host = await openHostRequest(rooms, request);
  requireEnrolled(host);
  rooms.hosts.bundles.loadGroup(host.group);

  // 2. What it says of itself is kept. A step that was said before, or by another machine, is the voice of a copy.
  await recordContact(rooms, host, request, caller);

  // 3. It waits for the next list.
  const now = await rooms.hosts.waiting.until({
    host: host.id,
    have: request.have,
    timeoutMs: request.waitSeconds * 1000,
    gone: caller.gone,
  });

  // 4. Much may have happened meanwhile.
  if (now === undefined) return undefined;
  requireEnrolled(now);
  return rooms.hosts.bundles.make(now);
}

async function recordContact(rooms: Rooms, host: Host, request: SyncRequest, caller: Caller): Promise<void> {
  const { machine, step, installed, checks, sshd, lastLoginMs } = request;
  try {
    await rooms.store.commit({
      hosts: {
        contact: {
          host: host.id,
          machine,
          step,
          contactMs: rooms.clock.nowMs(),
          installed,
          checks,
          sshd,
          ...(lastLoginMs === undefined ? {} : { lastLoginMs }),
        },
      },
      entries: [],
    });
  } catch (error) {
    if (!isCodedError(error, 'store.conflict')) throw error;
    const now = await rooms.store.host(host.id);
    if (now === undefined) throw error;
    requireEnrolled(now);
    const why =
      now.machine === machine
        ? `step ${step} came after step ${now.contact?.step ?? 0n}: two machines use its identity.`
        : 'another machine than the one that was enrolled uses its identity.';
    await refuseSecondMachine(rooms, now, why, caller);
  }
}
