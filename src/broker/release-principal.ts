import { CodedError, parsePrincipal, type PersonId } from '../kernel/index.ts';
import { entryBy, stillSignedIn } from './entries.ts';
import type { Rooms, SignedIn } from './rooms.ts';
import { namesIn } from './tls-entries.ts';

/**
 * Frees a personal principal, so that the next person whose attributes give that name may have it: for the day when a name
 * passes from somebody who left to somebody new.
 * @throws CodedError `policy.principal_unowned`, `policy.principal_in_use`, `kernel.bad_principal`
 */
export async function releasePrincipal(
  rooms: Rooms,
  request: { readonly principal: string; readonly reason: string },
  caller: SignedIn,
): Promise<{ readonly owner: PersonId }> {
  const principal = parsePrincipal(request.principal);
  return rooms.store.transact(async (reads) => {
    const owner = (await reads.principalOwners([principal])).get(principal);
    if (owner === undefined) {
      throw new CodedError('policy.principal_unowned', `The principal ${principal} belongs to nobody.`, {
        next: 'Nothing to release: the next person whose attributes give it will get it.',
      });
    }
    const live = await reads.liveCredentials({ kind: 'person', personId: owner }, rooms.clock.nowMs());
    // Like the owner above, whatever the case: on IBM i and Windows Alice and alice are one account.
    const isIt = (name: string): boolean => name.toLowerCase() === principal.toLowerCase();
    const tls = await reads.liveTls({ kind: 'person', personId: owner }, rooms.clock.nowMs());
    if (live.some(({ principals }) => principals.some(isIt)) || tls.some((one) => namesIn(one).some(isIt))) {
      throw new CodedError(
        'policy.principal_in_use',
        `A live certificate of its owner still bears ${principal}.`,
        {
          next: `Revoke the owner first (sallyport admin revoke --person ${owner}), or wait until it has expired.`,
        },
      );
    }
    const change = {
      guard: stillSignedIn(caller),
      releasePrincipal: principal,
      entries: [
        entryBy(caller, {
          type: 'principal.release',
          timeMs: rooms.clock.nowMs(),
          subject: owner,
          fields: { target: { kind: 'principal', value: principal } },
          reason: request.reason,
        }),
      ],
    };
    return { change, result: { owner } };
  });
}
