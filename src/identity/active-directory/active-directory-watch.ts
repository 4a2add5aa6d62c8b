import { Control } from 'ldapts';
import { ResultFault } from '../ldap/connection.ts';
import type { SearchRequest } from '../ldap/connection.ts';
import type { DirectoryEntry } from '../ldap/entry.ts';
import type { AskServer, Fleet } from '../ldap/fleet.ts';
import { allOf, anyEntry, anyOf, atLeast, equals } from '../ldap/filter.ts';
import { Presence } from '../ldap/presence.ts';
import type { ChangedObject, DirectoryNews, DirectoryWatch, EverybodyReason, WatchMethod } from '../watch.ts';
import { DirSyncControl } from './dirsync-control.ts';
import { guidToText, sidToText } from './identifiers.ts';

export interface ActiveDirectoryWatchOptions {
  readonly domainBaseDn: string;
  /** What policy reads of a person. */
  readonly attributes: readonly string[];
  readonly ids: (ids: readonly string[]) => readonly SearchRequest[];
}

/** More in one look, and asking everybody is cheaper. */
const maxObjects = 500;
const maxPages = 20;
const maxControllers = 32;
const refusals: ReadonlySet<number> = new Set([
  12, // unavailableCriticalExtension
  50, // insufficientAccessRights
  53, // unwillingToPerform
]);

/** Kinds of objects whose changes can take something from a person. A group or an account keeps its class when it is deleted. */
const watched = anyOf(['user', 'group', 'organizationalUnit'].map((name) => equals('objectClass', name)));
const nothing = equals('objectGUID', Buffer.alloc(16));
/** Deleted objects, where the account may see them ([MS-ADTS] section 3.1.1.3.4.1.14). */
const showDeleted = '1.2.840.113556.1.4.417';

const stateAttributes = [
  'userAccountControl',
  'accountExpires',
  'member',
  'isDeleted',
  'name',
  'lastKnownParent',
];
/** What every entry has, whatever changed. */
const always: ReadonlySet<string> = new Set([
  'objectguid',
  'instancetype',
  'objectsid',
  'objectclass',
  'usnchanged',
]);

type Method = Extract<WatchMethod, 'dirsync' | 'usn'>;

interface Cursor {
  /** From the server, base64. */
  readonly dirsync?: string;
  /** The highest number seen, by the invocation id of the controller that counted it. */
  readonly usn: Readonly<Record<string, string>>;
}

/**
 * Changes of a domain: by the DirSync control with the right to replicate, else with what the account may read anyway, else by
 * uSNChanged, which each controller counts for itself. Accounts that were deleted are looked for by id besides, as the container of
 * deleted objects is closed to most.
 */
export class ActiveDirectoryWatch implements DirectoryWatch {
  readonly #options: ActiveDirectoryWatchOptions;
  readonly #fleet: Fleet;
  readonly #asked: WatchMethod | undefined;
  readonly #presence: Presence;
  #method: Method | undefined;
  #asReplicator = true;

  constructor(options: ActiveDirectoryWatchOptions, fleet: Fleet, method: WatchMethod | undefined) {
    this.#options = options;
    this.#fleet = fleet;
    this.#asked = method;
    this.#presence = new Presence({ ids: options.ids, idOf: (entry) => guidOf(entry) });
  }

  get method(): WatchMethod | undefined {
    return this.#method;
  }

  async look({ cursor, people }: Parameters<DirectoryWatch['look']>[0]): Promise<DirectoryNews> {
    const from = parseCursor(cursor);
    const changes = await this.#fleet.onOneServer((ask) => this.#changes(ask, from));
    const missing = await this.#presence.missing(people, (request) => this.#fleet.search(request));
    const objects = [...changes.objects, ...missing];
    return { ...changes, objects, cursor: JSON.stringify(changes.cursor) };
  }

  close(): void {
    this.#method = undefined;
  }

  async #changes(ask: AskServer, from: Cursor): Promise<Changes> {
    if (this.#asked === 'usn') this.#method = 'usn';
    while (this.#method !== 'usn') {
      try {
        const changes = await this.#byDirSync(ask, from);
        this.#method = 'dirsync';
        return changes;
      } catch (error) {
        if (!(error instanceof ResultFault && refusals.has(error.resultCode))) throw error;
        if (this.#asReplicator) this.#asReplicator = false;
        else if (this.#asked === undefined) this.#method = 'usn';
        else throw error;
      }
    }
    return this.#byUsn(ask, from);
  }

  async #byDirSync(ask: AskServer, from: Cursor): Promise<Changes> {
    const { domainBaseDn, attributes } = this.#options;
    const isFirst = from.dirsync === undefined;
    let cookie = Buffer.from(from.dirsync ?? '', 'base64');
    const found: DirectoryEntry[] = [];
    for (let page = 1, more = true; more; page += 1) {
      const control = new DirSyncControl(cookie, this.#asReplicator);
      found.push(
        ...(await ask({
          baseDn: domainBaseDn,
          scope: 'sub',
          // The first time only the place to go on from is wanted, not a million objects.
          filter: isFirst ? nothing : watched,
          attributes: [...new Set([...stateAttributes, ...attributes, 'objectGUID'])],
          binaryAttributes: ['objectGUID', 'objectSid'],
          controls: [control],
        })),
      );
      if (control.answer === undefined) throw new ResultFault(12, 'DirSync was not answered');
      ({ more, cookie } = control.answer as { more: boolean; cookie: Buffer<ArrayBuffer> });
      if (page === maxPages) break;
    }
    return this.#sorted(found, isFirst ? 'first_look' : undefined, {
      ...from,
      dirsync: cookie.toString('base64'),
    });
  }

