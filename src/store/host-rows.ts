import type { Host, HostCertificate, HostState, HostToken } from '../broker/index.ts';
import type { HostId, KeyId, Serial } from '../kernel/index.ts';
import { big, blob, type Row } from './rows.ts';

const text = (row: Row, column: string): string => row[column] as string;
const number = (row: Row, column: string): number => Number(row[column]);
/** PostgreSQL keeps an array, SQLite its JSON. */
const texts = (row: Row, column: string): readonly string[] => {
  const value = row[column] as readonly string[] | string;
  return typeof value === 'string' ? (JSON.parse(value) as readonly string[]) : value;
};

export function toHost(row: Row): Host {
  return {
    id: text(row, 'id') as HostId,
    group: text(row, 'host_group'),
    state: text(row, 'state') as HostState,
    names: texts(row, 'names'),
    addresses: texts(row, 'addresses'),
    identityKey: text(row, 'identity_key'),
    identityFingerprint: text(row, 'identity_fp'),
    hostKeys: texts(row, 'host_keys'),
    platform: text(row, 'platform'),
    machine: text(row, 'machine'),
    ...(row['token_id'] === null ? {} : { tokenId: text(row, 'token_id') }),
    createdMs: number(row, 'created_ms'),
    changedMs: number(row, 'changed_ms'),
    ...(row['conflict'] === null ? {} : { conflict: text(row, 'conflict') }),
    ...(row['conflict_with'] === null ? {} : { conflictWith: text(row, 'conflict_with') as HostId }),
    ...(row['step'] === null
      ? {}
      : {
          contact: {
            step: big(row, 'step'),
            contactMs: number(row, 'contact_ms'),
            installed: big(row, 'installed'),
            installedMs: number(row, 'installed_ms'),
            checks: texts(row, 'checks'),
            sshd: text(row, 'sshd'),
            ...(row['last_login_ms'] === null ? {} : { lastLoginMs: number(row, 'last_login_ms') }),
          },
        }),
  };
}

export function toHostToken(row: Row): HostToken {
  return {
    id: text(row, 'id'),
    hash: blob(row, 'hash'),
    group: text(row, 'host_group'),
    names: texts(row, 'names'),
    addresses: texts(row, 'addresses'),
    maxUses: number(row, 'max_uses'),
    used: number(row, 'used'),
    createdMs: number(row, 'created_ms'),
    expiresMs: number(row, 'expires_ms'),
    createdBy: text(row, 'created_by'),
    ...(row['dropped_ms'] === null ? {} : { droppedMs: number(row, 'dropped_ms') }),
  };
}

export function toHostCertificate(row: Row): HostCertificate {
  return {
    caFingerprint: text(row, 'ca_fp'),
    serial: big(row, 'serial') as Serial,
    keyId: text(row, 'key_id') as KeyId,
    hostId: text(row, 'host_id') as HostId,
    keyType: text(row, 'key_type'),
    keyFingerprint: text(row, 'key_fp'),
    principals: texts(row, 'principals'),
    validAfter: big(row, 'valid_after'),
    validBefore: big(row, 'valid_before'),
    issuedMs: number(row, 'issued_ms'),
    ...(row['revoked_ms'] === null
      ? {}
      : { revokedMs: number(row, 'revoked_ms'), revokedReason: text(row, 'revoked_reason') }),
  };
}
