import { CodedError, printable, type PersonId } from '../kernel/index.ts';
import { cutOff } from './cut-off.ts';
import type { DepartureReview } from './departures.ts';
import { entryBy, stillSignedIn } from './entries.ts';
import { findDeparture } from './find-departure.ts';
import { departureFields, type FollowState } from './follow-departures.ts';
import type { Rooms, SignedIn } from './rooms.ts';
import type { TlsCredential } from './tls-rows.ts';
import type { Credential, Publication } from './unit-of-work.ts';

const shownReviewsMs = 30 * 86_400_000;
const asksAtOnce = 8;

export interface Departures {
  readonly followers: readonly FollowState[];
  /** Of the last 30 days, the newest first. */
  readonly reviews: readonly DepartureReview[];
  /** Logins of the people in them, as far as the broker has seen these. */
  readonly logins: ReadonlyMap<PersonId, string>;
}

/** How the directories are followed, and which departures wait for an admin. The look is recorded. */
export async function listDepartures(rooms: Rooms, caller: SignedIn): Promise<Departures> {
  const { store, clock } = rooms;
  const timeMs = clock.nowMs();
  const entry = entryBy(caller, { type: 'log.read', timeMs, fields: { target: { kind: 'departures' } } });
  await store.commit({ guard: stillSignedIn(caller), entries: [entry] });
  const followers = rooms.followers.map((follower) => follower.state());
  const reviews = await store.departureReviews(timeMs - shownReviewsMs);
  const ids = new Set([
    ...followers.flatMap(({ doubtful }) => [...doubtful.keys()]),
    ...reviews.flatMap(({ people }) => people.map(({ personId }) => personId)),
  ]);
  const logins = new Map<PersonId, string>();
  for (const id of ids) {
    const known = await store.person(id);
    if (known !== undefined) logins.set(id, known.login);
  }
  return { followers, reviews, logins };
}

export interface DepartureDecision {
  readonly review: string;
  readonly decision: 'approve' | 'reject';
  readonly reason: string;
}

export interface DecidedDepartures {
  readonly review: DepartureReview;
  readonly credentials: readonly Credential[];
  readonly tls: readonly TlsCredential[];
  /** Listed people who keep what they have: they lost nothing after all, or it cannot be told. */
  readonly kept: readonly PersonId[];
  readonly published?: Publication;
}

/**
 * An admin’s word on departures that were too many to be believed. Approved, each of the people is asked about once more, and whoever
 * has left is cut off; rejected, the credentials that are listed live until they expire.
 * @throws CodedError `revocation.unknown_review`, `revocation.already_decided`, `identity.directory_unavailable` when a directory cannot be
 * asked: then whoever is left comes up again by themselves
 */
export async function decideDepartures(
  rooms: Rooms,
  { review: id, decision, reason }: DepartureDecision,
  caller: SignedIn,
): Promise<DecidedDepartures> {
  // 1. Which ones are meant, and nobody has decided about them yet.
  const nowMs = rooms.clock.nowMs();
  const found = (await rooms.store.departureReviews(0)).find((review) => review.id === id);
  if (found === undefined)
    throw new CodedError('revocation.unknown_review', `There are no departures “${printable(id, 40)}”.`, {
      next: 'Look at `sallyport admin departures`.',
    });
  if (found.state !== 'waiting')
    throw new CodedError('revocation.already_decided', `These departures were ${found.state} already.`, {
      next: 'Look at `sallyport admin departures`.',
    });

  // 2. The word itself, before anything follows from it.
  const state = decision === 'approve' ? 'approved' : 'rejected';
  const review: DepartureReview = { ...found, state, decidedMs: nowMs };
  await rooms.store.commit({
    guard: stillSignedIn(caller),
    departureReview: review,
    entries: [
      entryBy(caller, {
        type: `departure.${decision}`,
        timeMs: nowMs,
        fields: { departure: departureFields(review) },
        reason,
      }),
    ],
  });
  if (decision === 'reject')
    return { review, credentials: [], tls: [], kept: review.people.map(({ personId }) => personId) };

  // 3. Everybody in it is asked about once more: what was a fault may be mended, and somebody may be back.
  const queue = review.people.map(({ personId }) => personId);
  const kept: PersonId[] = [];
  const credentials: Credential[] = [];
  const tls: TlsCredential[] = [];
  const work = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const finding = await findDeparture(rooms, next);
      if (finding.kind !== 'lost') {
        kept.push(next);
        continue;
      }
      const done = await cutOff(rooms, finding, { seenBy: 'review', objects: [], review: id });
      credentials.push(...done.credentials);
      tls.push(...done.tls);
    }
  };
  const workers = await Promise.allSettled(Array.from({ length: asksAtOnce }, work));

  // 4. The list carries whoever was cut off, also when a directory went away half-way.
  const published = credentials.length === 0 ? undefined : await rooms.krl.publish();
  for (const worker of workers) if (worker.status === 'rejected') throw worker.reason;
  return { review, credentials, tls, kept, ...(published === undefined ? {} : { published }) };
}
