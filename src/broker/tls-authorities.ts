import type { TlsIssuer } from '../issuance/index.ts';
import { sha256, toRfc3339 } from '../kernel/index.ts';
import type { Rooms } from './rooms.ts';
import { authoritiesOf, type TlsRoom } from './tls-room.ts';

/**
 * Authorities that sign here for the first time, or with a new certificate, become entries: what their keys sign is accounted for from
 * here on, and so is what the root signed.
 */
export async function recordAuthorities(
  { store, clock }: Pick<Rooms, 'store' | 'clock'>,
  tls: TlsRoom,
): Promise<void> {
  await store.transact(async (reads) => {
    const known = new Map(
      (await reads.tlsAuthorities()).map((one) => [one.caFingerprint, one.certificate] as const),
    );
    const atMs = clock.nowMs();
    const fresh = authoritiesOf(tls).flatMap(({ issuer }) =>
      known.get(issuer.caFingerprint) === digestOf(issuer) ? [] : [issuer],
    );
    return {
      change: {
        tls: {
          authorities: fresh.map((issuer) => ({
            caFingerprint: issuer.caFingerprint,
            name: issuer.name,
            certificate: digestOf(issuer),
            atMs,
          })),
        },
        entries: fresh.map((issuer) => ({
          type: 'tls.authority' as const,
          outcome: 'success' as const,
          timeMs: atMs,
          actor: { kind: 'operator' as const },
          fields: {
            authority: {
              name: issuer.name,
              ca_fp: issuer.caFingerprint,
              sha256: digestOf(issuer),
              root_sha256: sha256(tls.root).toString('hex'),
              not_after: toRfc3339(issuer.read.notAfterMs),
            },
          },
        })),
      },
      result: undefined,
    };
  });
}

function digestOf({ certificate }: TlsIssuer): string {
  return sha256(certificate).toString('hex');
}
