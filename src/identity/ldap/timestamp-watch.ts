import type { Clock } from '../../kernel/index.ts';
import type { ChangedObject, DirectoryNews, DirectoryWatch } from '../watch.ts';
import type { SearchRequest } from './connection.ts';
import type { DirectoryEntry } from './entry.ts';
import type { Fleet } from './fleet.ts';
import { allOf, anyEntry, atLeast } from './filter.ts';
import { formatGeneralizedTime, parseGeneralizedTime } from './generalized-time.ts';
import type { LdapWatchOptions } from './ldap-watch.ts';
import { Presence } from './presence.ts';

/** More in one look, and asking everybody is cheaper. */
const maxObjects = 500;
/** Times have whole seconds: what changed once more within the same one looks the same, so it is told again some times. */
const tellings = 3;
const cursorKind = 'timestamps';
const firstMarginMs = 3_600_000;
const cutMarginMs = 120_000;

/**
 * Changes of any LDAP server by `modifyTimestamp`, which tells nothing of deletions: people are looked for by id besides, and groups
 * that were deleted come out at the regular question to everybody.
 */
export class TimestampWatch implements DirectoryWatch {
  readonly method = 'timestamps';
  readonly #options: LdapWatchOptions;
  readonly #fleet: Fleet;
  readonly #clock: Clock;
  readonly #presence: Presence;
  /** How often an entry with that time was told, by `id|time`. */
  #told = new Map<string, number>();

  constructor(options: LdapWatchOptions, fleet: Fleet, clock: Clock) {
    this.#options = options;
    this.#clock = clock;
    this.#fleet = fleet;
    this.#presence = new Presence(options);
  }

  async look({ cursor, people }: Parameters<DirectoryWatch['look']>[0]): Promise<DirectoryNews> {
    const since = parseCursor(cursor);
    const ask = (request: SearchRequest): Promise<readonly DirectoryEntry[]> => this.#fleet.search(request);
    if (since === undefined)
      return { objects: [], everybody: 'first_look', cursor: this.#cursorBefore(firstMarginMs) };
    const found: DirectoryEntry[] = [];
    for (const baseDn of this.#options.baseDns) {
      const filter = allOf(anyEntry, atLeast('modifyTimestamp', since));
      const attributes = ['modifyTimestamp', this.#options.idAttribute];
      found.push(...(await ask({ baseDn, scope: 'sub', filter, attributes, sizeLimit: maxObjects })));
    }
    const missing = await this.#presence.missing(people, ask);
    const stamps = found.flatMap((entry) => entry.text('modifyTimestamp').slice(0, 1));
    const newest = stamps.reduce((latest, stamp) => (isLater(stamp, latest) ? stamp : latest), since);
    // The list was cut anywhere, so its newest time need not be the newest of all.
    if (found.length >= maxObjects)
      return { objects: missing, everybody: 'too_many_changes', cursor: this.#cursorBefore(cutMarginMs) };
    const next = JSON.stringify([cursorKind, newest]);
    return { objects: [...this.#fresh(found), ...missing], cursor: next };
  }

  close(): void {
    this.#told.clear();
  }

  #fresh(found: readonly DirectoryEntry[]): readonly ChangedObject[] {
    const told = new Map<string, number>();
    const fresh = found.flatMap((entry) => {
      const id = this.#options.idOf(entry);
      if (id === undefined) return [];
      const key = `${id}|${entry.text('modifyTimestamp')[0] ?? ''}`;
      const times = (this.#told.get(key) ?? 0) + 1;
      told.set(key, times);
      return times > tellings ? [] : [{ id, dns: [entry.dn], attributes: [], isGone: false }];
    });
    this.#told = told;
    return fresh;
  }

  /** By this computer's clock, which may be another than the server's: hence well before now. */
  #cursorBefore(marginMs: number): string {
    return JSON.stringify([cursorKind, formatGeneralizedTime(this.#clock.nowMs() - marginMs)]);
  }
}

/** A time that cannot be read is never later. */
function isLater(stamp: string, than: string): boolean {
  return (parseGeneralizedTime(stamp) ?? -Infinity) > (parseGeneralizedTime(than) ?? -Infinity);
}

/** What another method wrote, or another version, is no time to go on from. */
function parseCursor(cursor: string | undefined): string | undefined {
  try {
    const [kind, stamp] = JSON.parse(cursor ?? '[]') as [unknown, unknown];
    const isTime = typeof stamp === 'string' && parseGeneralizedTime(stamp) !== undefined;
    return kind === cursorKind && isTime ? stamp : undefined;
  } catch {
    return undefined; // It cannot be read.
  }
}
