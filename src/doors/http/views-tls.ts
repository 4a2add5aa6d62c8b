import type { StoredTlsCredential, TlsCredential } from '../../broker/index.ts';

const at = (timeMs: number): string => new Date(timeMs).toISOString();
const atSeconds = (seconds: bigint): string => at(Number(seconds) * 1000);

/** What JSON shows of an X.509 certificate. */
export function viewTls(credential: TlsCredential | StoredTlsCredential, nowMs: number): object {
  const { revokedMs, revokedReason, revokedCode, renews, servedBy } = credential;
  const expired = Number(credential.notAfter) * 1000 < nowMs;
  return {
    serial: credential.serial,
    caFingerprint: credential.caFingerprint,
    kind: credential.kind,
    profile: credential.profile,
    commonName: credential.commonName,
    names: credential.names,
    keyType: credential.keyType,
    keyFingerprint: credential.keyFingerprint,
    person: { id: credential.personId, login: credential.login },
    notBefore: atSeconds(credential.notBefore),
    notAfter: atSeconds(credential.notAfter),
    issuedAt: at(credential.issuedMs),
    ...(renews === undefined ? {} : { renews }),
    ...(servedBy === undefined ? {} : { servedBy }),
    state: revokedMs !== undefined ? 'revoked' : expired ? 'expired' : 'live',
    ...(revokedMs === undefined ? {} : { revokedAt: at(revokedMs), revokedReason, revokedCode }),
  };
}
