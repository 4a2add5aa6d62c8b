import { randomUUID } from 'node:crypto';
import type { EntryDraft } from '../accounting/index.ts';
import type { DirectoryNews, DirectoryWatch, WatchMethod } from '../identity/index.ts';
import { isCodedError, type PersonId } from '../kernel/index.ts';
import { cutOff, nameOf, type Cause, type Lost } from './cut-off.ts';
import { limitPassed, type DepartureLimits } from './departure-breaker.ts';
import type { DepartureReview, FoundDeparture } from './departures.ts';
import { findDeparture, type Finding } from './find-departure.ts';
import { PeopleToAsk } from './people-to-ask.ts';
import type { Rooms } from './rooms.ts';

export interface FollowOptions {
  readonly directory: string;
  readonly watch: DirectoryWatch;
  readonly limits: DepartureLimits;
  /** From the first sight of a departure to its act: whoever comes back within it has lost nothing. */
  readonly graceMs: number;
  /** How often everybody is asked about whatever the directory tells: it finds accounts that expired by their date. */
  readonly sweepMs: number;
}

/** How it goes, for people and metrics. */
export interface FollowState {
  readonly directory: string;
  readonly method: WatchMethod | undefined;
  readonly state: 'following' | 'standby' | 'failing' | 'unknown';
  /** When the directory last told all that it had. */
  readonly lookedMs: number | undefined;
  /** When everybody had last been asked about. */
  readonly sweptMs: number | undefined;
  /** People whom the directory seems not to know, or to have taken rights from, for reasons that a fault would have as well. */
  readonly doubtful: ReadonlyMap<PersonId, string>;
  /** How many are to be asked about. */
  readonly waiting: number;
  readonly failure: string | undefined;
}

type Asked = Pick<Rooms, 'store' | 'identity' | 'policy' | 'clock' | 'counters' | 'krl'>;

interface Answer {
  readonly finding: Finding;
  readonly cause: Cause;
}

interface Departing {
  readonly lost: Lost;
  readonly cause: Cause;
}

const leaseMs = 15_000;
const asksAtOnce = 4;
/** The place in the directory's record is kept at least so often although nobody was touched. */
const keepPlaceMs = 60_000;
/** No certificate lives longer: no older review speaks of one that is alive. */
const reviewsMs = 2 * 86_400_000;

/**
 * Follows one directory: what it tells of changes leads to people, each of whom is asked about again by id, and only that answer
 * counts. Whoever could not get today what they have loses it, and nothing else. One look at a time.
 */
export class DirectoryFollower {
  readonly #options: FollowOptions;
  readonly #people: PeopleToAsk;
  readonly #holder = randomUUID();
  /** Since when somebody is seen to have left, while the grace lasts. */
  readonly #seenGone = new Map<PersonId, { readonly atMs: number; readonly cause: Cause }>();
  readonly #doubtful = new Map<PersonId, string>();
  /** Who had lost something when last asked about. */
  readonly #lost = new Set<PersonId>();
  /** The sweep after which reviews were last looked through. */
  #checkedMs: number | undefined;
  #cursor: string | undefined;
  #kept: { readonly cursor: string | undefined; readonly atMs: number } | undefined;
  #state: FollowState['state'] = 'unknown';
  #lookedMs: number | undefined;
  #failure: string | undefined;

  constructor(options: FollowOptions) {
    this.#options = options;
    this.#people = new PeopleToAsk(options.directory);
  }

