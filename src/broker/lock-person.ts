import { CodedError } from '../kernel/index.ts';
import { entryBy, stillSignedIn } from './entries.ts';
import { findPerson, type KnownPerson } from './find-person.ts';
import type { Rooms, SignedIn } from './rooms.ts';

export interface LockRequest {
  readonly person: string;
  readonly reason: string;
  readonly locked: boolean;
}

/**
 * Locks or unlocks a person at this broker. A lock ends the sessions and refuses new ones; certificates that are out stay good
 * until they are revoked or expire.
 * @throws CodedError `revocation.unknown_target`, `revocation.ambiguous_person`, `revocation.own_lock`
 */
export async function lockPerson(rooms: Rooms, request: LockRequest, caller: SignedIn): Promise<KnownPerson> {
  const person = await findPerson(rooms, request.person);
  const { locked, reason } = request;
  if (locked && person.id === caller.person.id) throw ownLock();
  const atMs = rooms.clock.nowMs();
  await rooms.store.commit({
    guard: stillSignedIn(caller),
    seenPerson: { personId: person.id, directory: person.directory, login: person.login, atMs },
    ...(locked
      ? { expel: { people: [person.id], atMs }, lock: { personId: person.id, atMs, reason } }
      : { unlock: person.id }),
    entries: [
      entryBy(caller, {
        type: locked ? 'subject.lock' : 'subject.unlock',
        timeMs: atMs,
        subject: person.id,
        reason,
      }),
    ],
  });
  return person;
}

/** An admin who locks himself out may be the last one. */
export function ownLock(): CodedError {
  return new CodedError('revocation.own_lock', 'You cannot lock yourself out.', {
    next: 'Ask another administrator.',
  });
}
