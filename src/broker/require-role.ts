import { CodedError } from '../kernel/index.ts';
import { entryBy, stillSignedIn } from './entries.ts';
import type { Rooms, SignedIn } from './rooms.ts';

/** What a signed-in person must be to use a route. */
export type SignedInPermission = 'session' | 'admin' | 'admin-or-auditor';

/**
 * Lets a caller through who has the role, and records and refuses everybody else: an attempt at what is not permitted is
 * what an auditor looks for first.
 * @throws CodedError `http.not_permitted`, `policy.too_many_looks`
 */
export async function requireRole(
  rooms: Rooms,
  permission: SignedInPermission,
  route: string,
  caller: SignedIn,
): Promise<void> {
  if (permits(permission, caller)) return;
  const error = new CodedError('http.not_permitted', 'Your session does not permit this.', {
    next: `It needs: ${permission}. The policy file names who has which role.`,
    details: { permission },
  });
  await refuseForbidden(rooms, caller, { error, target: { kind: 'route', value: route } });
}

interface Attempted {
  readonly error: CodedError;
  /** The entry's `target`. */
  readonly target: Readonly<Record<string, string>>;
}

/** Records that somebody tried what is not permitted to them, and throws the refusal. @throws also `policy.too_many_looks` */
export async function refuseForbidden(rooms: Rooms, caller: SignedIn, attempted: Attempted): Promise<never> {
  await takeLook(rooms, caller, attempted.target);
  return refuse(rooms, caller, attempted);
}

/**
 * Takes one from what a person may have answered and recorded within the hour: every look is an entry, and without a bound
 * anybody could make the log grow. The first refusal of a stretch is recorded. @throws CodedError `policy.too_many_looks`
 */
export async function takeLook(rooms: Rooms, caller: SignedIn, target: Attempted['target']): Promise<void> {
  const quota = await rooms.lookQuota.take(caller.person.id);
  if (quota.outcome === 'granted') return;
  if (quota.first) await refuse(rooms, caller, { error: quota.error, target });
  throw quota.error;
}

async function refuse(rooms: Rooms, caller: SignedIn, { error, target }: Attempted): Promise<never> {
  const entry = entryBy(caller, {
    type: 'auth.fail',
    timeMs: rooms.clock.nowMs(),
    reasonCode: error.code,
    subject: caller.person.id,
    fields: { target },
  });
  await rooms.store.commit({ guard: stillSignedIn(caller), entries: [entry] });
  throw error;
}

function permits(permission: SignedInPermission, { roles }: SignedIn): boolean {
  switch (permission) {
    case 'session':
      return true;
    case 'admin':
      return roles.has('admin');
    case 'admin-or-auditor':
      return roles.has('admin') || roles.has('auditor');
  }
}
