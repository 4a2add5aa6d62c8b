import type { ChangedObject } from '../watch.ts';
import type { SearchRequest } from './connection.ts';
import type { DirectoryEntry } from './entry.ts';

const idsPerSearch = 100;
/** So many at most in one look; who comes behind them has a turn at the next one. */
const idsPerLook = 1_000;

/** How a kind of directory looks for many ids at once. */
export interface IdSearch {
  readonly ids: (ids: readonly string[]) => readonly SearchRequest[];
  /** The id as it stands in a PersonId; undefined when the entry has none. */
  readonly idOf: (entry: DirectoryEntry) => string | undefined;
}

/**
 * Sees who is no longer found, for directories that do not tell of deletions. Each is told once, and again only after having been
 * back: what to make of it is not decided here.
 */
export class Presence {
  readonly #search: IdSearch;
  readonly #told = new Set<string>();
  #next = 0;

  constructor(search: IdSearch) {
    this.#search = search;
  }

  async missing(
    people: readonly string[],
    ask: (request: SearchRequest) => Promise<readonly DirectoryEntry[]>,
  ): Promise<readonly ChangedObject[]> {
    const from = this.#next < people.length ? this.#next : 0;
    const turn = people.slice(from, from + idsPerLook);
    const found = new Set<string>();
    for (let at = 0; at < turn.length; at += idsPerSearch) {
      for (const request of this.#search.ids(turn.slice(at, at + idsPerSearch)))
        for (const entry of await ask(request)) {
          const id = this.#search.idOf(entry);
          if (id !== undefined) found.add(id);
        }
    }
    this.#next = from + idsPerLook;
    for (const id of found) this.#told.delete(id);
    const missing = turn.filter((id) => !found.has(id) && !this.#told.has(id));
    for (const id of missing) this.#told.add(id);
    const known = new Set(people);
    for (const id of this.#told) if (!known.has(id)) this.#told.delete(id);
    return missing.map((id) => ({ id, dns: [], attributes: [], isGone: true }));
  }
}
