import type { Person } from '../identity/index.ts';
import { printable } from '../kernel/index.ts';
import { Attempt } from './attempt.ts';
import { didYouMean } from './did-you-mean.ts';
import {
  chooseExtensions,
  chooseLifetime,
  checkKey,
  checkReason,
  checkSource,
  checkWindow,
} from './checks.ts';
import type { PolicyRefusal, UserCertificateRequest, UserDecision, UserGrant } from './grant.ts';
import { choosePrincipals } from './choose-principals.ts';
import type { Policy, Profile } from './policy.ts';
import type { OwnerOf, Question, UserCertificateQuestion } from './question.ts';
import { findMembership } from './who.ts';

/** Certificates begin a minute back, for hosts whose clock is behind. */
const backdateSeconds = 60;

/**
 * Decides what a person gets. Pure: the same arguments give the same answer. Every part is looked at, so a refusal names
 * everything that stands in the way. A request that names a profile is decided by that profile alone; otherwise the first
 * profile in the file that grants the request does.
 */
export function decideUserCertificate(
  policy: Policy,
  person: Person,
  request: UserCertificateRequest,
  ownerOf: OwnerOf,
): UserDecision {
  return decideQuestion({ policy, person, request, reasonIsOpen: false, ownerOf });
}

/**
 * As `decideUserCertificate`, for `policy explain`: what is not known of the request (key, source address, reason) is
 * skipped, and the step says what would be allowed. The outcome `granted` then means "with such a key, from such an address,
 * for a reason if one is needed"; nothing may be issued from it, and a source address still to be bound stands in it as a
 * text that no certificate can carry.
 */
export function explainUserCertificate(
  policy: Policy,
  person: Person,
  question: UserCertificateQuestion,
  ownerOf: OwnerOf,
): UserDecision {
  const reasonIsOpen = question.reason === undefined;
  return decideQuestion({ policy, person, request: question, reasonIsOpen, ownerOf });
}

function decideQuestion(question: Omit<Question, 'profile'>): UserDecision {
  const { policy, person, request } = question;
  const attempt = new Attempt();
  const candidates = findCandidates(policy, request.profile, attempt);
  const tried: (readonly PolicyRefusal[])[] = [];
  for (const profile of candidates) {
    const membership = findMembership(profile.who, person);
    if (membership === undefined) {
      attempt.steps.push(profile.notMember);
      continue;
    }
    attempt.steps.push(membership);
    const grant = tryProfile(attempt, { ...question, profile });
    if (grant !== undefined) return { outcome: 'granted', grant, steps: attempt.steps };
    tried.push(attempt.takeRefusals());
  }
  // Profiles that do give the principals asked for speak first: what they lack is what the person has to mend.
  const [near, far] = [tried.filter((refusals) => !isElsewhere(refusals)), tried.filter(isElsewhere)];
  const refusals = [...attempt.takeRefusals(), ...near.flat(), ...far.flat()];
  if (refusals.length === 0) refusals.push(notMember(request.profile));
  return { outcome: 'refused', refusals, steps: attempt.steps };
}

function findCandidates(policy: Policy, name: string | undefined, attempt: Attempt): readonly Profile[] {
  if (name === undefined) return policy.profiles;
  const profile = policy.profileByName.get(name);
  if (profile !== undefined) return [profile];
  const near = didYouMean(name, policy.profileByName.keys());
  attempt.refuse({
    part: `profile ${printable(name, 64)}`,
    code: 'policy.unknown_profile',
    message: `There is no profile “${printable(name, 64)}”${near === '' ? '.' : near} Ask without a profile to get the usual one.`,
  });
  return [];
}

function isElsewhere(refusals: readonly PolicyRefusal[]): boolean {
  return refusals.some(({ code }) => code === 'policy.principal_not_granted');
}

function notMember(profile: string | undefined): PolicyRefusal {
  if (profile === undefined)
    return {
      code: 'policy.no_profile',
      message:
        'No profile gives you a certificate. Ask your administrator to add you to a group that has one, then log in again.',
    };
  return {
    code: 'policy.not_a_member',
    message: `The profile “${printable(profile, 64)}” is not open to you. Ask without a profile to get the usual one, or ask your administrator.`,
  };
}

/** @returns the grant, or undefined when any part refused. */
function tryProfile(attempt: Attempt, question: Question): UserGrant | undefined {
  const { policy, profile, request } = question;
  checkKey(attempt, profile, request.key);
  const sourceAddress = checkSource(attempt, profile, request.sourceAddress);
  const closesMs = checkWindow(attempt, profile, request.atMs);
  checkReason(attempt, question);
  const chosen = choosePrincipals(attempt, question);
  const ttlSeconds = chooseLifetime(attempt, profile, request, closesMs);
  const extensions = chooseExtensions(attempt, profile, request.extensions);
  if (attempt.refusalCount > 0 || ttlSeconds === undefined || chosen.principals.length === 0)
    return undefined;
  attempt.steps.push(...profile.always);
  const nowSeconds = BigInt(Math.floor(request.atMs / 1000));
  return {
    profile: profile.name,
    rule: profile.rule,
    policyVersion: policy.policyVersion,
    requireWitness: profile.requireWitness,
    principals: chosen.principals,
    personalPrincipals: chosen.personal,
    validAfter: nowSeconds - BigInt(backdateSeconds),
    validBefore: nowSeconds + BigInt(ttlSeconds),
    criticalOptions:
      sourceAddress === undefined
        ? profile.criticalOptions
        : new Map([...profile.criticalOptions, ['source-address', sourceAddress]]),
    extensions,
  };
}
