import type { DirectoryNews } from '../identity/index.ts';
import type { PersonId } from '../kernel/index.ts';
import type { Cause } from './cut-off.ts';
import type { Finding } from './find-departure.ts';
import { KnownGroups } from './known-groups.ts';
import type { Rooms } from './rooms.ts';

const mostAtOnce = 200;
/** The list of who has something live is made again after so many times as long as it took. */
const listWorth = 50;

/** Some people, each with what made us ask about them. */
export interface AskBatch {
  readonly touched: readonly (readonly [PersonId, Cause])[];
  readonly swept: readonly PersonId[];
}

/** Who of one directory has something live, and who of them is to be asked about next. Kept in memory only. */
export class PeopleToAsk {
  readonly #directory: string;
  readonly #groups = new KnownGroups();
  readonly #touched = new Map<PersonId, Cause>();
  /** Everybody, at leisure. */
  #toSweep: readonly PersonId[] = [];
  #sweepBeganMs = -Infinity;
  #sweptMs: number | undefined;
  #atLarge: ReadonlySet<PersonId> = new Set();
  #listAgainMs = -Infinity;
  #listedMs = -Infinity;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** People with a live session or credential. */
  get atLarge(): ReadonlySet<PersonId> {
    return this.#atLarge;
  }

  /** How many are to be asked about because something changed. */
  get waiting(): number {
    return this.#touched.size;
  }

  /** When everybody had been asked about; undefined: not yet. */
  get sweptMs(): number | undefined {
    return this.#sweptMs;
  }

  async list({ store, clock }: Pick<Rooms, 'store' | 'clock'>): Promise<void> {
    const nowMs = clock.nowMs();
    if (nowMs >= this.#listedMs && nowMs < this.#listAgainMs) return;
    const startedMs = performance.now();
    this.#atLarge = new Set(await store.peopleAtLarge(this.#directory, nowMs));
    this.#listedMs = nowMs;
    this.#listAgainMs = nowMs + (performance.now() - startedMs) * listWorth;
    this.#groups.forgetAllBut(this.#atLarge);
  }

  /** Notes whom the news could concern. */
  note({ objects, everybody }: Pick<DirectoryNews, 'objects' | 'everybody'>, seenBy: string): void {
    for (const [id, changes] of this.#groups.touchedBy(objects, this.#atLarge))
      this.#touch(id, { seenBy, objects: changes });
    if (everybody !== undefined) for (const id of this.#atLarge) this.#touch(id, { seenBy, objects: [] });
  }

  /** Somebody is to be asked about once more, for the same cause. */
  again(id: PersonId, cause: Cause): void {
    this.#touch(id, cause);
  }

  /** Begins to ask about everybody when it is time. */
  sweep(nowMs: number, everyMs: number): void {
    if (this.#toSweep.length > 0 || nowMs - this.#sweepBeganMs < everyMs) return;
    this.#sweepBeganMs = nowMs;
    this.#toSweep = [...this.#atLarge];
    if (this.#toSweep.length === 0) this.#sweptMs = nowMs;
  }

  /** Whoever was touched first, then some of the others. */
  next(): AskBatch {
    const touched = [...this.#touched].slice(0, mostAtOnce);
    return { touched, swept: this.#toSweep.slice(0, mostAtOnce - touched.length) };
  }

  /** All of the batch were answered about. Without this call they are the next ones again. */
  done({ touched, swept }: AskBatch, findings: readonly Finding[], nowMs: number): void {
    for (const [id, cause] of touched) if (this.#touched.get(id) === cause) this.#touched.delete(id);
    this.#toSweep = this.#toSweep.slice(swept.length);
    if (swept.length > 0 && this.#toSweep.length === 0) this.#sweptMs = nowMs;
    for (const { person } of findings) if (person !== undefined) this.#groups.remember(person);
  }

  /** Somebody else follows now: whoever comes back begins with everybody. */
  reset(): void {
    this.#touched.clear();
    this.#toSweep = [];
    this.#sweepBeganMs = -Infinity;
  }

  #touch(id: PersonId, cause: Cause): void {
    const before = this.#touched.get(id);
    const known = new Set(before?.objects.map((object) => object.id));
    const fresh = cause.objects.filter((object) => !known.has(object.id));
    this.#touched.set(id, { ...cause, objects: [...(before?.objects ?? []), ...fresh] });
  }
}
