import { printable } from '../../kernel/index.ts';
import type { ChangedObject, DirectoryNews, DirectoryWatch, EverybodyReason } from '../watch.ts';
import type { Fleet } from './fleet.ts';
import { SyncStream } from './sync-stream.ts';
import type { SyncMessage } from './sync-messages.ts';

/** More than these, and asking everybody is cheaper than remembering them. */
const maxObjects = 2_000;
const cursorKind = 'sync';
/** RFC 4511 appendix A and RFC 4533 section 2.7. */
const refreshRequired = 4096;
const refusals: ReadonlySet<number> = new Set([12, 50, 53]);

/** Whose children are not told of when it moves. */
const containers: ReadonlySet<string> = new Set([
  'organizationalunit',
  'organization',
  'domain',
  'dcobject',
  'locality',
  'country',
]);

/** Where the refresh of one base stands. */
interface Place {
  readonly baseDn: string;
  cookie: Buffer | undefined;
  /** Whether the refresh began with a cookie: without one it tells of every entry there is, which says nothing. */
  readonly hadCookie: boolean;
  isRefreshing: boolean;
}

/** Changes of an OpenLDAP server as it tells them (RFC 4533), collected between two looks. */
export class SyncWatch implements DirectoryWatch {
  readonly method = 'sync';
  readonly #baseDns: readonly string[];
  readonly #fleet: Fleet;
  #stream: SyncStream | undefined;
  #places: Place[] = [];
  #objects: ChangedObject[] = [];
  #everybody: EverybodyReason | undefined;
  #fault: string | undefined;
  /** The server does not give it to this account. */
  isRefused = false;

  constructor(baseDns: readonly string[], fleet: Fleet) {
    this.#baseDns = baseDns;
    this.#fleet = fleet;
  }

  async look({ cursor }: { readonly cursor: string | undefined }): Promise<DirectoryNews> {
    const fault = this.#fault ?? this.#stream?.check();
    if (fault !== undefined) {
      this.#stop();
      // One that never came to the end of its refresh would not do better at once.
      if (this.#places.some(({ isRefreshing }) => isRefreshing)) {
        this.#places = [];
        throw this.#fleet.unavailable(fault);
      }
    }
    if (this.#stream === undefined) await this.#open(cursor);
    const objects = this.#objects.splice(0);
    const everybody = this.#everybody;
    this.#everybody = undefined;
    return { objects, ...(everybody === undefined ? {} : { everybody }), cursor: this.#cursor() };
  }

  close(): void {
    this.#stop();
  }

  #stop(): void {
    this.#stream?.close();
    this.#stream = undefined;
    this.#fault = undefined;
  }

  async #open(cursor: string | undefined): Promise<void> {
    const kept = new Map(this.#places.map(({ baseDn, cookie }) => [baseDn, cookie]));
    const stored = parseCursor(cursor);
    this.#places = this.#baseDns.map((baseDn) => {
      const cookie = kept.get(baseDn) ?? stored.get(baseDn);
      return { baseDn, cookie, hadCookie: cookie !== undefined, isRefreshing: true };
    });
    this.#stream = await this.#fleet.dedicated((address, server, timeoutMs) =>
      SyncStream.open({
        address,
        server,
        timeoutMs,
        places: this.#places,
        onMessage: (nth, message) => {
          const place = this.#places[nth];
          if (place !== undefined) this.#take(place, message);
        },
      }),
    );
  }

  #take(place: Place, message: SyncMessage): void {
    if (message.kind === 'other') return;
    if ('resultCode' in message) return this.#searchEnded(place, message.resultCode);
    if (message.kind === 'entry') this.#entry(place, message);
    else if (message.kind === 'ids') {
      if (message.areDeleted) for (const uuid of message.uuids) this.#push(gone(uuid, []));
    } else if (message.kind === 'refreshed') {
      // Deletions are only to be seen by who is not named: everybody is asked instead of remembering all names.
      if (!place.hadCookie) this.#everybody ??= 'first_look';
      else if (!message.deletionsTold) this.#everybody ??= 'lost_place';
      if (message.isDone) place.isRefreshing = false;
    }
    if (message.cookie !== undefined) place.cookie = message.cookie;
  }

  #entry(place: Place, { state, uuid, dn, objectClasses }: Extract<SyncMessage, { kind: 'entry' }>): void {
    if (state === 'present' || (place.isRefreshing && !place.hadCookie)) return;
    if (state === 'delete') return this.#push(gone(uuid, [dn]));
    if (objectClasses.some((name) => containers.has(name)) && state === 'modify')
      this.#everybody ??= 'container_changed';
    this.#push({ id: uuid, dns: [dn], attributes: [], isGone: false });
  }

  #push(object: ChangedObject): void {
    if (this.#objects.length < maxObjects) this.#objects.push(object);
    else this.#everybody ??= 'too_many_changes';
  }

  /** A search of this kind ends only when something is wrong with it. */
  #searchEnded(place: Place, resultCode: number): void {
    if (resultCode === refreshRequired) {
      place.cookie = undefined;
      this.#everybody ??= 'lost_place';
    } else if (refusals.has(resultCode)) this.isRefused = true;
    this.#fault = `the search below “${printable(place.baseDn, 80)}” ended with result ${resultCode}`;
  }

  /** Undefined while any base has told of no place to go on from. */
  #cursor(): string | undefined {
    const cookies = this.#places.map(({ baseDn, cookie }) => [baseDn, cookie?.toString('base64')] as const);
    return cookies.some(([, cookie]) => cookie === undefined)
      ? undefined
      : JSON.stringify([cursorKind, Object.fromEntries(cookies)]);
  }
}

function gone(id: string, dns: readonly string[]): ChangedObject {
  return { id, dns, attributes: [], isGone: true };
}

/** What another method wrote, or another version, is no place to go on from. */
function parseCursor(cursor: string | undefined): ReadonlyMap<string, Buffer> {
  try {
    const [kind, cookies] = JSON.parse(cursor ?? '[]') as [unknown, unknown];
    if (kind !== cursorKind || typeof cookies !== 'object' || cookies === null) return new Map();
    return new Map(
      Object.entries(cookies).flatMap(([baseDn, cookie]) =>
        typeof cookie === 'string' ? [[baseDn, Buffer.from(cookie, 'base64')] as const] : [],
      ),
    );
  } catch {
    return new Map(); // It cannot be read, so it is no place to go on from.
  }
}
