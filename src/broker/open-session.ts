import {
  hashSessionToken,
  sessionVerdict,
  unknownSession,
  type Authentication,
  type RefusalReason,
  type Session,
} from '../identity/index.ts';
import { CodedError, isCodedError, type PersonId } from '../kernel/index.ts';
import { rolesOf } from '../policy/index.ts';
import { entryBy, fromCaller } from './entries.ts';
import type { Caller, Rooms, SignedIn } from './rooms.ts';

export interface SessionProof {
  readonly token: string;
  /** DPoP proof (RFC 9449), a compact JWT. */
  readonly proof: string | undefined;
  readonly method: string;
  readonly path: string;
}

/**
 * Finds who is asking: a live session, proof that the client holds its key, and the directory's word of this moment that the
 * person may still log in and which groups they have. A person whom the directory no longer lets in loses the session at once,
 * unless it is for a passing reason.
 * @throws CodedError `identity.session_…`, `identity.paused_by_directory`, `identity.locked_out`, `identity.dpop_…`, `identity.clock_skew`, `identity.directory_unavailable`
 */
export async function openSession(rooms: Rooms, presented: SessionProof, caller: Caller): Promise<SignedIn> {
  // 1. The session, if there is one: junk tokens are not worth a signature check.
  const tokenHash = hashSessionToken(presented.token);
  const session = tokenHash && (await rooms.store.session(tokenHash));
  if (session === undefined) throw unknownSession();

  // 2. The proof belongs to this token and this request, and to the key that the session is bound to.
  const { proof, method, path, token } = presented;
  const { keyThumbprint } = await rooms.proofs.verify({ proof, method, path, accessToken: token });
  const verdict = sessionVerdict(session, rooms.clock.nowMs(), keyThumbprint);
  if (verdict.outcome === 'refused') {
    // A live token in other hands than its owner's: the one thing that a thief can do with it, and the owner's warning.
    if (verdict.error.code === 'identity.session_wrong_key')
      await recordOften(rooms, session, caller, verdict.error.code);
    throw verdict.error;
  }

  // 3. The directory, now.
  const answer = await recheck(rooms, verdict.session.personId);
  if (answer.outcome === 'refused') {
    if (passing.has(answer.reason)) throw await pause(rooms, verdict.session, answer.reason, caller);
    throw await end(rooms, verdict.session, answer.reason, caller);
  }
  const { person } = answer;
  const state = await rooms.store.person(person.id);
  if (state === undefined || state.lockedMs !== undefined) throw lockedOut();
  const roles = rolesOf(rooms.policy(), person);
  return { ...caller, session: verdict.session, person, roles, epoch: state.epoch };
}

/**
 * What passes by itself, and what a stranger can bring about by guessing at a password: it stops the session while it lasts. Were
 * the session ended by it, anybody could log out anybody.
 */
const passing: ReadonlySet<RefusalReason> = new Set(['locked', 'outside_logon_hours']);

async function pause(
  rooms: Rooms,
  session: Session,
  reason: RefusalReason,
  caller: Caller,
): Promise<CodedError> {
  await recordOften(rooms, session, caller, `identity.${reason}`);
  return new CodedError(
    'identity.paused_by_directory',
    reason === 'locked'
      ? 'Your directory account is locked at the moment.'
      : 'Your directory does not let you work at this hour.',
    {
      next: 'The session goes on when the directory lets you in again; ask your directory administrator if it does not.',
    },
  );
}

async function end(
  rooms: Rooms,
  session: Session,
  reason: RefusalReason,
  caller: Caller,
): Promise<CodedError> {
  const { fields, personal } = fromCaller(caller);
  await rooms.store.commit({
    endSession: session.tokenHash,
    entries: [
      {
        type: 'session.revoke',
        outcome: 'success',
        reasonCode: `identity.${reason}`,
        timeMs: rooms.clock.nowMs(),
        actor: { kind: 'broker' },
        subject: { uid: session.personId },
        fields: { ...fields, sessions: { ended: 1, session: session.id } },
        personal,
      },
    ],
  });
  return new CodedError(
    'identity.session_ended',
    'Your directory no longer lets you log in; this session is over.',
    { next: 'Ask your directory administrator.' },
  );
}

async function recheck({ identity }: Rooms, personId: PersonId): Promise<Authentication> {
  try {
    return await identity.recheck(personId);
  } catch (error) {
    if (!isCodedError(error, 'identity.unknown_directory')) throw error;
    // Says nothing about the person, but there is nobody left to vouch for the session.
    throw new CodedError(
      'identity.session_ended',
      'The directory that you logged in with is no longer used here.',
      { next: 'Log in again with `sallyport login`.', cause: error },
    );
  }
}

/** An administrator of this broker said so, whatever the directory says. */
export function lockedOut(): CodedError {
  return new CodedError('identity.locked_out', 'An administrator of this broker has locked you out.', {
    next: 'Ask your administrator.',
  });
}

/**
 * What may happen to a session at every request without its owner's doing: recorded, but bounded for each session and apart from
 * the owner's own looks, which must not be used up by it.
 */
async function recordOften(
  rooms: Rooms,
  session: Session,
  caller: Caller,
  reasonCode: string,
): Promise<void> {
  const quota = await rooms.lookQuota.take(`session ${session.id}`);
  if (quota.outcome === 'refused' && !quota.first) return;
  const { fields, personal } = fromCaller(caller);
  await rooms.store.commit({
    entries: [
      {
        type: 'auth.fail',
        outcome: 'denied',
        reasonCode,
        timeMs: rooms.clock.nowMs(),
        actor: { kind: 'unknown' },
        subject: { uid: session.personId },
        fields: { ...fields, sessions: { session: session.id } },
        personal,
      },
    ],
  });
}

/** Ends the caller's own session. */
export async function logOut(rooms: Rooms, caller: SignedIn): Promise<void> {
  const entry = entryBy(caller, {
    type: 'auth.logout',
    timeMs: rooms.clock.nowMs(),
    subject: caller.person.id,
  });
  await rooms.store.commit({ endSession: caller.session.tokenHash, entries: [entry] });
}
