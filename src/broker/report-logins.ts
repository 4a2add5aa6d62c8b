import type { ReportRequest } from '../hosts/index.ts';
import { isCodedError, parseHostId } from '../kernel/index.ts';
import { hostTarget } from './host-entries.ts';
import { openHostRequest, requireEnrolled } from './host-request.ts';
import type { Host } from './host-rows.ts';
import { judgeDueLogins, takeReport, type ReportingHost } from './judge-logins.ts';
import { respondToLogins } from './respond-to-logins.ts';
import type { Rooms } from './rooms.ts';

/**
 * A host reports what it saw. @returns the number that it is to report next: everything below it is durable
 * @throws CodedError `hosts.…` as `openHostRequest` and `requireEnrolled`, `hosts.too_many_events`, `store.…`
 */
export async function reportLogins(rooms: Rooms, request: ReportRequest): Promise<bigint> {
  const host = await openHostRequest(rooms, request);
  requireEnrolled(host);
  const { boot, events } = request;
  await withinItsHour(rooms, host, events.length);
  return takeReport(rooms, reportingHost(rooms, host), { boot, events });
}

/** A host that floods fills neither the log nor the time of the others. @throws CodedError `hosts.too_many_events`, once with an entry */
async function withinItsHour(rooms: Rooms, host: Host, events: number): Promise<void> {
  const quota = rooms.hosts.reportQuota.take(host.id, events);
  if (quota.outcome === 'granted') return;
  if (quota.first) {
    await rooms.store.commit({
      entries: [
        {
          type: 'host.flood',
          outcome: 'denied',
          reasonCode: quota.error.code,
          timeMs: rooms.clock.nowMs(),
          actor: { kind: 'host' },
          fields: { target: hostTarget(host) },
        },
      ],
    });
  }
  throw quota.error;
}

/** What has waited long enough is judged, and what rules say about it is done. Called every few seconds. */
export async function followLogins(rooms: Rooms): Promise<void> {
  const hostOf = async (hostId: string): Promise<ReportingHost> => {
    const host = await rooms.store.host(parseHostId(hostId));
    return host === undefined
      ? { id: hostId, name: hostId, accounts: new Map() }
      : reportingHost(rooms, host);
  };
  await respondToLogins(rooms, await judgeDueLogins(rooms, hostOf));
}

/** A host as its logins are judged. */
export function reportingHost({ hosts }: Rooms, { id, names, group }: Host): ReportingHost {
  return { id, name: names[0] ?? id, accounts: accountsOf(hosts, group) };
}

/** Of a group that the policy does not know any more: accounts are opened by their own names, as before there were groups. */
function accountsOf({ bundles }: Rooms['hosts'], group: string): ReportingHost['accounts'] {
  try {
    const { principals } = bundles.loadGroup(group);
    return new Map(principals.map(({ account, names }) => [account, names]));
  } catch (error) {
    if (isCodedError(error, 'hosts.unknown_group')) return new Map();
    throw error;
  }
}
