import type { EntryDraft } from '../accounting/index.ts';
import type { Rooms } from '../broker/index.ts';
import { readPeopleMarks, type PeopleMarks } from '../identity/index.ts';
import { isCodedError } from '../kernel/index.ts';

/**
 * Tells the log what `sallyport people` does to a file while the broker runs: one entry for each person added, changed or
 * removed. What happened while it was down is not told apart: the first look only remembers.
 */
export class PeopleWatch {
  readonly #directory: string;
  readonly #file: string;
  #known: PeopleMarks | undefined;

  constructor(directory: string, file: string) {
    this.#directory = directory;
    this.#file = file;
  }

  /** Looks once; a file that cannot be read now is looked at again, and health says what is wrong with it. */
  async look(rooms: Pick<Rooms, 'store' | 'clock'>): Promise<void> {
    const now = await this.#read();
    if (now === undefined) return;
    const before = this.#known?.marks;
    if (before !== undefined) {
      const ids = new Set([...before.keys(), ...now.marks.keys()]);
      const timeMs = rooms.clock.nowMs();
      const entries = [...ids].flatMap((id) => this.#entry(id, [before.get(id), now.marks.get(id)], timeMs));
      if (entries.length > 0) await rooms.store.commit({ entries });
    }
    this.#known = now;
  }

  /** Undefined when nothing changed or nothing can be read. */
  async #read(): Promise<PeopleMarks | undefined> {
    try {
      return await readPeopleMarks(this.#file, this.#known?.stamp);
    } catch (error) {
      if (isCodedError(error)) return undefined;
      throw error;
    }
  }

  #entry(id: string, [before, after]: readonly [string?, string?], timeMs: number): EntryDraft[] {
    if (before === after) return [];
    return [
      {
        type: 'directory.change',
        outcome: 'success',
        timeMs,
        actor: { kind: 'operator' },
        subject: { uid: `${this.#directory}:${id}` },
        fields: {
          target: { kind: 'directory', value: this.#directory },
          change: { before: before ?? null, after: after ?? null },
        },
      },
    ];
  }
}
