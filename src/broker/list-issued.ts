import { entryBy, stillSignedIn } from './entries.ts';
import { findPerson } from './find-person.ts';
import type { Rooms, SignedIn } from './rooms.ts';
import type { Credential } from './unit-of-work.ts';

export interface IssuedQuery {
  readonly person?: string;
  readonly live: boolean;
  readonly before?: bigint;
  readonly limit: number;
}

/** What was issued, newest first, from the very rows that revocation reads. The look itself is recorded. */
export async function listIssued(
  rooms: Rooms,
  query: IssuedQuery,
  caller: SignedIn,
): Promise<{ readonly credentials: readonly Credential[]; readonly next?: bigint; readonly nowMs: number }> {
  const person = query.person === undefined ? undefined : await findPerson(rooms, query.person);
  const nowMs = rooms.clock.nowMs();
  const fields = { target: { kind: 'issued', live: query.live } };
  await rooms.store.commit({
    guard: stillSignedIn(caller),
    entries: [entryBy(caller, { type: 'log.read', timeMs: nowMs, subject: person?.id, fields })],
  });
  const found = await rooms.store.credentials({
    live: query.live,
    ...(query.before === undefined ? {} : { before: query.before }),
    limit: query.limit + 1,
    nowMs,
    ...(person === undefined ? {} : { personId: person.id }),
  });
  const credentials = found.slice(0, query.limit);
  const last = credentials.at(-1);
  return {
    credentials,
    nowMs,
    ...(found.length > query.limit && last !== undefined ? { next: last.serial } : {}),
  };
}
