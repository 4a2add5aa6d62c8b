import {
  loginRefusal,
  newSessionToken,
  type Authentication,
  type Person,
  type Session,
  type ThrottleRow,
} from '../identity/index.ts';
import { CodedError } from '../kernel/index.ts';
import { rolesOf, type Role } from '../policy/index.ts';
import { fromCaller } from './entries.ts';
import { lockedOut } from './open-session.ts';
import type { Caller, Rooms } from './rooms.ts';
import type { Change, PersonState } from './unit-of-work.ts';

export interface LoginRequest {
  readonly login: string;
  readonly password: string;
  readonly directory?: string;
  /** DPoP proof (RFC 9449) over this request: the session will be worth nothing without the key that signed it. */
  readonly proof: { readonly proof: string | undefined; readonly method: string; readonly path: string };
}

export interface LoggedIn {
  /** Shown once; the database holds only its hash. */
  readonly token: string;
  readonly session: Session;
  readonly person: Person;
  readonly roles: ReadonlySet<Role>;
}

/** No refusal of a password comes sooner, so that a quick answer does not tell that nobody has the name. */
const refusalFloorMs = 400;

/**
 * A password becomes a session.
 * @throws CodedError `identity.throttled`, `identity.busy`, `identity.login_refused` and its kin, `identity.locked_out`, `identity.directory_unavailable`
 */
export async function logIn(rooms: Rooms, request: LoginRequest, caller: Caller): Promise<LoggedIn> {
  const startedMs = performance.now();
  const beganMs = rooms.clock.nowMs();

  // 1. The client holds a key.
  const { keyThumbprint } = await rooms.proofs.verify(request.proof);

  if (request.directory !== undefined && !rooms.identity.directories.includes(request.directory)) {
    throw new CodedError('identity.unknown_directory', 'There is no directory of that name.', {
      next: 'Leave the directory out, or ask your administrator for its name.',
    });
  }

  // 2. May this address try this name now? The attempt counts as failed until it is known to have succeeded.
  const { login, directory } = request;
  const admission = await rooms.throttle.admit({ login, directory, address: caller.sourceAddress });
  if (admission.outcome === 'throttled') {
    const { retryAfterSeconds } = admission;
    // One entry for each delay: a guesser must not decide how long the log grows.
    const { first, refusedBefore } = admission;
    if (first) await record(rooms, caller, login, { reasonCode: 'identity.throttled', refusedBefore });
    throw new CodedError(
      'identity.throttled',
      `Too many failed attempts; try again in ${retryAfterSeconds} seconds.`,
      {
        next: 'Wait, then try again. If you did not try before, somebody else guesses at your name: tell your administrator.',
        details: { retryAfterSeconds },
      },
    );
  }

  // 3. The directory proves the password, or says why not.
  let answer: Authentication;
  try {
    answer = await rooms.identity.authenticate({ ...request, standing: admission.ticket.standing });
  } catch (error) {
    const reasonCode = error instanceof CodedError ? error.code : 'identity.fault';
    // An outage says nothing about the password and must not count. A full queue counts, for the address alone.
    const throttle = reasonCode === 'identity.busy' ? await admission.ticket.turnedAway() : [];
    await admission.ticket.withdrawn();
    await record(rooms, caller, login, { reasonCode, throttle });
    throw error;
  }
  if (answer.outcome === 'refused') {
    const { ticket } = admission;
    const throttle = await (answer.passwordProved ? ticket.succeeded() : ticket.failed());
    await record(rooms, caller, login, {
      reasonCode: `identity.${answer.reason}`,
      throttle,
      ...(answer.personId === undefined ? {} : { subject: answer.personId }),
    });
    await untilAtLeast(startedMs + refusalFloorMs);
    throw loginRefusal(answer);
  }

  // 4. One transaction: is the person locked here? If not, the session and its entry.
  const { person } = answer;
  const throttle = await admission.ticket.succeeded();
  const nowMs = rooms.clock.nowMs();
  const { token, tokenHash, id } = newSessionToken(rooms.random);
  const session: Session = {
    tokenHash,
    id,
    personId: person.id,
    login: person.login,
    directory: person.directory,
    keyThumbprint,
    createdMs: nowMs,
    expiresMs: nowMs + rooms.sessionLifetimeMs,
  };
  const seenPerson = { personId: person.id, directory: person.directory, login: person.login, atMs: nowMs };
  const refusal = await rooms.store.transact<CodedError | undefined>(async (reads) => {
    const refused = tooLate(await reads.person(person.id), beganMs);
    const { fields, personal } = fromCaller(caller);
    const entry = {
      timeMs: nowMs,
      actor: {
        uid: person.id,
        kind: 'person',
        auth: person.directory,
        ...(refused === undefined && { session: id }),
      },
      subject: { uid: person.id },
      fields,
      personal: { ...personal, 'actor.name': person.login },
    } as const;
    const change: Change =
      refused === undefined
        ? {
            seenPerson,
            throttle,
            newSession: session,
            entries: [{ ...entry, type: 'auth.login', outcome: 'success' }],
          }
        : {
            seenPerson,
            throttle,
            entries: [{ ...entry, type: 'auth.fail', outcome: 'denied', reasonCode: refused.code }],
          };
    return { change, result: refused };
  });
  if (refusal !== undefined) throw refusal;
  return { token, session, person, roles: rolesOf(rooms.policy(), person) };
}

/** A right password does not help whom an administrator locked, or cut off while this login was under way. */
function tooLate(state: PersonState | undefined, beganMs: number): CodedError | undefined {
  if (state?.lockedMs !== undefined) return lockedOut();
  if (state?.expelledMs === undefined || state.expelledMs < beganMs) return undefined;
  return new CodedError('identity.session_ended', 'Your sessions were ended while you were logging in.', {
    next: 'Log in again; if that is refused, ask your administrator.',
  });
}

/** On the machine's own stopwatch: it hides how long the work took and says nothing about the time of day. */
async function untilAtLeast(momentMs: number): Promise<void> {
  const waitMs = momentMs - performance.now();
  if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
}

async function record(
  rooms: Rooms,
  caller: Caller,
  login: string,
  refusal: {
    readonly reasonCode: string;
    readonly throttle?: readonly ThrottleRow[];
    readonly refusedBefore?: number;
    readonly subject?: string;
  },
): Promise<void> {
  const { fields, personal } = fromCaller(caller);
  await rooms.store.commit({
    ...(refusal.throttle === undefined ? {} : { throttle: refusal.throttle }),
    entries: [
      {
        type: 'auth.fail',
        outcome: 'denied',
        reasonCode: refusal.reasonCode,
        timeMs: rooms.clock.nowMs(),
        actor: { kind: 'unknown' },
        ...(refusal.subject === undefined ? {} : { subject: { uid: refusal.subject } }),
        fields:
          refusal.refusedBefore === undefined
            ? fields
            : { ...fields, throttle: { refused_before: refusal.refusedBefore } },
        // People type passwords into the name field: what does not look like a name is not kept.
        personal:
          /^[A-Za-z0-9._@\\-]{1,64}$/.test(login) && refusal.subject !== undefined
            ? { ...personal, 'actor.name': login }
            : personal,
      },
    ],
  });
}
