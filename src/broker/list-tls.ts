import { entryBy, stillSignedIn } from './entries.ts';
import { findPerson } from './find-person.ts';
import type { Rooms, SignedIn } from './rooms.ts';
import type { StoredTlsCredential } from './tls-rows.ts';

export interface TlsListQuery {
  /** Undefined: everybody's, for those who may see it. */
  readonly person?: string;
  readonly live: boolean;
  /** Only those that end within so many days, and are live. */
  readonly endsWithinDays?: number;
  readonly before?: bigint;
  readonly limit: number;
}

/**
 * Certificates for TLS, newest first, from the rows that revocation reads. Admins and auditors see all, a person their own and those
 * that they asked for. The look is recorded. @throws CodedError as `findPerson`
 */
export async function listTls(
  rooms: Rooms,
  query: TlsListQuery,
  caller: SignedIn,
): Promise<{
  readonly credentials: readonly StoredTlsCredential[];
  readonly next?: bigint;
  readonly nowMs: number;
}> {
  const seesAll = caller.roles.has('admin') || caller.roles.has('auditor');
  const person =
    seesAll && query.person !== undefined ? (await findPerson(rooms, query.person)).id : undefined;
  const personId = seesAll ? person : caller.person.id;
  const nowMs = rooms.clock.nowMs();
  const { endsWithinDays, before, limit } = query;
  const live = query.live || endsWithinDays !== undefined;
  await rooms.store.commit({
    guard: stillSignedIn(caller),
    entries: [
      entryBy(caller, {
        type: 'log.read',
        timeMs: nowMs,
        subject: personId,
        fields: { target: { kind: 'issued', live } },
      }),
    ],
  });
  const found = await rooms.store.tlsCredentials({
    live,
    limit: limit + 1,
    nowMs,
    ...(personId === undefined ? {} : { personId }),
    ...(before === undefined ? {} : { before }),
    ...(endsWithinDays === undefined
      ? {}
      : { endsBefore: BigInt(Math.floor(nowMs / 1000) + endsWithinDays * 86_400) }),
  });
  const credentials = found.slice(0, limit);
  const last = credentials.at(-1);
  return { credentials, nowMs, ...(found.length > limit && last !== undefined ? { next: last.row } : {}) };
}
