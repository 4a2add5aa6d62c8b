import { describeKey, type HostRequest } from '../hosts/index.ts';
import { refuseTwins } from './conflict-host.ts';
import { claimsOf, type Host } from './host-rows.ts';
import { releaseHostCertificates, signHostCertificates } from './issue-ssh-host.ts';
import type { Caller, Rooms } from './rooms.ts';

type HostKeys = Extract<HostRequest, { action: 'renew' }>['hostKeys'];

/**
 * Certificates for the host keys that an enrolled host proved to hold just now, for the names it was granted at its enrolment and no
 * others. Keys that it did not have before are its own from now on, unless another machine presents them.
 * @returns one line for each key @throws CodedError `hosts.conflict`, `hosts.unknown_group`, `issuance.lint`, `store.…`
 */
export async function certifyHost(
  rooms: Rooms,
  { host, keys, rule }: { readonly host: Host; readonly keys: HostKeys; readonly rule: string },
  caller: Caller,
): Promise<readonly string[]> {
  // 1. Nobody else presents these keys.
  const hostKeys = keys.map((key) => describeKey(key).fingerprint);
  const holders = await rooms.store.hostClaims(hostKeys.map((key) => `key:${key}`));
  const twinId = [...holders.values()].find((id) => id !== host.id);
  if (twinId !== undefined) return refuseTwins(rooms, { newcomer: host, isNew: false, twinId }, caller);

  // 2. Sign, record, release; a key that is new is claimed in the same transaction.
  const isSame =
    hostKeys.length === host.hostKeys.length && hostKeys.every((key) => host.hostKeys.includes(key));
  const claims = claimsOf({ ...host, hostKeys });
  const signed = await signHostCertificates(rooms, { host, keys, rule }, caller);
  return releaseHostCertificates(rooms, signed, {
    hosts: {
      moves: [
        {
          id: host.id,
          from: ['enrolled'],
          to: 'enrolled',
          atMs: rooms.clock.nowMs(),
          ...(isSame ? {} : { hostKeys, claims }),
        },
      ],
    },
    entries: [],
  });
}