  async #byUsn(ask: AskServer, from: Cursor): Promise<Changes> {
    const root = { baseDn: '', scope: 'base', filter: anyEntry } as const;
    const [head] = await ask({ ...root, attributes: ['highestCommittedUSN', 'dsServiceName'] });
    const [highest = ''] = head?.text('highestCommittedUSN') ?? [];
    const [serviceDn = ''] = head?.text('dsServiceName') ?? [];
    const [service] = await ask({
      ...root,
      baseDn: serviceDn,
      attributes: ['invocationId'],
      binaryAttributes: ['invocationId'],
    });
    const [invocation] = service?.bytes('invocationId') ?? [];
    if (invocation?.length !== 16 || !/^\d{1,20}$/.test(highest))
      throw new ResultFault(50, 'the service account cannot read where the controller stands');
    // A controller that was restored from a copy counts under a new invocation id ([MS-ADTS] section 3.1.1.4.5).
    const counter = invocation.toString('hex');
    const seen = from.usn[counter];
    const others = Object.entries(from.usn).filter(([name]) => name !== counter);
    const next = {
      ...from,
      usn: Object.fromEntries([...others.slice(1 - maxControllers), [counter, highest]]),
    };
    if (seen === undefined)
      return { objects: [], everybody: others.length > 0 ? 'other_server' : 'first_look', cursor: next };
    if (seen === highest) return { objects: [], cursor: next };
    const found = await ask({
      baseDn: this.#options.domainBaseDn,
      scope: 'sub',
      filter: allOf(atLeast('uSNChanged', String(BigInt(seen) + 1n)), watched),
      attributes: ['objectGUID', 'objectSid', 'objectClass', 'isDeleted', 'lastKnownParent', 'name'],
      binaryAttributes: ['objectGUID', 'objectSid'],
      sizeLimit: maxObjects,
      controls: [new Control(showDeleted)],
    });
    // What an entry shows is not what changed of it.
    return this.#sorted(found, undefined, next, true);
  }

  #sorted(
    found: readonly DirectoryEntry[],
    everybody: EverybodyReason | undefined,
    cursor: Cursor,
    isWhole = false,
  ): Changes {
    if (found.length >= maxObjects) return { objects: [], everybody: 'too_many_changes', cursor };
    const movesOthers = found.some((entry) => /^ou=/i.test(entry.dn));
    const why = everybody ?? (movesOthers ? 'container_changed' : undefined);
    const objects = found.flatMap((entry) => asChanged(entry, isWhole));
    return { objects, ...(why === undefined ? {} : { everybody: why }), cursor };
  }
}

type Changes = Omit<DirectoryNews, 'cursor'> & { readonly cursor: Cursor };

function guidOf(entry: DirectoryEntry): string | undefined {
  const [guid] = entry.bytes('objectGUID');
  return guid && guidToText(guid);
}

function asChanged(entry: DirectoryEntry, isWhole: boolean): readonly ChangedObject[] {
  const id = guidOf(entry);
  if (id === undefined) return [];
  const [sidBytes] = entry.bytes('objectSid');
  const sid = sidBytes && sidToText(sidBytes);
  const isGone = entry.text('isDeleted')[0]?.toUpperCase() === 'TRUE';
  const attributes = isWhole ? [] : entry.names().filter((name) => !always.has(name));
  return [
    { id, dns: [entry.dn, ...formerDn(entry)], ...(sid === undefined ? {} : { sid }), attributes, isGone },
  ];
}

/** `CN=name\0ADEL:guid,CN=Deleted Objects,…` was `CN=name,` and its last known parent ([MS-ADTS] section 3.1.1.5.5.1.1). */
function formerDn(entry: DirectoryEntry): readonly string[] {
  const [parent] = entry.text('lastKnownParent');
  const name = /^([^,]+?)\\0ADEL:/i.exec(entry.dn)?.[1];
  return parent === undefined || name === undefined ? [] : [`${name},${parent}`];
}

/** What another version wrote is no place to go on from. */
function parseCursor(cursor: string | undefined): Cursor {
  try {
    const { dirsync, usn } = JSON.parse(cursor ?? '{}') as { dirsync?: unknown; usn?: unknown };
    const counters = Object.entries(usn ?? {}).filter(
      (pair): pair is [string, string] => typeof pair[1] === 'string' && /^\d{1,20}$/.test(pair[1]),
    );
    return { ...(typeof dirsync === 'string' ? { dirsync } : {}), usn: Object.fromEntries(counters) };
  } catch {
    return { usn: {} }; // It cannot be read.
  }
}
