import type { Person } from '../identity/index.ts';
import { CodedError, printable } from '../kernel/index.ts';
import type { UserDecision } from '../policy/index.ts';
import { explainWithOwners } from './owned-decision.ts';
import { entryBy, stillSignedIn } from './entries.ts';
import { refuseForbidden } from './require-role.ts';
import type { Rooms, SignedIn } from './rooms.ts';

export interface ExplainRequest {
  /** Login name; oneself when left out. */
  readonly person?: string;
  readonly directory?: string;
  readonly profile?: string;
  readonly atMs?: number;
}

export interface Explanation {
  /** Undefined when the directory would not let the person in. */
  readonly person: Person | undefined;
  readonly decision: UserDecision;
}

/**
 * What policy would say, whatever the key and the address turn out to be, without reserving or signing anything. About oneself
 * anyone may ask, about others admins and auditors.
 * @throws CodedError `policy.not_permitted`, `policy.unknown_person`
 */
export async function explainPolicy(
  rooms: Rooms,
  request: ExplainRequest,
  caller: SignedIn,
): Promise<Explanation> {
  const person = await whom(rooms, request, caller);
  if (typeof person === 'string') {
    const decision = refusedBy('directory', `the directory does not let this person in: ${person}`);
    return { person: undefined, decision };
  }
  // What refuses an issue refuses here: the broker's own lock stands before policy.
  if ((await rooms.store.person(person.id))?.lockedMs !== undefined)
    return {
      person,
      decision: refusedBy('lock', 'an administrator of this broker has locked this person out'),
    };
  const decision = await explainWithOwners(rooms, person, {
    atMs: request.atMs ?? rooms.clock.nowMs(),
    profile: request.profile,
  });
  return { person, decision: seesAll(caller) ? namingOthers(decision) : decision };
}

/** Nothing, for a reason that stands before policy. */
function refusedBy(part: string, because: string): UserDecision {
  return {
    outcome: 'refused',
    refusals: [{ code: 'policy.no_profile', message: `Nothing: ${because}.` }],
    steps: [{ part, outcome: 'refused', because }],
  };
}

function seesAll({ roles }: SignedIn): boolean {
  return roles.has('admin') || roles.has('auditor');
}

/** Names the other person, or the profiles, that stand in the way: whoever asks may read them anyway, and has to sort it out. */
function namingOthers(decision: UserDecision): UserDecision {
  if (decision.outcome === 'granted') return decision;
  const refusals = decision.refusals.map((refusal) => {
    const { owner, named_by: rules } = refusal.forLog ?? {};
    const whose = owner === undefined ? '' : ` It belongs to ${owner}.`;
    const whence = rules === undefined ? '' : ` It is named by ${rules}.`;
    return { ...refusal, message: `${refusal.message}${whose}${whence}` };
  });
  return { ...decision, refusals };
}

async function whom(rooms: Rooms, request: ExplainRequest, caller: SignedIn): Promise<Person | string> {
  if (request.person === undefined) return caller.person;
  const found = await rooms.identity.find(request.person, request.directory);
  if (found?.id === caller.person.id) return caller.person;
  if (!seesAll(caller)) {
    const error = new CodedError('policy.not_permitted', 'Only admins and auditors may ask about others.', {
      next: 'Leave --person out to ask about yourself.',
    });
    await refuseForbidden(rooms, caller, { error, target: { kind: 'policy' } });
  }
  if (found === undefined) {
    throw new CodedError('policy.unknown_person', `No directory knows “${printable(request.person, 80)}”.`, {
      next: 'Check the name, or name the directory with --directory.',
    });
  }
  const fields = { target: { kind: 'policy' } };
  const entry = entryBy(caller, { type: 'log.read', timeMs: rooms.clock.nowMs(), subject: found.id, fields });
  await rooms.store.commit({ guard: stillSignedIn(caller), entries: [entry] });
  return found.person ?? found.reason ?? 'unknown reason';
}
