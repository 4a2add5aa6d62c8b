import { CodedError } from '../kernel/index.ts';
import { entryBy, stillSignedIn } from './entries.ts';
import type { Rooms, SignedIn } from './rooms.ts';

/** What a signed-in person must be to use a route. */
export type SignedInPermission = 'session' | 'admin' | 'admin-or-auditor';

/**
 * Lets a caller through who has the role, and records and refuses everybody else: an attempt at what is not permitted is
 * what an auditor looks for first.
 * @throws CodedError `http.not_permitted`
 */
export async function requireRole(
  rooms: Rooms,
  permission: SignedInPermission,
  route: string,
  caller: SignedIn,
): Promise<void> {
  if (permits(permission, caller)) return;
  const entry = entryBy(caller, {
    type: 'auth.fail',
    timeMs: rooms.clock.nowMs(),
    reasonCode: 'http.not_permitted',
    subject: caller.person.id,
    fields: { target: { kind: 'route', value: route } },
  });
  await rooms.store.commit({ guard: stillSignedIn(caller), entries: [entry] });
  throw new CodedError('http.not_permitted', 'Your session does not permit this.', {
    next: `It needs: ${permission}. The policy file names who has which role.`,
    details: { permission },
  });
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
