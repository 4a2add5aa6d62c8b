import type { EntryDraft } from '../accounting/index.ts';
import { CodedError } from '../kernel/index.ts';
import { entryBy, stillSignedIn } from './entries.ts';
import { hostCredentialFields, hostTarget } from './host-entries.ts';
import type { Host, HostCertificate } from './host-rows.ts';
import { findHost, requireState } from './list-hosts.ts';
import type { Rooms, SignedIn } from './rooms.ts';
import type { Publication } from './unit-of-work.ts';

export interface Retirement {
  readonly host: string;
  readonly reason: string;
  /** False rehearses: everything is looked up, nothing changes. */
  readonly apply: boolean;
}

export interface RetiredHost {
  readonly host: Host;
  readonly applied: boolean;
  /** What was (or would be) revoked. */
  readonly certificates: readonly HostCertificate[];
  readonly published?: Publication;
}

/**
 * A host is one no more: its certificates are revoked, its names are free, and its identity is refused for good.
 * @throws CodedError `hosts.unknown_host`, `hosts.wrong_state`; `revocation.not_published` when only the list is missing
 */
export async function retireHost(rooms: Rooms, asked: Retirement, caller: SignedIn): Promise<RetiredHost> {
  const host = await findHost(rooms, asked.host);
  requireState(host, ['pending', 'enrolled', 'conflict'], 'retired');
  const certificates = await rooms.store.liveHostCertificates(host.id, rooms.clock.nowMs());
  if (!asked.apply) return { host, applied: false, certificates };

  const timeMs = rooms.clock.nowMs();
  const { reason } = asked;
  await rooms.store.transact(async (reads) => {
    const live = await reads.liveHostCertificates(host.id, timeMs);
    const fields = { target: hostTarget(host) };
    return {
      change: {
        guard: stillSignedIn(caller),
        hosts: {
          moves: [{ id: host.id, from: ['pending', 'enrolled', 'conflict'], to: 'retired', atMs: timeMs }],
          revokeCertificates: { hosts: [host.id], atMs: timeMs, reason },
        },
        entries: [
          ...revocations(live, { host, reason, timeMs }, caller),
          entryBy(caller, { type: 'host.retire', timeMs, fields, reason }),
        ],
      },
      result: undefined,
    };
  });
  const retired: Host = { ...host, state: 'retired', changedMs: timeMs };
  return { host: retired, applied: true, certificates, published: await publishHosts(rooms) };
}

/** The entries of the certificates that die with a host, or with one of two machines. */
export function revocations(
  certificates: readonly HostCertificate[],
  { host, reason, timeMs }: { readonly host: Host; readonly reason: string; readonly timeMs: number },
  caller: SignedIn,
): readonly EntryDraft[] {
  return certificates.map((certificate) =>
    entryBy(caller, {
      type: 'cred.revoke',
      timeMs,
      fields: { cred: hostCredentialFields(certificate, host.group), target: hostTarget(host) },
      reason,
    }),
  );
}

/** @throws CodedError `revocation.not_published` */
export async function publishHosts(rooms: Pick<Rooms, 'krl'>): Promise<Publication> {
  try {
    return await rooms.krl.publish();
  } catch (error) {
    throw new CodedError(
      'revocation.not_published',
      'It is recorded and holds at the broker, but the new list could not be published yet.',
      {
        next: 'The broker tries again every second; if the list does not change, tell whoever runs the broker.',
        cause: error,
      },
    );
  }
}
