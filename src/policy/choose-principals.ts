import type { Principal } from '../kernel/index.ts';
import { printable } from '../kernel/index.ts';
import type { Attempt } from './attempt.ts';
import { derivePrincipals, stripDomain } from './principals.ts';
import type { Question } from './question.ts';

const maxPrincipals = 256;

export interface ChosenPrincipals {
  readonly principals: readonly Principal[];
  readonly personal: readonly Principal[];
}

/** What was chosen so far, and every name that came up: `offered` holds also those that were not asked for. */
interface Choice {
  readonly principals: Principal[];
  readonly personal: Principal[];
  readonly offered: Set<string>;
  readonly isWanted: (name: string) => boolean;
}

/**
 * The account names that the profile gives this person, explicit ones first, narrowed to those asked for. One name that may
 * not be given refuses the request, unless the request asks for others only: nothing is dropped in silence.
 */
export function choosePrincipals(attempt: Attempt, question: Question): ChosenPrincipals {
  const { profile, request } = question;
  const asked = request.principals;
  const refusalsBefore = attempt.refusalCount;
  const isWanted = (name: string): boolean => asked === undefined || asked.includes(name);
  const choice: Choice = { principals: [], personal: [], offered: new Set(), isWanted };
  if (asked !== undefined && (asked.length === 0 || asked.length > maxPrincipals)) {
    const message = `Ask for at least one and at most ${maxPrincipals} principals, or name none to get all that the profile “${profile.name}” gives.`;
    const code = asked.length === 0 ? 'policy.no_principals' : 'policy.too_many_principals';
    attempt.refuse({ part: 'principals', code, message });
    return choice;
  }
  chooseExplicit(attempt, question, choice);
  chooseDerived(attempt, question, choice);
  for (const name of new Set(asked))
    if (!choice.offered.has(name)) refuseUngranted(attempt, question, name, choice.offered);
  const count = choice.principals.length;
  if (count > maxPrincipals) {
    const message = `The profile “${profile.name}” would give you ${count} principals, and a certificate carries ${maxPrincipals}. Ask for those that you need.`;
    attempt.refuse({ part: 'principals', code: 'policy.too_many_principals', message, line: profile.line });
  }
  if (count === 0 && attempt.refusalCount === refusalsBefore) refuseEmpty(attempt, question);
  return choice;
}

function chooseExplicit(attempt: Attempt, question: Question, choice: Choice): void {
  for (const { principal, given } of question.profile.explicit) {
    const line = given.line ?? question.profile.line;
    choice.offered.add(principal);
    if (!choice.isWanted(principal)) skipUnasked(attempt, given.part, line);
    else if (isUntaken(attempt, question, principal, line)) {
      choice.principals.push(principal);
      attempt.steps.push(given);
    }
  }
}

function chooseDerived(attempt: Attempt, question: Question, choice: Choice): void {
  const { profile, person, request } = question;
  for (const derived of derivePrincipals(profile.derivations, person)) {
    const { line, described, attribute } = derived.derivation;
    if (derived.outcome === 'bad') {
      const { value, why } = derived;
      if (request.principals === undefined) refuseBadValue(attempt, { attribute, value, why, line });
      else attempt.skip(`attribute ${attribute}`, `“${value}” ${why}; other principals were asked for`, line);
      continue;
    }
    const { principal } = derived;
    if (choice.offered.has(principal)) continue;
    choice.offered.add(principal);
    const part = `principal ${principal}`;
    if (!choice.isWanted(principal)) {
      skipUnasked(attempt, part, line);
      continue;
    }
    const standing = standingOf(attempt, question, principal, line);
    if (standing === 'refused' || !isUntaken(attempt, question, principal, line)) continue;
    choice.principals.push(principal);
    if (standing === 'personal') choice.personal.push(principal);
    attempt.give(part, described, line);
  }
}

function skipUnasked(attempt: Attempt, part: string, line: number): void {
  attempt.skip(part, 'it was not asked for', line);
}

/**
 * A name derived from an attribute is personal, shared (this very profile names it), or refused. That another profile names it
 * and is open to the person is not enough: it may ask for a reason, a security key or a network that this one does not.
 */
function standingOf(
  attempt: Attempt,
  question: Question,
  principal: Principal,
  line: number,
): 'personal' | 'shared' | 'refused' {
  const { policy, profile } = question;
  const folded = principal.toLowerCase();
  if (profile.explicitFolded.has(folded)) return 'shared';
  // `root@corp.example` counts as root: hosts differ in what they do with a domain.
  if (
    policy.protectedPrincipals.has(folded) ||
    policy.protectedPrincipals.has(stripDomain(folded) ?? folded)
  ) {
    const message = `“${principal}” is a protected account name, and the profile “${profile.name}” does not name it. Ask your administrator.`;
    attempt.refuse({ part: `principal ${principal}`, code: 'policy.principal_protected', message, line });
    return 'refused';
  }
  const sharing = policy.sharedPrincipals.get(folded);
  if (sharing === undefined) return 'personal';
  const message = `“${principal}” is a shared account that another profile gives out, and your directory entry must not make it yours. Ask your administrator.`;
  const forLog = { principal, named_by: sharing.map(({ rule }) => rule).join(', ') };
  attempt.refuse({ part: `principal ${principal}`, code: 'policy.principal_shared', message, forLog, line });
  return 'refused';
}

/** Refuses a name that another person holds. */
function isUntaken(
  attempt: Attempt,
  { person, ownerOf }: Question,
  principal: Principal,
  line: number,
): boolean {
  const owner = ownerOf(principal);
  if (owner === undefined || owner === person.id) return true;
  attempt.refuse({
    part: `principal ${principal}`,
    code: 'policy.principal_taken',
    message: `The account name “${principal}” belongs to another person. Ask your administrator to give you a different name, or to release this one.`,
    line,
    forLog: { principal, person: person.id, owner },
  });
  return false;
}

function refuseBadValue(
  attempt: Attempt,
  { attribute, value, why, line }: { attribute: string; value: string; why: string; line: number },
): void {
  attempt.refuse({
    part: `attribute ${attribute}`,
    code: 'policy.bad_principal',
    message: `The value “${value}” of your attribute ${attribute} ${why}. Ask the people who run the directory to correct it.`,
    line,
  });
}

function refuseUngranted(
  attempt: Attempt,
  { profile }: Question,
  name: string,
  offered: ReadonlySet<string>,
): void {
  const shown = printable(name, 64);
  const has = offered.size === 0 ? '' : ` It gives you ${[...offered].slice(0, 20).join(', ')}.`;
  attempt.refuse({
    part: `principal ${shown}`,
    code: 'policy.principal_not_granted',
    message: `The profile “${profile.name}” does not give you the principal “${shown}”.${has}`,
    line: profile.line,
  });
}

function refuseEmpty(attempt: Attempt, { profile }: Question): void {
  const attributes = profile.derivations.map(({ attribute }) => attribute).join(', ');
  attempt.refuse({
    part: 'principals',
    code: 'policy.no_principals',
    message: `The profile “${profile.name}” makes account names from ${attributes}, and your directory entry has no value there. Ask the people who run the directory to add one.`,
    line: profile.line,
  });
}
