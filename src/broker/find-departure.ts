import { isCodedError, type PersonId } from '../kernel/index.ts';
import { isMemberOfAny, rolesOf, stillGrants, stillGrantsTls, type StillGrants } from '../policy/index.ts';
import type { Person, Standing } from '../identity/index.ts';
import { expiredMarginSeconds } from '../revocation/index.ts';
import type { Rooms } from './rooms.ts';
import { namesIn } from './tls-entries.ts';
import type { TlsCredential } from './tls-rows.ts';
import type { Credential } from './unit-of-work.ts';

/** What a fresh question about one person came to. */
export type Finding =
  | { readonly kind: 'nothing'; readonly personId: PersonId; readonly person?: Person }
  | {
      readonly kind: 'lost';
      readonly personId: PersonId;
      readonly person?: Person;
      readonly reasonCode: string;
      readonly what: LostWhat;
      /** What they could not get today. */
      readonly credentials: readonly Credential[];
      readonly tls: readonly TlsCredential[];
      /** Their account is gone, or nothing is left to them. */
      readonly endsSessions: boolean;
    }
  | {
      readonly kind: 'doubtful';
      readonly personId: PersonId;
      readonly person?: Person;
      readonly doubt: string;
    };

export type LostWhat = 'disabled' | 'expired' | 'removed' | 'out_of_scope' | 'rights';

const whatOf = {
  disabled: 'disabled',
  account_expired: 'expired',
  unknown_person: 'removed',
  not_in_scope: 'out_of_scope',
} as const;

type Asked = Pick<Rooms, 'store' | 'identity' | 'policy' | 'clock'>;

/**
 * Asks the directory about one person by immutable id, and policy about each live credential: what could they not be given today?
 * @throws CodedError `identity.directory_unavailable`, `store.…`: nothing is known
 */
export async function findDeparture(rooms: Asked, personId: PersonId): Promise<Finding> {
  // 1. The directory's word of this moment.
  const standing = await standingOf(rooms, personId);
  if (standing.outcome === 'doubtful') return { kind: 'doubtful', personId, doubt: standing.doubt };
  if (standing.outcome === 'paused') return { kind: 'nothing', personId };

  // 2. What they have. Those that expired a moment ago as well, for hosts whose clock is behind.
  const { store, clock } = rooms;
  const sinceMs = clock.nowMs() - Number(expiredMarginSeconds) * 1000;
  const live = await store.liveCredentials({ kind: 'person', personId }, sinceMs);
  const liveTls = await store.liveTls({ kind: 'person', personId }, sinceMs);
  if (standing.outcome === 'gone') {
    const { reason } = standing;
    if (live.length + liveTls.length === 0 && (await store.sessionsOf(personId, clock.nowMs())) === 0)
      return { kind: 'nothing', personId };
    return {
      kind: 'lost',
      personId,
      reasonCode: `identity.${reason}`,
      what: whatOf[reason],
      credentials: live,
      tls: liveTls,
      endsSessions: true,
    };
  }

  // 3. Which of it policy would still give.
  const { person, doubt } = standing;
  const verdicts = await judge(rooms, person, live, liveTls);
  const isLost = (one: Credential | TlsCredential): boolean => verdicts.get(one) === 'lost';
  const credentials = live.filter(isLost);
  const tls = liveTls.filter(isLost);
  const lost = credentials.length + tls.length;
  if (lost > 0 && doubt !== undefined) return { kind: 'doubtful', personId, person, doubt };
  if (lost === 0) {
    const isUnclear = [...verdicts.values()].includes('unclear');
    const blank = 'an attribute that the policy reads has no value';
    return isUnclear
      ? { kind: 'doubtful', personId, person, doubt: blank }
      : { kind: 'nothing', personId, person };
  }
  const policy = rooms.policy();
  const hasNothing = !isMemberOfAny(policy, person) && rolesOf(policy, person).size === 1;
  return {
    kind: 'lost',
    personId,
    person,
    reasonCode: 'policy.no_longer_granted',
    what: 'rights',
    credentials,
    tls,
    endsSessions: lost === verdicts.size && hasNothing,
  };
}

/** What is wrong with one entry must not hold up the others, and says nothing about the person. */
async function standingOf({ identity }: Asked, personId: PersonId): Promise<Standing> {
  try {
    return await identity.standing(personId);
  } catch (error) {
    const isTheirs = ['identity.bad_directory_entry', 'identity.group_limit'].some((code) =>
      isCodedError(error, code),
    );
    if (!isTheirs || !isCodedError(error)) throw error;
    return { outcome: 'doubtful', reason: 'ambiguous_name', doubt: error.message };
  }
}

/** What of it the person could be given today. */
export async function judge(
  { store, policy }: Pick<Rooms, 'store' | 'policy'>,
  person: Person,
  live: readonly Credential[],
  liveTls: readonly TlsCredential[],
): Promise<ReadonlyMap<Credential | TlsCredential, StillGrants>> {
  const inForce = policy();
  const names = [...live.flatMap(({ principals }) => principals), ...liveTls.flatMap(namesIn)];
  // A name in X.509 is its owner's in every case; policy asks for some of them in lower case.
  const asked = new Set([...names, ...names.map((name) => name.toLowerCase())]);
  const owners = await store.principalOwners([...asked]);
  const ownerOf = (name: string): PersonId | undefined => owners.get(name);
  return new Map<Credential | TlsCredential, StillGrants>([
    ...live.map((one) => [one, stillGrants(inForce, person, one, ownerOf)] as const),
    ...liveTls.map((one) => [one, stillGrantsTls(inForce, person, one, ownerOf)] as const),
  ]);
}
