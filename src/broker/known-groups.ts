import { immutableIdOf, type ChangedObject, type Person } from '../identity/index.ts';
import type { PersonId } from '../kernel/index.ts';

/**
 * Which groups people had when they were last asked about, directly or through others: a group says who is in it now, and whoever was
 * taken out of it is just who is looked for. Kept in memory only; whoever is not known here counts as touched by any group.
 */
export class KnownGroups {
  readonly #groups = new Map<PersonId, ReadonlySet<string>>();

  remember({ id, groups }: Person): void {
    const keys = groups.flatMap(({ dn, sid }) => keysOf(dn === undefined ? [] : [dn], sid));
    this.#groups.set(id, new Set(keys));
  }

  forgetAllBut(people: ReadonlySet<PersonId>): void {
    for (const id of this.#groups.keys()) if (!people.has(id)) this.#groups.delete(id);
  }

  /** Those of the people whom one of the changes could concern, each with the changes that do. All are of one directory. */
  touchedBy(
    objects: readonly ChangedObject[],
    people: ReadonlySet<PersonId>,
  ): ReadonlyMap<PersonId, readonly ChangedObject[]> {
    const byId = new Map([...people].map((id) => [immutableIdOf(id), id]));
    const touched = new Map<PersonId, ChangedObject[]>();
    const touch = (id: PersonId, object: ChangedObject): void => {
      const known = touched.get(id);
      if (known === undefined) touched.set(id, [object]);
      else known.push(object);
    };
    for (const object of objects) {
      const own = byId.get(object.id);
      if (own !== undefined) {
        touch(own, object);
        continue;
      }
      const keys = keysOf(object.dns, object.sid);
      // Something is gone that nobody can name: it may have been anybody's group.
      const isNameless = keys.length === 0 && object.isGone;
      for (const id of people) {
        const groups = this.#groups.get(id);
        if (isNameless || groups === undefined || keys.some((key) => groups.has(key))) touch(id, object);
      }
    }
    return touched;
  }
}

/** Both sides were written by the same directory: only the case may differ. */
function keysOf(dns: readonly string[], sid: string | undefined): readonly string[] {
  return [
    ...dns.map((dn) => `dn ${dn.toLowerCase()}`),
    ...(sid === undefined ? [] : [`sid ${sid.toUpperCase()}`]),
  ];
}
