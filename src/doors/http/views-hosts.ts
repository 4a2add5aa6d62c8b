import type { Host, HostCertificate, HostToken, SeenHost } from '../../broker/index.ts';
import { toRfc3339 } from '../../kernel/index.ts';

/** A token as JSON shows it: everything but what it is. */
export function viewHostToken(token: HostToken, nowMs: number): object {
  const { id, group, names, addresses, maxUses, used, createdMs, expiresMs, createdBy, droppedMs } = token;
  const state =
    droppedMs !== undefined
      ? 'dropped'
      : used >= maxUses
        ? 'used_up'
        : expiresMs <= nowMs
          ? 'expired'
          : 'good';
  return {
    id,
    group,
    names,
    addresses,
    maxUses,
    used,
    createdAt: toRfc3339(createdMs),
    expiresAt: toRfc3339(expiresMs),
    createdBy,
    state,
  };
}

/** A host as JSON shows it; 64-bit numbers are decimal strings. */
export function viewHost({ host, behind, freshness }: SeenHost): object {
  const { contact } = host;
  return {
    id: host.id,
    group: host.group,
    state: host.state,
    names: host.names,
    addresses: host.addresses,
    fingerprint: host.identityFingerprint,
    hostKeys: host.hostKeys,
    platform: host.platform,
    ...(host.tokenId === undefined ? {} : { tokenId: host.tokenId }),
    createdAt: toRfc3339(host.createdMs),
    changedAt: toRfc3339(host.changedMs),
    ...(host.conflict === undefined ? {} : { conflict: host.conflict }),
    ...(host.conflictWith === undefined ? {} : { conflictWith: host.conflictWith }),
    freshness,
    ...(behind === undefined ? {} : { behind: String(behind) }),
    ...(contact === undefined
      ? {}
      : {
          contact: {
            at: toRfc3339(contact.contactMs),
            installed: String(contact.installed),
            installedSince: toRfc3339(contact.installedMs),
            checks: contact.checks,
            sshd: contact.sshd,
            ...(contact.lastLoginMs === undefined ? {} : { lastLoginAt: toRfc3339(contact.lastLoginMs) }),
          },
        }),
  };
}

export function viewHostCertificate(certificate: HostCertificate): object {
  const { serial, keyId, keyType, keyFingerprint, principals, validAfter, validBefore } = certificate;
  return {
    serial: String(serial),
    keyId,
    keyType,
    keyFingerprint,
    principals,
    validAfter: toRfc3339(Number(validAfter) * 1000),
    validBefore: toRfc3339(Number(validBefore) * 1000),
  };
}

/** What became of a host by an admin's word. */
export function viewChangedHost(
  host: Host,
  {
    applied = true,
    certificates = [],
  }: { applied?: boolean; certificates?: readonly HostCertificate[] } = {},
): object {
  const [name] = host.names;
  return {
    host: host.id,
    ...(name === undefined ? {} : { name }),
    state: host.state,
    applied,
    certificates: certificates.map(viewHostCertificate),
  };
}
