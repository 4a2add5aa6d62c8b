import type { EntryDraft } from '../accounting/index.ts';
import { formatCertificate, hostGrant, newKeyId, sshFingerprint } from '../issuance/index.ts';
import type { HostRequest } from '../hosts/index.ts';
import type { Serial } from '../kernel/index.ts';
import { entryOfHost, hostCredentialFields, hostTarget } from './host-entries.ts';
import type { Host, HostCertificate } from './host-rows.ts';
import type { Caller, Rooms } from './rooms.ts';
import type { Change } from './unit-of-work.ts';
import { voidSerial } from './void-serial.ts';

type HostKeys = Extract<HostRequest, { action: 'renew' }>['hostKeys'];

/** Certificates that are signed and not recorded yet: they must go nowhere before `releaseHostCertificates`. */
export interface SignedHostCertificates {
  readonly certificates: readonly HostCertificate[];
  readonly entries: readonly EntryDraft[];
  /** One line each, in the order of the keys. */
  readonly lines: readonly string[];
}

/**
 * Signs the keys that a host proved to hold, for the names that it was granted. Serials are reserved durably before; where anything
 * fails, all of them become void.
 */
export async function signHostCertificates(
  rooms: Rooms,
  asked: {
    readonly host: Pick<Host, 'id' | 'group' | 'names' | 'addresses'>;
    readonly keys: HostKeys;
    readonly rule: string;
  },
  caller: Caller,
): Promise<SignedHostCertificates> {
  const { host, keys, rule } = asked;
  const { issuer, serials, bundles } = rooms.hosts;
  const nowMs = rooms.clock.nowMs();
  const group = bundles.loadGroup(host.group);
  const grant = hostGrant([...host.names, ...host.addresses], nowMs, group.certificateSeconds);
  const taken: Serial[] = [];
  const certificates: HostCertificate[] = [];
  const lines: string[] = [];
  try {
    for (const key of keys) {
      const serial = await serials.next();
      taken.push(serial);
      const keyId = newKeyId(rooms.random);
      const signed = await issuer.sign(issuer.lint(grant, { key, serial, keyId }, nowMs));
      lines.push(formatCertificate(signed, keyId));
      certificates.push({
        caFingerprint: issuer.caFingerprint,
        serial,
        keyId,
        hostId: host.id,
        keyType: key.type,
        keyFingerprint: sshFingerprint(key.blob),
        principals: grant.principals,
        validAfter: grant.validAfter,
        validBefore: grant.validBefore,
        issuedMs: nowMs,
      });
    }
  } catch (error) {
    for (const serial of taken) await voidSerial({ ...rooms, ...rooms.hosts }, serial, error);
    throw error;
  }
  const decision = { version: rooms.policy().policyVersion, rule };
  const options = { critical: {}, extensions: [] };
  const entries = certificates.map((certificate) =>
    entryOfHost(caller, {
      type: 'cred.issue',
      timeMs: nowMs,
      fields: {
        cred: { ...hostCredentialFields(certificate, host.group), options },
        target: hostTarget(host),
        decision,
      },
    }),
  );
  return { certificates, entries, lines };
}

/** Commits a change with the certificates and their entries in it. @returns their lines, which may leave now. @throws CodedError `store.…` */
export async function releaseHostCertificates(
  rooms: Rooms,
  signed: SignedHostCertificates,
  change: Change,
): Promise<readonly string[]> {
  const { serials } = rooms.hosts;
  const settled = serials.takeSettled();
  try {
    await rooms.store.commit({
      ...change,
      hosts: { ...change.hosts, certificates: signed.certificates },
      settledSerials: settled,
      entries: [...change.entries, ...signed.entries],
    } satisfies Change);
  } catch (error) {
    for (const { serial } of signed.certificates)
      await voidSerial({ ...rooms, ...rooms.hosts }, serial, error);
    throw error;
  }
  for (const { serial } of signed.certificates) serials.settle(serial);
  return signed.lines;
}
