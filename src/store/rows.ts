import type { Credential, PersonState, Publication, RevokedKey, StoredEntry } from '../broker/index.ts';
import type { Session } from '../identity/index.ts';
import type { KeyId, PersonId, Serial } from '../kernel/index.ts';

/**
 * A row as either backend gives it. Both name their columns alike, and give 64-bit integers as `bigint`. The schemas are strict, so
 * that column types hold.
 */
export type Row = Readonly<Record<string, unknown>>;

const text = (row: Row, column: string): string => row[column] as string;
const number = (row: Row, column: string): number => Number(row[column]);

/** A column of 64-bit integers. */
export const big = (row: Row, column: string): bigint => row[column] as bigint;
/** A column of bytes as a Buffer over the same memory. */
export function blob(row: Row, column: string): Buffer {
  const bytes = row[column] as Uint8Array;
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export function toCredential(row: Row): Credential {
  // PostgreSQL keeps an array, SQLite its JSON.
  const principals = row['principals'] as readonly string[] | string;
  return {
    caFingerprint: text(row, 'ca_fp'),
    serial: big(row, 'serial') as Serial,
    keyId: text(row, 'key_id') as KeyId,
    personId: text(row, 'person_id') as PersonId,
    login: text(row, 'login'),
    profile: text(row, 'profile'),
    keyType: text(row, 'key_type'),
    keyFingerprint: text(row, 'key_fp'),
    principals: typeof principals === 'string' ? (JSON.parse(principals) as readonly string[]) : principals,
    validAfter: big(row, 'valid_after'),
    validBefore: big(row, 'valid_before'),
    issuedMs: number(row, 'issued_ms'),
    ...(row['revoked_ms'] === null
      ? {}
      : { revokedMs: number(row, 'revoked_ms'), revokedReason: text(row, 'revoked_reason') }),
  };
}

export function toSession(row: Row): Session {
  return {
    tokenHash: blob(row, 'token_hash'),
    id: text(row, 'id'),
    personId: text(row, 'person_id') as PersonId,
    login: text(row, 'login'),
    directory: text(row, 'directory'),
    keyThumbprint: text(row, 'key_thumbprint'),
    createdMs: number(row, 'created_ms'),
    expiresMs: number(row, 'expires_ms'),
  };
}

export function toPersonState(row: Row): PersonState {
  return {
    personId: text(row, 'person_id') as PersonId,
    login: text(row, 'login'),
    directory: text(row, 'directory'),
    epoch: number(row, 'epoch'),
    ...(row['expelled_ms'] === null ? {} : { expelledMs: number(row, 'expelled_ms') }),
    ...(row['locked_ms'] === null
      ? {}
      : { lockedMs: number(row, 'locked_ms'), lockReason: text(row, 'lock_reason') }),
  };
}

export function toStoredEntry(row: Row): StoredEntry {
  const openings = row['openings'];
  return {
    index: big(row, 'idx'),
    bytes: blob(row, 'entry'),
    leafHash: blob(row, 'leaf_hash'),
    openings: typeof openings === 'string' ? openings : undefined,
  };
}

export function toRevokedKey(row: Row): RevokedKey {
  return {
    fingerprint: text(row, 'fingerprint'),
    revokedMs: number(row, 'revoked_ms'),
    reason: text(row, 'reason'),
  };
}

export function toPublication(row: Row): Publication {
  return {
    kind: 'krl',
    version: big(row, 'version'),
    publishedMs: number(row, 'published_ms'),
    bytes: blob(row, 'bytes'),
    signature: text(row, 'signature'),
    sha256: text(row, 'sha256'),
    revocations: number(row, 'revocations'),
  };
}
