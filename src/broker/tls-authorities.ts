import { sha256, toRfc3339 } from '../kernel/index.ts';
import type { Rooms } from './rooms.ts';
import { authoritiesOf, type TlsRoom } from './tls-room.ts';

/** Authorities that sign here for the first time become entries: what their keys sign is accounted for from here on. */
export async function recordAuthorities(
  { store, clock }: Pick<Rooms, 'store' | 'clock'>,
  tls: TlsRoom,
): Promise<void> {
  await store.transact(async (reads) => {
    const known = new Set(await reads.tlsAuthorities());
    const atMs = clock.nowMs();
    const fresh = authoritiesOf(tls).flatMap(({ issuer }) =>
      known.has(issuer.caFingerprint) ? [] : [issuer],
    );
    return {
      change: {
        tls: { authorities: fresh.map(({ caFingerprint, name }) => ({ caFingerprint, name, atMs })) },
        entries: fresh.map(({ caFingerprint, name, certificate, read }) => ({
          type: 'tls.authority' as const,
          outcome: 'success' as const,
          timeMs: atMs,
          actor: { kind: 'operator' as const },
          fields: {
            authority: {
              name,
              ca_fp: caFingerprint,
              sha256: sha256(certificate).toString('hex'),
              root_sha256: sha256(tls.root).toString('hex'),
              not_after: toRfc3339(read.notAfterMs),
            },
          },
        })),
      },
      result: undefined,
    };
  });
}
