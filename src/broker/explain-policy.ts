import type { Person } from '../identity/index.ts';
import { CodedError, printable } from '../kernel/index.ts';
import type { UserDecision } from '../policy/index.ts';
import { explainWithOwners } from './decide.ts';
import { entryBy, stillSignedIn } from './entries.ts';
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
    const because = `the directory does not let this person in: ${person}`;
    return {
      person: undefined,
      decision: {
        outcome: 'refused',
        refusals: [{ code: 'policy.no_profile', message: `Nothing: ${because}.` }],
        steps: [{ part: 'directory', outcome: 'refused', because }],
      },
    };
  }
  const decision = await explainWithOwners(rooms, person, {
    atMs: request.atMs ?? rooms.clock.nowMs(),
    ...(request.profile === undefined ? {} : { profile: request.profile }),
  });
  return { person, decision: seesAll(caller) ? withOwners(decision) : decision };
}

function seesAll({ roles }: SignedIn): boolean {
  return roles.has('admin') || roles.has('auditor');
}

/** Names the other person as well: whoever asks may read both in the log anyway, and has to sort it out. */
function withOwners(decision: UserDecision): UserDecision {
  if (decision.outcome === 'granted') return decision;
  const refusals = decision.refusals.map((refusal) => {
    const owner = refusal.forLog?.['owner'];
    return owner === undefined
      ? refusal
      : { ...refusal, message: `${refusal.message} It belongs to ${owner}.` };
  });
  return { ...decision, refusals };
}

async function whom(rooms: Rooms, request: ExplainRequest, caller: SignedIn): Promise<Person | string> {
  if (request.person === undefined) return caller.person;
  const found = await rooms.identity.find(request.person, request.directory);
  if (found?.id === caller.person.id) return caller.person;
  if (!seesAll(caller)) {
    throw new CodedError('policy.not_permitted', 'Only admins and auditors may ask about others.', {
      next: 'Leave --person out to ask about yourself.',
    });
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
