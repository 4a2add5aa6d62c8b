import { writeBundle } from '../accounting/index.ts';
import { CodedError, type PersonId } from '../kernel/index.ts';
import { entryBy, stillSignedIn } from './entries.ts';
import { findPerson } from './find-person.ts';
import { refuseForbidden, takeLook } from './require-role.ts';
import type { Rooms, SignedIn } from './rooms.ts';
import type { LogQuery, StoredEntry } from './unit-of-work.ts';

export interface LogSearch extends Omit<LogQuery, 'personId'> {
  readonly person?: string;
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
  const { person: name, ...query } = search;
  const seesAll = caller.roles.has('auditor') || caller.roles.has('admin');
  const person = name === undefined ? undefined : await findPersonFor(rooms, name, caller, seesAll);
  const personId = person ?? (seesAll ? undefined : caller.person.id);
  if (!seesAll) await takeLook(rooms, caller, { kind: 'log' });
  await recordReading(rooms, caller, 'log.read', { kind: 'log', own: !seesAll }, personId);
  const found = await rooms.store.searchLog({
    ...query,
    limit: query.limit + 1,
    ...(personId === undefined ? {} : { personId }),
  });
  const entries = found.slice(0, query.limit).map((entry) => (seesAll ? entry : forSubject(entry, caller)));
  const last = entries.at(-1);
  return { entries, ...(found.length > query.limit && last !== undefined ? { next: last.index } : {}) };
}

/**
 * A stretch of the log as it stands now, [from, to), as a bundle that verifies offline. The export is itself an entry, durable
 * before the first byte.
 * @throws CodedError `accounting.bad_range` at once; the stream itself fails only with the store
 */
export async function exportLog(
  rooms: Rooms,
  range: { readonly from?: bigint; readonly to?: bigint },
  caller: SignedIn,
): Promise<AsyncIterable<Buffer>> {
  const target = {
    kind: 'log',
    from: String(range.from ?? 0n),
    ...(range.to === undefined ? {} : { to: String(range.to) }),
  };
  await recordReading(rooms, caller, 'log.export', target, undefined);
  const { size, checkpoint } = await rooms.store.logHead();
  const from = range.from ?? 0n;
  const to = range.to ?? size;
  if (from >= to || to > size) {
    throw new CodedError(
      'accounting.bad_range',
      `The log has ${size} entries; there is no stretch from ${from} to ${to}.`,
      { next: 'Choose 0 <= from < to <= the size of the log, or leave both out.' },
    );
  }
  return writeBundle({
    checkpoint,
    from,
    to,
    entries: rooms.store.logEntries(from, to),
    readTile: (...place) => rooms.store.readTile(...place),
    signer: rooms.logSigner,
  });
}

/**
 * What somebody sees of an entry about themselves: addresses, words and names only where they were the ones who acted. The
 * entry is then for reading, not for proving: an export proves.
 */
function forSubject(entry: StoredEntry, caller: SignedIn): StoredEntry {
  const content = JSON.parse(entry.bytes.toString('utf8')) as {
    readonly actor?: { readonly uid?: string };
    readonly decision?: { readonly conflict?: unknown };
  };
  const caused = content.actor?.uid === caller.person.id;
  const { conflict: _forTheLog, ...decision } = content.decision ?? {};
  const shown = content.decision === undefined ? content : { ...content, decision };
  return {
    ...entry,
    bytes: Buffer.from(JSON.stringify(shown)),
    openings: caused ? entry.openings : undefined,
  };
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
  type: 'log.read' | 'log.export',
  target: Record<string, string | boolean>,
  subject: PersonId | undefined,
): Promise<void> {
  const timeMs = rooms.clock.nowMs();
  await rooms.store.commit({
    guard: stillSignedIn(caller),
    entries: [entryBy(caller, { type, timeMs, subject, fields: { target } })],
  });
}
