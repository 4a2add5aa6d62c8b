import type { Person } from '../identity/index.ts';
import type { PersonId, Principal } from '../kernel/index.ts';
import { Attempt } from './attempt.ts';
import { choosePrincipals } from './choose-principals.ts';
import type { Policy, Profile } from './policy.ts';
import type { OwnerOf } from './question.ts';
import { choosePerson, type TlsKind, type TlsProfile } from './tls.ts';
import { findMembership, type Who } from './who.ts';

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

/** An X.509 certificate of a person that is out, as far as policy has a say in who holds it. */
export interface HeldTls {
  readonly profile: string;
  readonly kind: TlsKind;
  readonly commonName: string;
  /** `upn:…`, `kerberos:…`; none of a client. */
  readonly names: readonly string[];
}

/** The same for the certificate of a person for TLS: the profile is open to them, and gives them these very names. */
export function stillGrantsTls(policy: Policy, person: Person, held: HeldTls, ownerOf: OwnerOf): StillGrants {
  const named = policy.tlsProfiles.get(held.profile);
  const all = [...policy.tlsProfiles.values()].filter(({ kind }) => kind === held.kind);
  const verdicts = (named === undefined ? all : [named]).map((profile) =>
    askTls(profile, { policy, person, held, ownerOf }),
  );
  return verdicts.includes('granted') ? 'granted' : verdicts.includes('unclear') ? 'unclear' : 'lost';
}

/** Whether any profile, of SSH or TLS, is open to the person at all. */
export function isMemberOfAny({ profiles, tlsProfiles }: Policy, person: Person): boolean {
  return [...profiles, ...tlsProfiles.values()].some(({ who }) => findMembership(who, person) !== undefined);
}

interface Asked<Held> {
  readonly policy: Policy;
  readonly person: Person;
  readonly held: Held;
  readonly ownerOf: OwnerOf;
}

const isBlank = ({ attributes }: Person, attribute: string): boolean =>
  !attributes.has(attribute.toLowerCase());

function openTo(who: Who, person: Person): StillGrants {
  if (findMembership(who, person) !== undefined) return 'granted';
  const blank = who.attributes.some(
    ({ directory, attribute }) =>
      (directory === undefined || directory === person.directory) && isBlank(person, attribute),
  );
  return blank ? 'unclear' : 'lost';
}

function ask(profile: Profile, { policy, person, held, ownerOf }: Asked<HeldCertificate>): StillGrants {
  const open = openTo(profile.who, person);
  if (open !== 'granted') return open;
  const attempt = new Attempt();
  const request = { principals: held.principals, atMs: 0 };
  choosePrincipals(attempt, { policy, profile, person, request, reasonIsOpen: true, ownerOf });
  if (attempt.refusalCount === 0) return 'granted';
  return profile.derivations.some(({ attribute }) => isBlank(person, attribute)) ? 'unclear' : 'lost';
}

function askTls(profile: TlsProfile, { policy, person, held, ownerOf }: Asked<HeldTls>): StillGrants {
  const open = openTo(profile.who, person);
  if (open !== 'granted') return open;
  const refusals: string[] = [];
  const refuse = (code: string): void => void refusals.push(code);
  const owner = (name: string): PersonId | undefined => ownerOf(name as Principal);
  const own = choosePerson({ policy, profile, person, asked: [], ownerOf: owner, refuse });
  const names = own?.names.map(({ kind, value }) => `${kind}:${value}`);
  const isSame = own?.commonName === held.commonName && names?.join() === held.names.join();
  if (isSame && refusals.length === 0) return 'granted';
  const { upn, sid } = profile.logon;
  const read =
    profile.kind === 'tls-client' ? profile.account.map(({ attribute }) => attribute) : [upn, sid ?? upn];
  return read.some((attribute) => isBlank(person, attribute)) ? 'unclear' : 'lost';
}
