import { LdapConnection, ResultFault, ServerFault } from './connection.ts';
import type { DialOptions } from './dial.ts';
import { anyEntry } from './filter.ts';
import { ConnectionPool } from './pool.ts';
import { nameOf } from './server-address.ts';
import type { ServerAddress } from './server-address.ts';

export interface ServerOptions extends DialOptions {
  readonly service: { readonly dn: string; readonly password: string } | undefined;
  readonly requestTimeoutMs: number;
  readonly maxConnections: number;
  readonly maxWaiting: number;
}

/** A server that answers is asked again after this long; one that does not, sooner at first. */
const probeEveryMs = 30_000;
const firstRetryMs = 1_000;

/**
 * One server of a directory: its two pools, and the memory of whether it answers. It is asked every half minute and, while it
 * is down, after 1, 2, 4, … 30 seconds, so that no login has to find out.
 */
export class Server {
  readonly address: ServerAddress;
  /** Connections of the service account, for searches. */
  readonly searches: ConnectionPool<LdapConnection>;
  /** Connections for proving passwords: each bind changes whose connection it is, so one bind at a time each. */
  readonly binds: ConnectionPool<LdapConnection>;
  readonly #options: ServerOptions;
  #state: 'unknown' | 'up' | 'down' = 'unknown';
  #reason = 'not asked yet';
  #failures = 0;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(address: ServerAddress, options: ServerOptions) {
    this.address = address;
    this.#options = options;
    const pool = (open: () => Promise<LdapConnection>): ConnectionPool<LdapConnection> =>
      new ConnectionPool({
        open,
        maxConnections: options.maxConnections,
        maxWaiting: options.maxWaiting,
        maxWaitMs: options.requestTimeoutMs,
      });
    this.searches = pool(() => this.#openForService());
    this.binds = pool(() => LdapConnection.open(address, options));
  }

  get state(): 'unknown' | 'up' | 'down' {
    return this.#state;
  }

  /** `ldaps://a:636 is down (ECONNREFUSED: …)`. */
  get description(): string {
    return this.#state === 'up'
      ? `${nameOf(this.address)} is up`
      : `${nameOf(this.address)} is ${this.#state} (${this.#reason})`;
  }

  markUp(): void {
    if (this.#closed) return;
    this.#state = 'up';
    this.#failures = 0;
    this.#schedule(probeEveryMs);
  }

  markDown(reason: string): void {
    if (this.#closed) return;
    // Many requests may fail together: one outage is one failure.
    if (this.#state !== 'down' || this.#timer === undefined) {
      this.#failures += 1;
      this.#schedule(Math.min(probeEveryMs, firstRetryMs * 2 ** Math.min(this.#failures - 1, 10)));
    }
    this.#state = 'down';
    this.#reason = reason;
    this.searches.clear(reason);
    this.binds.clear(reason);
  }

  /** Asks the server for its root entry, as the service account. Never throws: the state says what came of it. */
  async probe(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    try {
      await this.searches.use((connection) =>
        connection.search(
          { baseDn: '', scope: 'base', filter: anyEntry, attributes: ['1.1'] },
          this.#options.requestTimeoutMs,
        ),
      );
      this.markUp();
    } catch (error) {
      // Any result code is an answer; a full queue says nothing about the server.
      if (error instanceof ResultFault) this.markUp();
      else if (error instanceof ServerFault) this.markDown(error.message);
      else this.#schedule(probeEveryMs);
    }
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.searches.clear('the directory is closed');
    this.binds.clear('the directory is closed');
  }

  #schedule(delayMs: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.probe(), delayMs);
    this.#timer.unref();
  }

  async #openForService(): Promise<LdapConnection> {
    const { service, connectTimeoutMs } = this.#options;
    const connection = await LdapConnection.open(this.address, this.#options);
    if (service === undefined) return connection;
    try {
      const { resultCode, diagnostic } = await connection.bind(
        service.dn,
        service.password,
        connectTimeoutMs, // A connection that cannot be bound is no connection yet.
      );
      if (resultCode === 0) return connection;
      throw new ServerFault(`the service account is refused: ${diagnostic}`, false);
    } catch (error) {
      connection.close();
      throw error instanceof ServerFault ? new ServerFault(error.message, false) : error;
    }
  }
}
