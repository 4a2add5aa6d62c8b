import type { Person } from '../identity/index.ts';
import { CodedError, type PersonId } from '../kernel/index.ts';
import {
  decideUserCertificate,
  explainUserCertificate,
  type PolicyRefusal,
  type UserCertificateQuestion,
  type UserCertificateRequest,
  type UserDecision,
} from '../policy/index.ts';
import type { Rooms } from './rooms.ts';

type Decide = (ownerOf: (principal: string) => PersonId | undefined) => UserDecision;

/**
 * Policy's word on a request, with the owners of the principals looked up: nobody gets a name that is somebody else's own. Whoever
 * issues claims the personal ones in the same transaction: owners may change meanwhile.
 */
export function decideWithOwners(
  rooms: Pick<Rooms, 'policy' | 'store'>,
  person: Person,
  request: UserCertificateRequest,
): Promise<UserDecision> {
  const policy = rooms.policy();
  return withOwners(rooms, person, (ownerOf) => decideUserCertificate(policy, person, request, ownerOf));
}

/** The same for a question that leaves out the key or the address. Nothing may be issued from it. */
export function explainWithOwners(
  rooms: Pick<Rooms, 'policy' | 'store'>,
  person: Person,
  question: UserCertificateQuestion,
): Promise<UserDecision> {
  const policy = rooms.policy();
  const decide: Decide = (ownerOf) => explainUserCertificate(policy, person, question, ownerOf);
  return withOwners(rooms, person, decide);
}

async function withOwners(
  rooms: Pick<Rooms, 'store'>,
  person: Person,
  decide: Decide,
): Promise<UserDecision> {
  const owners = new Map<string, PersonId>();
  const asked = new Set<string>();
  for (;;) {
    const decision = decide((principal) => owners.get(principal));
    if (decision.outcome === 'refused') return decision;
    const { principals } = decision.grant;
    const unasked = principals.filter((principal) => !asked.has(principal));
    for (const [principal, owner] of await rooms.store.principalOwners(unasked)) owners.set(principal, owner);
    // Nobody else holds what would be granted: done. Otherwise decide again, knowing who does.
    const taken = unasked.some((principal) => (owners.get(principal) ?? person.id) !== person.id);
    if (!taken) return decision;
    for (const principal of unasked) asked.add(principal);
  }
}

/** `policy explain` tells of SSH alone. */
export const askAboutTls =
  'Ask your administrator which of the `tls-profiles` is yours, and which names it gives.';

/** A refusal as the fault that the caller gets: the first reason speaks, all of them are in the details. */
export function refusalError(
  refusals: readonly PolicyRefusal[],
  next = 'Ask what you would get with `sallyport policy explain`, or ask your administrator.',
): CodedError {
  const [first] = refusals;
  return new CodedError(first?.code ?? 'policy.refused', first?.message ?? 'Policy refused the request.', {
    next,
    details: { refusals: refusals.map(({ code, message }) => `${code}: ${message}`) },
  });
}
