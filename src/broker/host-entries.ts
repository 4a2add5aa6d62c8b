import type { EntryDraft } from '../accounting/index.ts';
import { toRfc3339 } from '../kernel/index.ts';
import { fromCaller } from './entries.ts';
import type { Host, HostCertificate } from './host-rows.ts';
import type { Caller } from './rooms.ts';

type Fields = NonNullable<EntryDraft['fields']>;
type Named = Pick<Host, 'id' | 'names'>;

/** The `target` of an entry about a host. */
export function hostTarget({ id, names }: Named): { kind: 'host'; host_id: string; name?: string } {
  const [name] = names;
  return { kind: 'host', host_id: id, ...(name === undefined ? {} : { name }) };
}

/** The `host` field of an entry: what it was found or granted to be. */
export function hostFields(host: Host): Fields {
  return {
    state: host.state,
    group: host.group,
    names: host.names,
    addresses: host.addresses,
    identity_fp: host.identityFingerprint,
    keys: host.hostKeys,
    platform: host.platform,
    ...(host.tokenId === undefined ? {} : { token: host.tokenId }),
    ...(host.conflictWith === undefined ? {} : { other: host.conflictWith }),
  };
}

/** The log's `cred` field of a host certificate. */
export function hostCredentialFields(certificate: HostCertificate, group: string): Fields {
  return {
    kind: 'ssh-host',
    serial: String(certificate.serial),
    ca_fp: certificate.caFingerprint,
    key_id: certificate.keyId,
    key_fp: certificate.keyFingerprint,
    key_type: certificate.keyType,
    principals: certificate.principals,
    not_before: toRfc3339(Number(certificate.validAfter) * 1000),
    not_after: toRfc3339(Number(certificate.validBefore) * 1000),
    profile: group,
  };
}

interface HostDeed {
  readonly type: EntryDraft['type'];
  readonly timeMs: number;
  /** Set when it was refused. */
  readonly reasonCode?: string;
  readonly fields: Fields;
}

/** What a host did, or was refused. */
export function entryOfHost(caller: Caller, { type, timeMs, reasonCode, fields }: HostDeed): EntryDraft {
  const from = fromCaller(caller);
  return {
    type,
    timeMs,
    ...(reasonCode === undefined ? { outcome: 'success' } : { outcome: 'denied', reasonCode }),
    actor: { kind: 'host' },
    fields: { ...from.fields, ...fields },
    personal: from.personal,
  };
}
