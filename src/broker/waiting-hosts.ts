import type { HostId } from '../kernel/index.ts';
import type { Host } from './host-rows.ts';
import type { KrlPublisher } from './publish-krl.ts';
import type { Store } from './unit-of-work.ts';

/** So many hosts are read with one question and get their answers before anybody else has a turn. */
const servedPerTurn = 32;

/** What a host waits for, and for how long. */
export interface Wait {
  readonly host: HostId;
  /** The version that it has. */
  readonly have: bigint;
  readonly timeoutMs: number;
  /** Says that nobody listens any more. */
  readonly gone: AbortSignal;
}

interface Waiting {
  readonly host: HostId;
  readonly have: bigint;
  readonly timer: NodeJS.Timeout | undefined;
  /** `undefined`: nothing is newer. */
  readonly end: (row: Host | undefined) => void;
  readonly fail: (error: unknown) => void;
}

/**
 * Hosts that wait for a newer bundle, in memory: each is served when a list becomes current here, whichever broker published it, or let go
 * when its time is over, or when it hangs up. Serving goes in turns, so that ten thousand answers hold up nobody's login.
 */
export class WaitingHosts {
  readonly #krl: Pick<KrlPublisher, 'current'>;
  readonly #store: Pick<Store, 'hostsById'>;
  readonly #waiting = new Set<Waiting>();
  /** Those of them for whom there is something newer, in the order in which they are served. */
  readonly #due = new Set<Waiting>();
  #serving = false;
  #closed = false;

  constructor(krl: Pick<KrlPublisher, 'current' | 'onCurrent'>, store: Pick<Store, 'hostsById'>) {
    this.#krl = krl;
    this.#store = store;
    krl.onCurrent(() => {
      for (const waiting of this.#waiting) if (this.#isNewer(waiting.have)) this.#serveSoon(waiting);
    });
  }

  /** How many wait. */
  get count(): number {
    return this.#waiting.size;
  }

  /**
   * Resolves with the host as the database knows it by then, when the list in force is newer than `have`; with undefined when it is not
   * within `timeoutMs`, when `gone` says so, when the broker stops, or when there is no such host any more.
   * @throws what the store throws
   */
  until({ host, have, timeoutMs, gone }: Wait): Promise<Host | undefined> {
    const isNewer = this.#isNewer(have);
    if (gone.aborted || (!isNewer && (timeoutMs <= 0 || this.#closed))) return Promise.resolve(undefined);
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        clearTimeout(waiting.timer);
        gone.removeEventListener('abort', hangUp);
        this.#waiting.delete(waiting);
        this.#due.delete(waiting);
      };
      const waiting: Waiting = {
        host,
        have,
        timer: isNewer ? undefined : setTimeout(() => waiting.end(undefined), timeoutMs),
        end(row) {
          leave();
          resolve(row);
        },
        fail(error) {
          leave();
          reject(error);
        },
      };
      const hangUp = (): void => waiting.end(undefined);
      gone.addEventListener('abort', hangUp);
      this.#waiting.add(waiting);
      if (isNewer) this.#serveSoon(waiting);
    });
  }

  /** Lets everybody go, and takes nobody more: the broker stops. */
  close(): void {
    this.#closed = true;
    for (const waiting of this.#waiting) waiting.end(undefined);
  }

  #isNewer(have: bigint): boolean {
    return (this.#krl.current?.version ?? 0n) > have;
  }

  #serveSoon(waiting: Waiting): void {
    // Its time is over no more: what it waited for is there.
    clearTimeout(waiting.timer);
    this.#due.add(waiting);
    if (this.#serving) return;
    this.#serving = true;
    setImmediate(() => void this.#serve());
  }

  async #serve(): Promise<void> {
    while (this.#due.size > 0) {
      const some = firstOf(this.#due, servedPerTurn);
      await this.#serveSome(some);
      await new Promise(setImmediate);
    }
    this.#serving = false;
  }

  /** Read only now, so that whoever was retired meanwhile gets nothing. */
  async #serveSome(some: readonly Waiting[]): Promise<void> {
    try {
      const rows = await this.#store.hostsById(some.map(({ host }) => host));
      for (const waiting of some) waiting.end(rows.get(waiting.host));
    } catch (error) {
      for (const waiting of some) waiting.fail(error);
    }
  }
}

function firstOf<Item>(items: Iterable<Item>, count: number): readonly Item[] {
  const first: Item[] = [];
  for (const item of items) {
    if (first.length === count) break;
    first.push(item);
  }
  return first;
}
