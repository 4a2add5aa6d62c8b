import type { Clock } from '../../kernel/index.ts';
import type { DirectoryNews, DirectoryWatch, WatchMethod } from '../watch.ts';
import type { Fleet } from './fleet.ts';
import { anyEntry } from './filter.ts';
import type { IdSearch } from './presence.ts';
import { SyncWatch } from './sync-watch.ts';
import { TimestampWatch } from './timestamp-watch.ts';

export interface WatchHow {
  readonly clock: Clock;
  /** Undefined: whatever the server gives. */
  readonly method: WatchMethod | undefined;
}

export interface LdapWatchOptions extends IdSearch {
  readonly peopleBaseDns: readonly string[];
  /** Of people and of groups. */
  readonly baseDns: readonly string[];
  readonly idAttribute: string;
}

const syncRequest = '1.3.6.1.4.1.4203.1.9.1.1';

/**
 * RFC 4533 where the server offers it and people are known by `entryUUID`, which is what it names entries by; times of modification
 * elsewhere. A cursor of one method means nothing to the other.
 */
export class LdapWatch implements DirectoryWatch {
  readonly #options: LdapWatchOptions;
  readonly #fleet: Fleet;
  readonly #clock: Clock;
  readonly #asked: WatchMethod | undefined;
  #watch: SyncWatch | TimestampWatch | undefined;
  #closed = false;

  constructor(options: LdapWatchOptions, fleet: Fleet, how: WatchHow) {
    this.#options = options;
    this.#fleet = fleet;
    this.#clock = how.clock;
    this.#asked = how.method;
  }

  get method(): WatchMethod | undefined {
    return this.#watch?.method;
  }

  async look(from: Parameters<DirectoryWatch['look']>[0]): Promise<DirectoryNews> {
    if (this.#closed) throw this.#fleet.unavailable('it has been closed');
    this.#watch ??= await this.#choose();
    if (this.#watch instanceof SyncWatch && this.#watch.isRefused && this.#asked === undefined) {
      // Offered, and not for this database or this account.
      this.#watch.close();
      this.#watch = new TimestampWatch(this.#options, this.#fleet, this.#clock);
    }
    return this.#watch.look(from);
  }

  close(): void {
    this.#closed = true;
    this.#watch?.close();
  }

  async #choose(): Promise<SyncWatch | TimestampWatch> {
    const sync = (): SyncWatch => new SyncWatch(this.#options.baseDns, this.#fleet);
    if (this.#asked === 'sync') return sync();
    const [root] = await this.#fleet.search({
      baseDn: '',
      scope: 'base',
      filter: anyEntry,
      attributes: ['supportedControl'],
    });
    const offered = root?.text('supportedControl').includes(syncRequest) === true;
    const isUuid = this.#options.idAttribute.toLowerCase() === 'entryuuid';
    return this.#asked === undefined && offered && isUuid
      ? sync()
      : new TimestampWatch(this.#options, this.#fleet, this.#clock);
  }
}