  state(): FollowState {
    return {
      directory: this.#options.directory,
      method: this.#options.watch.method,
      state: this.#state,
      lookedMs: this.#lookedMs,
      sweptMs: this.#people.sweptMs,
      doubtful: new Map(this.#doubtful),
      waiting: this.#people.waiting,
      failure: this.#failure,
    };
  }

  close(): void {
    this.#options.watch.close();
  }

  /** Looks once. A directory or a database that cannot answer loses nothing: the next look goes on from there. @throws CodedError `store.…` */
  async look(rooms: Asked): Promise<void> {
    try {
      await this.#look(rooms);
      this.#failure = undefined;
    } catch (error) {
      this.#state = 'failing';
      this.#failure = isCodedError(error) ? error.message : 'a fault of the broker: its log says more';
      // That a directory is away is told by health; anything else is for the log.
      if (!isCodedError(error, 'identity.directory_unavailable') && !isCodedError(error, 'identity.busy'))
        throw error;
    }
  }

  async #look(rooms: Asked): Promise<void> {
    const { directory, sweepMs } = this.#options;

    // 1. Of several brokers one follows; another takes over when it falls silent.
    const holds =
      (await rooms.store.shared?.holdLease(`departures ${directory}`, this.#holder, leaseMs)) ?? true;
    if (!holds) return this.#standBy();

    // 2. What the directory tells, from the place where somebody left off.
    await this.#people.list(rooms);
    const news = await this.#news(rooms);

    // 3. Whom it could touch; and now and then everybody.
    this.#people.note(news, this.#options.watch.method ?? 'sweep');
    this.#people.sweep(rooms.clock.nowMs(), sweepMs);

    // 4. Each is asked about again, by id.
    const answers = await this.#ask(rooms);

    // 5. Who has lost something, and for longer than the grace.
    const departing = await this.#due(rooms, answers);

    // 6. Too many at once are not believed: an admin decides.
    const believed = await this.#believe(rooms, departing);

    await this.#withdraw(rooms);

    // 7. One transaction for each person, one list for all of them.
    await this.#act(rooms, believed);

    // 8. Only now the place moves: whatever failed before is seen again.
    await this.#keepPlace(rooms);
    this.#state = 'following';
  }

  #standBy(): void {
    this.#state = 'standby';
    this.#kept = undefined;
    this.#people.reset();
    this.#seenGone.clear();
    this.#doubtful.clear();
    this.#lost.clear();
  }

  async #news({ store, clock }: Asked): Promise<DirectoryNews> {
    const { directory, watch } = this.#options;
    if (this.#kept === undefined) {
      const followed = await store.followedDirectory(directory);
      this.#kept = { cursor: followed?.cursor, atMs: followed?.movedMs ?? -Infinity };
      this.#cursor = followed?.cursor;
    }
    const people = [...this.#people.atLarge].map((id) => id.slice(directory.length + 1));
    const news = await watch.look({ cursor: this.#cursor, people });
    this.#cursor = news.cursor ?? this.#cursor;
    this.#lookedMs = clock.nowMs();
    return news;
  }

  async #ask(rooms: Asked): Promise<readonly Answer[]> {
    const batch = this.#people.next();
    const swept = batch.swept.map((id) => [id, { seenBy: 'sweep', objects: [] }] as const);
    const queue: (readonly [PersonId, Cause])[] = [...batch.touched, ...swept];
    const answers: Answer[] = [];
    const work = async (): Promise<void> => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        const [id, cause] = next;
        answers.push({ finding: await findDeparture(rooms, id), cause });
      }
    };
    const workers = await Promise.allSettled(Array.from({ length: asksAtOnce }, work));
    for (const worker of workers) if (worker.status === 'rejected') throw worker.reason;
    const findings = answers.map(({ finding }) => finding);
    this.#people.done(batch, findings, rooms.clock.nowMs());
    for (const finding of findings) {
      if (finding.kind === 'doubtful') this.#doubtful.set(finding.personId, finding.doubt);
      else this.#doubtful.delete(finding.personId);
      if (finding.kind === 'lost') this.#lost.add(finding.personId);
      else {
        this.#lost.delete(finding.personId);
        this.#seenGone.delete(finding.personId);
      }
    }
    return answers;
  }

