import { ServerFault } from './connection.ts';

/** What the pool needs to know of a connection. */
interface Pooled {
  readonly alive: boolean;
  close(): void;
}

export interface PoolOptions<Connection> {
  readonly open: () => Promise<Connection>;
  readonly maxConnections: number;
  readonly maxWaiting: number;
  /** How long a request waits for a connection before it is turned away. */
  readonly maxWaitMs: number;
}

/** Thrown when the queue is full or the wait too long: the servers answer, only not fast enough for everybody. */
export class QueueFull extends Error {
  constructor() {
    super('too many requests are waiting for this directory');
    this.name = 'QueueFull';
  }
}

/** Firewalls drop idle connections silently after minutes, Active Directory closes them after fifteen. */
const maxIdleMs = 60_000;

/** Connections to one server for one purpose, each lent to one request at a time. */
export class ConnectionPool<Connection extends Pooled> {
  readonly #options: PoolOptions<Connection>;
  readonly #idle: { readonly connection: Connection; readonly timer: NodeJS.Timeout }[] = [];
  readonly #waiting: { readonly admit: () => void; readonly refuse: (error: Error) => void }[] = [];
  #lent = 0;
  #generation = 0;

  constructor(options: PoolOptions<Connection>) {
    this.#options = options;
  }

  /**
   * Lends a connection to `work`. One that was kept open may have died unseen: then `work` runs once more, on a new one.
   * @throws ServerFault, QueueFull, and whatever `work` throws
   */
  async use<T>(work: (connection: Connection) => Promise<T>): Promise<T> {
    await this.#enter();
    try {
      try {
        return await this.#lend(work);
      } catch (error) {
        if (!(error instanceof ServerFault && error.stale)) throw error;
        this.#closeIdle(); // They were opened to the same process, which is gone.
        return await this.#lend(work);
      }
    } finally {
      this.#leave();
    }
  }

  /** Closes what is idle, turns away what waits, and lets nothing that is lent now come back. The pool stays usable. */
  clear(reason: string): void {
    this.#closeIdle();
    for (const { refuse } of this.#waiting.splice(0)) refuse(new ServerFault(reason, false));
  }

  #closeIdle(): void {
    this.#generation += 1;
    for (const { connection, timer } of this.#idle.splice(0)) {
      clearTimeout(timer);
      connection.close();
    }
  }

  async #lend<T>(work: (connection: Connection) => Promise<T>): Promise<T> {
    const generation = this.#generation;
    const connection = this.#takeIdle() ?? (await this.#options.open());
    try {
      return await work(connection);
    } finally {
      if (connection.alive && generation === this.#generation) this.#keep(connection);
      else connection.close();
    }
  }

  #takeIdle(): Connection | undefined {
    for (let kept = this.#idle.pop(); kept !== undefined; kept = this.#idle.pop()) {
      clearTimeout(kept.timer);
      if (kept.connection.alive) return kept.connection;
      kept.connection.close();
    }
    return undefined;
  }

  #keep(connection: Connection): void {
    const timer = setTimeout(() => {
      const index = this.#idle.findIndex((kept) => kept.connection === connection);
      if (index >= 0) this.#idle.splice(index, 1);
      connection.close();
    }, maxIdleMs);
    timer.unref();
    this.#idle.push({ connection, timer });
  }

  async #enter(): Promise<void> {
    if (this.#lent < this.#options.maxConnections) {
      this.#lent += 1;
      return;
    }
    if (this.#waiting.length >= this.#options.maxWaiting) throw new QueueFull();
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
        reject(new QueueFull());
      }, this.#options.maxWaitMs);
      const waiter = {
        admit: () => {
          clearTimeout(timer);
          resolve();
        },
        refuse: (error: Error) => {
          clearTimeout(timer);
          reject(error);
        },
      };
      this.#waiting.push(waiter);
    });
  }

  /** A place that becomes free goes straight to the one who waited longest. */
  #leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#lent -= 1;
    else next.admit();
  }
}
