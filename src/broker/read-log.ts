import { CodedError, type PersonId } from '../kernel/index.ts';
import { entryBy, stillSignedIn } from './entries.ts';
import { findPerson } from './find-person.ts';
import { refuseForbidden, takeLook } from './require-role.ts';
import type { Rooms, SignedIn } from './rooms.ts';
import { seesWholeLog, shownTo } from './shown-entry.ts';
import type { LogQuery, StoredEntry } from './unit-of-work.ts';

export interface LogSearch extends Omit<LogQuery, 'personId' | 'subjectId'> {
  /** Who acted, or whom it concerns. */
  readonly person?: string;
  /** Whom it concerns. */
  readonly subject?: string;
}

/**
 * Searches the log, newest first. Reading is itself an entry, durable before the answer. Auditors and admins see everything;
 * anybody else sees the entries about themselves.
 * @throws CodedError `revocation.unknown_target` for a person nobody knows, `policy.not_permitted`, `policy.too_many_looks`
 */
export async function searchLog(
  rooms: Rooms,
  search: LogSearch,
  caller: SignedIn,
): Promise<{ readonly entries: readonly StoredEntry[]; readonly next?: bigint }> {
  const { person: name, subject: subjectName, ...query } = search;
  const seesAll = seesWholeLog(caller);
  const person = name === undefined ? undefined : await findPersonFor(rooms, name, caller, seesAll);
  const personId = person ?? (seesAll ? undefined : caller.person.id);
  const subjectId =
    subjectName === undefined ? undefined : await findPersonFor(rooms, subjectName, caller, seesAll);
  if (!seesAll && query.reason !== undefined) {
    // What others wrote about them is not shown to them: neither may they guess at it word by word.
    const error = new CodedError('policy.not_permitted', 'Only admins and auditors may search by reason.', {
      next: 'Leave --reason out.',
    });
    await refuseForbidden(rooms, caller, { error, target: { kind: 'log' } });
  }
  if (!seesAll) await takeLook(rooms, caller, { kind: 'log' });
  await recordReading(rooms, caller, !seesAll, personId ?? subjectId);
  const found = await rooms.store.searchLog({
    ...query,
    limit: query.limit + 1,
    ...(personId === undefined ? {} : { personId }),
    ...(subjectId === undefined ? {} : { subjectId }),
  });
  const entries = found.slice(0, query.limit).map((entry) => shownTo(caller, entry));
  const last = entries.at(-1);
  return { entries, ...(found.length > query.limit && last !== undefined ? { next: last.index } : {}) };
}

async function findPersonFor(
  rooms: Rooms,
  name: string,
  caller: SignedIn,
  seesAll: boolean,
): Promise<PersonId> {
  if (!seesAll && name !== caller.person.login && name !== caller.person.id) {
    const error = new CodedError(
      'policy.not_permitted',
      'Only admins and auditors may read entries about others.',
      { next: 'Leave --person out to read your own.' },
    );
    await refuseForbidden(rooms, caller, { error, target: { kind: 'log' } });
  }
  return seesAll ? (await findPerson(rooms, name)).id : caller.person.id;
}

async function recordReading(
  rooms: Rooms,
  caller: SignedIn,
  own: boolean,
  subject: PersonId | undefined,
): Promise<void> {
  const timeMs = rooms.clock.nowMs();
  const fields = { target: { kind: 'log', own } };
  await rooms.store.commit({
    guard: stillSignedIn(caller),
    entries: [entryBy(caller, { type: 'log.read', timeMs, subject, fields })],
  });
}
