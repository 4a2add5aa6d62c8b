import type { Person } from '../identity/index.ts';
import { Attempt } from './attempt.ts';
import { choosePrincipals } from './choose-principals.ts';
import type { Policy, Profile } from './policy.ts';
import type { OwnerOf } from './question.ts';
import { findMembership } from './who.ts';

/** A certificate that is out, as far as policy has a say in who holds it. */
export interface HeldCertificate {
  readonly profile: string;
  readonly principals: readonly string[];
}

/**
 * `unclear`: it is only missing because an attribute has no value at all, which is what a directory also shows to an account that
 * may not read it.
 */
export type StillGrants = 'granted' | 'lost' | 'unclear';

/**
 * Whether the person could be given such a certificate today: its profile is open to them and gives them every account name in
 * it. What is about one request does not count: key, source address, reason, hour, lifetime and extensions. A profile that the file
 * no longer has says nothing about the person, so then any profile will do.
 */
export function stillGrants(
  policy: Policy,
  person: Person,
  held: HeldCertificate,
  ownerOf: OwnerOf,
): StillGrants {
  const named = policy.profileByName.get(held.profile);
  const verdicts = (named === undefined ? policy.profiles : [named]).map((profile) =>
    ask(profile, { policy, person, held, ownerOf }),
  );
  return verdicts.includes('granted') ? 'granted' : verdicts.includes('unclear') ? 'unclear' : 'lost';
}

/** Whether any profile is open to the person at all. */
export function isMemberOfAny(policy: Policy, person: Person): boolean {
  return policy.profiles.some(({ who }) => findMembership(who, person) !== undefined);
}

interface Asked {
  readonly policy: Policy;
  readonly person: Person;
  readonly held: HeldCertificate;
  readonly ownerOf: OwnerOf;
}

function ask(profile: Profile, { policy, person, held, ownerOf }: Asked): StillGrants {
  const isBlank = (attribute: string): boolean => !person.attributes.has(attribute.toLowerCase());
  if (findMembership(profile.who, person) === undefined) {
    const blank = profile.who.attributes.some(
      ({ directory, attribute }) =>
        (directory === undefined || directory === person.directory) && isBlank(attribute),
    );
    return blank ? 'unclear' : 'lost';
  }
  const attempt = new Attempt();
  const request = { principals: held.principals, atMs: 0 };
  choosePrincipals(attempt, { policy, profile, person, request, reasonIsOpen: true, ownerOf });
  if (attempt.refusalCount === 0) return 'granted';
  return profile.derivations.some(({ attribute }) => isBlank(attribute)) ? 'unclear' : 'lost';
}
