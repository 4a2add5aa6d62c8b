import type { EntryDraft, EntryValue } from '../accounting/index.ts';
import { readPeopleMarks, type PeopleMarks, type PersonMark } from '../identity/index.ts';
import { isCodedError } from '../kernel/index.ts';
import type { Rooms } from './rooms.ts';

const pageSize = 1000;

type Asked = Pick<Rooms, 'store' | 'clock'>;

/**
 * Tells the log what became of the people of a built-in directory: one entry for each who was added, changed or removed, by the
 * command line or by hand, while the broker ran or while it was down. What the log said last is what it compares with.
 */
export class PeopleWatch {
  readonly #directory: string;
  readonly #file: string;
  #stamp: string | undefined;
  /** By id; undefined until the log has been read. */
  #logged: Map<string, PersonMark> | undefined;

  constructor(directory: string, file: string) {
    this.#directory = directory;
    this.#file = file;
  }

  /** Looks once; a file that cannot be read now is looked at again, and health says what is wrong with it. */
  async look(rooms: Asked): Promise<void> {
    const found = await this.#read();
    if (found === undefined) return;
    this.#logged ??= await this.#lastLogged(rooms);
    if (this.#changes(found, rooms).length > 0) {
      // Another broker that reads the same file may have told of it already.
      this.#logged = await this.#lastLogged(rooms);
      const entries = this.#changes(found, rooms);
      if (entries.length > 0) await rooms.store.commit({ entries });
    }
    this.#logged = new Map([...found.people].map(([id, { mark }]) => [id, mark]));
    this.#stamp = found.stamp;
  }

  #changes({ people }: PeopleMarks, { clock }: Asked): readonly EntryDraft[] {
    const logged = this.#logged ?? new Map<string, PersonMark>();
    const ids = new Set([...logged.keys(), ...people.keys()]);
    const timeMs = clock.nowMs();
    return [...ids].flatMap((id) => {
      const now = people.get(id);
      const what = whatChanged(logged.get(id), now?.mark);
      if (what.length === 0) return [];
      return [this.#entry({ id, what, before: logged.get(id), after: now?.mark, login: now?.login, timeMs })];
    });
  }

  /** Undefined when nothing changed or nothing can be read. */
  async #read(): Promise<PeopleMarks | undefined> {
    try {
      return await readPeopleMarks(this.#file, this.#stamp);
    } catch (error) {
      if (isCodedError(error)) return undefined;
      throw error;
    }
  }

  /** Whom the log knows, as its newest entry about each says. */
  async #lastLogged({ store }: Asked): Promise<Map<string, PersonMark>> {
    const newest = new Map<string, PersonMark | null>();
    const prefix = `${this.#directory}:`;
    for (let before: bigint | undefined; ;) {
      const page = await store.searchLog({
        type: 'directory.change',
        limit: pageSize,
        ...(before === undefined ? {} : { before }),
      });
      for (const { bytes } of page) {
        const { subject, change } = JSON.parse(bytes.toString('utf8')) as ChangeEntry;
        // A departure that was followed says nothing of how the person is now.
        if (change.after === undefined) continue;
        const id = subject.uid.startsWith(prefix) ? subject.uid.slice(prefix.length) : undefined;
        if (id !== undefined && !newest.has(id)) newest.set(id, isMark(change.after) ? change.after : null);
      }
      before = page.at(-1)?.index;
      if (page.length < pageSize) break;
    }
    return new Map([...newest].filter((known): known is [string, PersonMark] => known[1] !== null));
  }

  #entry({ id, what, before, after, login, timeMs }: PersonChange): EntryDraft {
    return {
      type: 'directory.change',
      outcome: 'success',
      timeMs,
      actor: { kind: 'operator' },
      subject: { uid: `${this.#directory}:${id}` },
      fields: {
        target: { kind: 'directory', value: this.#directory },
        change: { what, before: asValue(before), after: asValue(after) },
      },
      ...(login === undefined ? {} : { personal: { 'subject.name': login } }),
    };
  }
}

interface PersonChange {
  readonly id: string;
  readonly what: readonly Difference[];
  readonly before: PersonMark | undefined;
  readonly after: PersonMark | undefined;
  /** Unknown of somebody who is gone. */
  readonly login: string | undefined;
  readonly timeMs: number;
}

/** The part of a `directory.change` entry that is read back; docs/formats/log.md describes it. */
interface ChangeEntry {
  readonly subject: { readonly uid: string };
  readonly change: { readonly after?: unknown };
}

/** What another version may have written in this place counts as nothing known: then the person is told of anew. */
function isMark(value: unknown): value is PersonMark {
  return (
    typeof value === 'object' &&
    value !== null &&
    'record' in value &&
    'groups' in value &&
    Array.isArray(value.groups)
  );
}

type Difference = 'added' | 'removed' | 'password' | 'groups' | 'disabled' | 'enabled' | 'names';

function whatChanged(before: PersonMark | undefined, after: PersonMark | undefined): readonly Difference[] {
  if (before?.record === after?.record) return [];
  if (before === undefined) return ['added'];
  if (after === undefined) return ['removed'];
  const what: Difference[] = [];
  if (before.password !== after.password) what.push('password');
  if (before.groups.join() !== after.groups.join()) what.push('groups');
  if (before.disabled !== after.disabled) what.push(after.disabled ? 'disabled' : 'enabled');
  return what.length > 0 ? what : ['names'];
}

function asValue(mark: PersonMark | undefined): EntryValue {
  return mark === undefined ? null : { ...mark };
}
