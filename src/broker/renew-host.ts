import type { RenewRequest } from '../hosts/index.ts';
import { certifyHost } from './certify-host.ts';
import type { EnrolledHost } from './enrol-host.ts';
import { openHostRequest, requireEnrolled } from './host-request.ts';
import type { Caller, Rooms } from './rooms.ts';

/**
 * New certificates for the host keys of an enrolled host, by proof that it still holds them.
 * @throws CodedError `hosts.…` as `openHostRequest`, `requireEnrolled` and `certifyHost`
 */
export async function renewHost(rooms: Rooms, request: RenewRequest, caller: Caller): Promise<EnrolledHost> {
  const host = await openHostRequest(rooms, request);
  requireEnrolled(host);
  const rule = `host-groups.${host.group}, renewed`;
  const certificates = await certifyHost(rooms, { host, keys: request.hostKeys, rule }, caller);
  return { host, certificates };
}