  async #due({ clock }: Asked, answers: readonly Answer[]): Promise<readonly Departing[]> {
    const nowMs = clock.nowMs();
    const { graceMs } = this.#options;
    const due = new Map<PersonId, Departing>();
    for (const { finding, cause } of answers) {
      if (finding.kind !== 'lost') continue;
      const { personId } = finding;
      const seen = this.#seenGone.get(personId) ?? { atMs: nowMs, cause };
      this.#seenGone.set(personId, seen);
      if (nowMs - seen.atMs >= graceMs) due.set(personId, { lost: finding, cause: seen.cause });
    }
    for (const id of this.#doubtful.keys()) if (!this.#people.atLarge.has(id)) this.#doubtful.delete(id);
    for (const id of this.#lost) if (!this.#people.atLarge.has(id)) this.#lost.delete(id);
    // Whose grace ends is asked about once more, at the next look.
    for (const [id, { atMs, cause }] of this.#seenGone) {
      if (!this.#people.atLarge.has(id)) this.#seenGone.delete(id);
      else if (!due.has(id) && nowMs - atMs >= graceMs) this.#people.again(id, cause);
    }
    return [...due.values()];
  }

  /** Opens a review instead of acting, or adds to the one that waits. @returns who is believed to have left */
  async #believe(rooms: Asked, departing: readonly Departing[]): Promise<readonly Departing[]> {
    if (departing.length === 0) return [];
    const { directory, limits } = this.#options;
    const nowMs = rooms.clock.nowMs();
    const reviews = (await rooms.store.departureReviews(nowMs - reviewsMs)).filter(
      (review) => review.directory === directory,
    );
    const left = departing.flatMap(({ lost, cause }) => withoutRejected(lost, cause, reviews));
    if (left.length === 0) return [];
    const waiting = reviews.find(({ state }) => state === 'waiting');
    const atLarge = this.#people.atLarge.size;
    const recent =
      waiting === undefined ? await recentlyDeparted(rooms, directory, nowMs - limits.windowMs) : 0;
    const limit = waiting?.limit ?? limitPassed(limits, { recent, found: left.length, atLarge });
    if (limit === undefined) return left;
    const found = left.map(({ lost }) => asFound(lost));
    const before = new Map(waiting?.people.map((person) => [person.personId, person]));
    if (waiting !== undefined && found.every(({ personId }) => before.has(personId))) return [];
    const people = [...new Map([...before, ...found.map((one) => [one.personId, one] as const)]).values()];
    const review: DepartureReview = {
      id: waiting?.id ?? `d-${randomUUID().slice(0, 8)}`,
      directory,
      openedMs: waiting?.openedMs ?? nowMs,
      state: 'waiting',
      limit,
      atLarge: waiting?.atLarge ?? atLarge,
      people,
    };
    await rooms.store.commit({ departureReview: review, entries: [reviewEntry('hold', review, nowMs)] });
    return [];
  }

  /** A review in which nobody has lost anything any more, when everybody was asked about since, needs no admin. */
  async #withdraw({ store, clock }: Asked): Promise<void> {
    const { sweptMs } = this.#people;
    if (sweptMs === undefined || sweptMs === this.#checkedMs) return;
    this.#checkedMs = sweptMs;
    const nowMs = clock.nowMs();
    for (const review of await store.departureReviews(nowMs - reviewsMs)) {
      const { directory, state, openedMs, people } = review;
      const isOpen = directory === this.#options.directory && state === 'waiting' && openedMs < sweptMs;
      if (!isOpen || people.some(({ personId }) => this.#lost.has(personId))) continue;
      const withdrawn: DepartureReview = { ...review, state: 'withdrawn', decidedMs: nowMs };
      await store.commit({
        departureReview: withdrawn,
        entries: [reviewEntry('withdraw', withdrawn, nowMs)],
      });
    }
  }

  async #act(rooms: Asked, believed: readonly Departing[]): Promise<void> {
    if (believed.length === 0) return;
    await Promise.all(believed.map(({ lost, cause }) => cutOff(rooms, lost, cause)));
    for (const { lost } of believed) this.#seenGone.delete(lost.personId);
    await rooms.krl.publish();
  }

  async #keepPlace({ store, clock }: Asked): Promise<void> {
    const cursor = this.#cursor;
    const nowMs = clock.nowMs();
    if (cursor === undefined || this.#people.waiting > 0 || this.#kept === undefined) return;
    if (cursor === this.#kept.cursor || nowMs - this.#kept.atMs < keepPlaceMs) return;
    const { directory } = this.#options;
    await store.commit({ followed: { directory, cursor, atMs: nowMs }, entries: [] });
    this.#kept = { cursor, atMs: nowMs };
  }
}

/** What an admin left to somebody in spite of the directory stays with them for as long as it lives. */
function withoutRejected(
  lost: Lost,
  cause: Cause,
  reviews: readonly DepartureReview[],
): readonly Departing[] {
  const left = new Set(
    reviews
      .filter(({ state }) => state === 'rejected')
      .flatMap(({ people }) => people)
      .filter(({ personId, reasonCode }) => personId === lost.personId && reasonCode === lost.reasonCode)
      .flatMap(({ credentials, tls }) => [...credentials, ...tls].map(nameOf)),
  );
  const credentials = lost.credentials.filter((one) => !left.has(nameOf(one)));
  const tls = lost.tls.filter((one) => !left.has(nameOf(one)));
  if (left.size > 0 && credentials.length + tls.length === 0) return [];
  return [{ lost: { ...lost, credentials, tls }, cause }];
}

/** How many people of the directory were cut off since: the log knows it across restarts and brokers. */
async function recentlyDeparted({ store }: Asked, directory: string, fromMs: number): Promise<number> {
  const entries = await store.searchLog({ type: 'directory.change', fromMs, limit: 1000 });
  const people = entries.map(({ bytes }) => JSON.parse(bytes.toString('utf8')) as ChangeEntry);
  const departed = people.filter(
    ({ change, subject }) =>
      // What an admin approved is believed, however much it was.
      change.seen_by !== undefined && change.seen_by !== 'review' && subject.uid.startsWith(`${directory}:`),
  );
  return new Set(departed.map(({ subject }) => subject.uid)).size;
}

/** The part of a `directory.change` entry that is read back; docs/formats/log.md describes it. */
interface ChangeEntry {
  readonly subject: { readonly uid: string };
  readonly change: { readonly seen_by?: string };
}

function asFound({ personId, reasonCode, credentials, tls }: Lost): FoundDeparture {
  return {
    personId,
    reasonCode,
    credentials: credentials.map(({ caFingerprint, serial }) => ({ caFingerprint, serial })),
    tls: tls.map(({ caFingerprint, serial }) => ({ caFingerprint, serial })),
  };
}

function reviewEntry(what: 'hold' | 'withdraw', review: DepartureReview, timeMs: number): EntryDraft {
  return {
    type: `departure.${what}`,
    ...(what === 'withdraw'
      ? { outcome: 'success' }
      : { outcome: 'failure', reasonCode: `departure.too_many_${review.limit}` }),
    timeMs,
    actor: { kind: 'broker' },
    fields: { departure: departureFields(review) },
  };
}

/** The log's `departure` field of a review. */
export function departureFields({ id, directory, people, atLarge }: DepartureReview): {
  readonly review: string;
  readonly directory: string;
  readonly people: number;
  readonly credentials: number;
  readonly at_large: number;
} {
  const credentials = people.reduce((sum, held) => sum + held.credentials.length + held.tls.length, 0);
  return { review: id, directory, people: people.length, credentials, at_large: atLarge };
}
