import type { Person, Session, Standing } from '../identity/index.ts';
import { isCodedError } from '../kernel/index.ts';
import { isMemberOfAny, rolesOf, type Role, type StillGrants } from '../policy/index.ts';
import { entryBy, stillSignedIn } from './entries.ts';
import { judge } from './find-departure.ts';
import { findPerson, type KnownPerson } from './find-person.ts';
import { explainWithOwners } from './owned-decision.ts';
import type { Rooms, SignedIn } from './rooms.ts';
import type { TlsCredential } from './tls-rows.ts';
import type { Credential } from './unit-of-work.ts';

/** Everything that one person can still use, and what stands behind it. */
export interface PersonPage {
  readonly person: KnownPerson;
  /** What the directory says at this moment; `unavailable` when it does not answer. */
  readonly directory: DirectoryWord;
  /** By an admin of this broker. */
  readonly lock?: { readonly sinceMs: number; readonly reason: string };
  readonly sessions: readonly Pick<Session, 'id' | 'createdMs' | 'expiresMs'>[];
  /** Live ones, each with whether it could be had today; `unknown` while the directory does not answer. */
  readonly certificates: readonly {
    readonly credential: Credential;
    readonly today: StillGrants | 'unknown';
  }[];
  /** The person's own, not those that they got for servers: these go on without them. */
  readonly tlsCertificates: readonly {
    readonly credential: TlsCredential;
    readonly today: StillGrants | 'unknown';
  }[];
  /** Account names that nobody else can get. */
  readonly names: readonly string[];
  readonly roles: readonly Role[];
  /** What policy would give now, by profile, whatever the key and the address. */
  readonly profiles: readonly {
    readonly profile: string;
    readonly principals: readonly string[];
    readonly ttlSeconds: number;
  }[];
  readonly nowMs: number;
}

export interface DirectoryWord {
  readonly outcome: Standing['outcome'] | 'unavailable';
  readonly reason?: string;
  readonly doubt?: string;
  readonly groups?: number;
}

const mostShown = 1000;

/**
 * One page about a person: for whoever must know what is left, and what would end it. The look is recorded.
 * @throws CodedError `revocation.unknown_target`, `revocation.ambiguous_person`
 */
export async function showPerson(rooms: Rooms, text: string, caller: SignedIn): Promise<PersonPage> {
  // 1. Whom it is about; that somebody looked is an entry before anything is shown.
  const person = await findPerson(rooms, text);
  const { store, clock } = rooms;
  const nowMs = clock.nowMs();
  const fields = { target: { kind: 'person' } };
  const entry = entryBy(caller, { type: 'log.read', timeMs: nowMs, subject: person.id, fields });
  await store.commit({ guard: stillSignedIn(caller), entries: [entry] });

  // 2. What the broker itself knows, from the rows that decisions read.
  const state = await store.person(person.id);
  const live = await store.credentials({ personId: person.id, live: true, limit: mostShown, nowMs });
  const liveTls = await store.liveTls({ kind: 'person', personId: person.id }, nowMs);
  const sessions = await store.liveSessions(person.id, nowMs);
  const names = await store.principalsOf(person.id);

  // 3. What directory and policy say now.
  const standing = await standingOf(rooms, person);
  const present = standing?.outcome === 'here' ? standing.person : undefined;
  const verdicts = present === undefined ? undefined : await judge(rooms, present, live, liveTls);
  const otherwise = standing?.outcome === 'gone' ? 'lost' : 'unknown';
  const withToday = <One extends Credential | TlsCredential>(
    credential: One,
  ): { readonly credential: One; readonly today: StillGrants | 'unknown' } => ({
    credential,
    today: verdicts?.get(credential) ?? otherwise,
  });
  return {
    person,
    directory: wordOf(standing),
    ...(state?.lockedMs === undefined
      ? {}
      : { lock: { sinceMs: state.lockedMs, reason: state.lockReason ?? '' } }),
    sessions: sessions.map(({ id, createdMs, expiresMs }) => ({ id, createdMs, expiresMs })),
    certificates: live.map(withToday),
    tlsCertificates: liveTls.map(withToday),
    names,
    roles: present === undefined ? [] : [...rolesOf(rooms.policy(), present)],
    profiles:
      present === undefined || state?.lockedMs !== undefined ? [] : await given(rooms, present, nowMs),
    nowMs,
  };
}

/** Undefined while the directory cannot be asked: the page must still come, when it is needed most. */
async function standingOf({ identity }: Rooms, { id }: KnownPerson): Promise<Standing | undefined> {
  try {
    return await identity.standing(id);
  } catch (error) {
    if (isCodedError(error) && error.code.startsWith('identity.')) return undefined;
    throw error;
  }
}

function wordOf(standing: Standing | undefined): DirectoryWord {
  if (standing === undefined) return { outcome: 'unavailable' };
  if (standing.outcome === 'here') return { outcome: 'here', groups: standing.person.groups.length };
  const { outcome, reason } = standing;
  return standing.outcome === 'doubtful' ? { outcome, reason, doubt: standing.doubt } : { outcome, reason };
}

async function given(rooms: Rooms, person: Person, atMs: number): Promise<PersonPage['profiles']> {
  const policy = rooms.policy();
  if (!isMemberOfAny(policy, person)) return [];
  const profiles: PersonPage['profiles'][number][] = [];
  for (const { name } of policy.profiles) {
    const decision = await explainWithOwners(rooms, person, { atMs, profile: name });
    if (decision.outcome === 'refused') continue;
    const { principals, validBefore } = decision.grant;
    profiles.push({ profile: name, principals, ttlSeconds: Number(validBefore) - Math.floor(atMs / 1000) });
  }
  return profiles;
}
