import type {
  CrlPublication,
  KnownAuthority,
  RevocationReason,
  ServedBy,
  StoredTlsCredential,
  TlsCredential,
  X509Serial,
} from '../broker/index.ts';
import type { PersonId } from '../kernel/index.ts';

/** Columns of `x509_credential` that an issue fills, with their values, the same on every backend. */
export function credentialValues(
  credential: TlsCredential,
): Readonly<Record<string, string | bigint | number | null>> {
  return {
    serial: credential.serial,
    ca_fp: credential.caFingerprint,
    kind: credential.kind,
    person_id: credential.personId,
    subject_id: credential.subjectId ?? null,
    login: credential.login,
    profile: credential.profile,
    common_name: credential.commonName,
    names: JSON.stringify(credential.names),
    key_type: credential.keyType,
    key_fp: credential.keyFingerprint,
    not_before: credential.notBefore,
    not_after: credential.notAfter,
    issued_ms: credential.issuedMs,
    renews: credential.renews ?? null,
    served_by: credential.servedBy === undefined ? null : JSON.stringify(credential.servedBy),
  };
}

/** Columns of `crl`, with their values. */
export function crlValues(crl: CrlPublication): Readonly<Record<string, string | bigint | number | Buffer>> {
  return {
    ca_fp: crl.caFingerprint,
    number: crl.number,
    published_ms: crl.publishedMs,
    next_update_ms: crl.nextUpdateMs,
    acts: crl.acts,
    base_number: crl.base.number,
    base_acts: crl.base.acts,
    base_ms: crl.base.publishedMs,
    next_base_number: crl.nextBase.number,
    next_base_acts: crl.nextBase.acts,
    next_base_ms: crl.nextBase.publishedMs,
    delta_list: crl.delta,
    full_list: crl.full,
  };
}

/** A row whose 64-bit columns are bigint. */
type AnyRow = Readonly<Record<string, unknown>>;

export function toTlsCredential(row: AnyRow): StoredTlsCredential {
  const subject = row['subject_id'] as PersonId | null;
  const renews = row['renews'] as X509Serial | null;
  const servedBy = row['served_by'] as string | null;
  return {
    row: row['id'] as bigint,
    caFingerprint: row['ca_fp'] as string,
    serial: row['serial'] as X509Serial,
    kind: row['kind'] as StoredTlsCredential['kind'],
    personId: row['person_id'] as PersonId,
    ...(subject === null ? {} : { subjectId: subject }),
    login: row['login'] as string,
    profile: row['profile'] as string,
    commonName: row['common_name'] as string,
    names: JSON.parse(row['names'] as string) as readonly string[],
    keyType: row['key_type'] as string,
    keyFingerprint: row['key_fp'] as string,
    notBefore: row['not_before'] as bigint,
    notAfter: row['not_after'] as bigint,
    issuedMs: Number(row['issued_ms']),
    ...(renews === null ? {} : { renews }),
    ...(servedBy === null ? {} : { servedBy: JSON.parse(servedBy) as ServedBy }),
    ...(row['revoked_ms'] === null
      ? {}
      : {
          revokedMs: Number(row['revoked_ms']),
          revokedReason: row['revoked_reason'] as string,
          revokedCode: row['revoked_code'] as RevocationReason,
        }),
  };
}

export function toCrl(row: AnyRow, bytes: (column: string) => Buffer): CrlPublication {
  const base = (prefix: string): CrlPublication['base'] => ({
    number: row[`${prefix}_number`] as bigint,
    acts: Number(row[`${prefix}_acts`]),
    publishedMs: Number(row[`${prefix}_ms`]),
  });
  return {
    caFingerprint: row['ca_fp'] as string,
    number: row['number'] as bigint,
    publishedMs: Number(row['published_ms']),
    nextUpdateMs: Number(row['next_update_ms']),
    full: bytes('full_list'),
    delta: bytes('delta_list'),
    acts: Number(row['acts']),
    base: base('base'),
    nextBase: base('next_base'),
  };
}

export function toKnownAuthority(row: Readonly<Record<string, unknown>>): KnownAuthority {
  return { caFingerprint: row['fingerprint'] as string, certificate: row['certificate'] as string };
}
