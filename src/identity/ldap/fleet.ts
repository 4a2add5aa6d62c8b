import { CodedError, printable } from '../../kernel/index.ts';
import type { GateOptions } from '../gate.ts';
import { ResultFault, ServerFault } from './connection.ts';
import type { BindAnswer, LdapConnection, SearchRequest } from './connection.ts';
import type { DirectoryEntry } from './entry.ts';
import { QueueFull } from './pool.ts';
import type { ConnectionPool } from './pool.ts';
import { Server } from './server.ts';
import type { ServerOptions } from './server.ts';
import { nameOf } from './server-address.ts';
import type { ServerAddress } from './server-address.ts';

export interface FleetOptions extends ServerOptions {
  readonly directory: string;
  /** Finds the servers, best first; asked at the start, every five minutes, and when none of the known ones answers. */
  readonly discover: () => Promise<readonly ServerAddress[]>;
}

/** Throws ResultFault and ServerFault as they come. */
export type AskServer = (request: SearchRequest) => Promise<readonly DirectoryEntry[]>;

const noSuchObject = 32;
const invalidDnSyntax = 34;
const discoverEveryMs = 300_000;

/** All servers of one directory as if they were one: the first in order that answers is asked. */
export class Fleet {
  readonly #options: FleetOptions;
  #servers: readonly Server[] = [];
  #discovery: Promise<void> | undefined;
  #discoveryFault: string | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  /** Begins to look for the servers and to ask them, in the background. */
  constructor(options: FleetOptions) {
    this.#options = options;
    // Not before whoever made this had the chance to close it again: checking a configuration asks nobody.
    queueMicrotask(() => {
      if (!this.#closed) void this.#discover();
    });
  }

  /** For the gate before logins: a quarter of the connections is left to those who have logged in already. */
  get loginLimits(): GateOptions {
    const { maxConnections, maxWaiting } = this.#options;
    return {
      maxRunning: Math.max(1, maxConnections - Math.ceil(maxConnections / 4)),
      maxWaiting,
      maxFromNetwork: Math.ceil(maxWaiting / 4),
    };
  }

  /**
   * Searches as the service account. A base entry that does not exist is an empty list for a base search, a fault otherwise.
   * @throws CodedError `identity.directory_unavailable`, `identity.busy`
   */
  async search(request: SearchRequest): Promise<readonly DirectoryEntry[]> {
    const { connectTimeoutMs, requestTimeoutMs } = this.#options;
    return this.#ask(
      (server) => server.searches,
      // Every login begins with a search: with another server at hand, one that is silent for as long as a connection may
      // take is given up early. A bind may take longer, because password hashes are meant to be slow.
      (betterWaiting) => (betterWaiting ? Math.min(connectTimeoutMs, requestTimeoutMs) : requestTimeoutMs),
      async (connection, timeoutMs) => {
        try {
          return await connection.search(request, timeoutMs);
        } catch (error) {
          const absent =
            error instanceof ResultFault && [noSuchObject, invalidDnSyntax].includes(error.resultCode);
          if (absent && request.scope === 'base') return [];
          throw error;
        }
      },
    );
  }

  /**
   * Several searches in a row on one server, as the service account: what one server counts means nothing on another.
   * @throws as `search`; a ResultFault that the work lets through says “no answer”, too
   */
  async onOneServer<T>(work: (ask: AskServer) => Promise<T>): Promise<T> {
    return this.#ask(
      (server) => server.searches,
      () => this.#options.requestTimeoutMs,
      (connection, timeoutMs) => work((request) => connection.search(request, timeoutMs)),
    );
  }

  /** A connection outside of the pools, to the first server that answers, for as long as whoever opens it wants. @throws as `search` */
  async dedicated<T>(
    open: (address: ServerAddress, options: ServerOptions, timeoutMs: number) => Promise<T>,
  ): Promise<T> {
    const faults: string[] = [];
    for (const { server } of await this.#candidates()) {
      if (this.#closed) throw this.unavailable('it has been closed');
      try {
        return await open(server.address, this.#options, this.#options.requestTimeoutMs);
      } catch (error) {
        if (error instanceof ResultFault) throw this.unavailable(error.message, error);
        if (!(error instanceof ServerFault)) throw error;
        server.markDown(error.message);
        faults.push(server.description);
      }
    }
    throw this.unavailable(faults.join('; ') || this.#discoveryFault || 'no server is known');
  }

  /** Tries a password. @throws CodedError `identity.directory_unavailable`, `identity.busy` */
  async bind(dn: string, password: string): Promise<BindAnswer> {
    return this.#ask(
      (server) => server.binds,
      () => this.#options.requestTimeoutMs,
      (connection, timeoutMs) => connection.bind(dn, password, timeoutMs),
    );
  }

  /** `up` while at least one server answers. */
  health(): { readonly state: 'up' | 'down' | 'unknown'; readonly detail: string } {
    const states = this.#servers.map((server) => server.state);
    const state = states.includes('up')
      ? 'up'
      : states.includes('unknown') || (states.length === 0 && this.#discoveryFault === undefined)
        ? 'unknown'
        : 'down';
    const details = this.#servers.map((server) => server.description);
    if (this.#discoveryFault !== undefined) details.push(this.#discoveryFault);
    return { state, detail: details.join('; ') || 'its servers are being looked up' };
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    for (const server of this.#servers) server.close();
  }

  /** The fault that says “no answer”, never “no”. */
  unavailable(reason: string, cause?: unknown): CodedError {
    return new CodedError(
      'identity.directory_unavailable',
      `The directory “${this.#options.directory}” cannot answer: ${printable(reason, 600)}.`,
      { next: 'Try again in a moment; if it stays so, tell the people who run the directory.', cause },
    );
  }

  #busy(cause: QueueFull): CodedError {
    return new CodedError(
      'identity.busy',
      `Too many people are logging in through “${this.#options.directory}”.`,
      { next: 'Try again in a few seconds.', cause },
    );
  }

  async #ask<T>(
    poolOf: (server: Server) => ConnectionPool<LdapConnection>,
    patienceMs: (betterWaiting: boolean) => number,
    work: (connection: LdapConnection, timeoutMs: number) => Promise<T>,
  ): Promise<T> {
    const startedMs = performance.now();
    const faults: string[] = [];
    for (const { server, betterWaiting } of await this.#candidates()) {
      if (this.#closed) throw this.unavailable('it has been closed');
      if (faults.length > 0 && performance.now() - startedMs > this.#options.requestTimeoutMs) break;
      try {
        const result = await poolOf(server).use((connection) => work(connection, patienceMs(betterWaiting)));
        if (server.state !== 'up') server.markUp();
        return result;
      } catch (error) {
        if (error instanceof QueueFull) throw this.#busy(error);
        if (error instanceof ResultFault) throw this.unavailable(error.message, error);
        if (!(error instanceof ServerFault)) throw error;
        server.markDown(error.message);
        faults.push(server.description);
      }
    }
    throw this.unavailable(faults.join('; ') || this.#discoveryFault || 'no server is known');
  }

  /** Servers that are not known to be down, in order; then the others, as a last resort. */
  async #candidates(): Promise<readonly { readonly server: Server; readonly betterWaiting: boolean }[]> {
    const hopeful = (): readonly Server[] => this.#servers.filter((server) => server.state !== 'down');
    if (hopeful().length === 0) await this.#discover();
    const first = hopeful();
    const ordered = [...first, ...this.#servers.filter((server) => server.state === 'down')];
    return ordered.map((server, index) => ({ server, betterWaiting: index < first.length - 1 }));
  }

  /** One at a time; what is known stays when the answer is empty or fails. */
  async #discover(): Promise<void> {
    this.#discovery ??= this.#discoverOnce().finally(() => {
      this.#discovery = undefined;
    });
    return this.#discovery;
  }

  async #discoverOnce(): Promise<void> {
    clearTimeout(this.#timer);
    try {
      const found = await this.#options.discover();
      if (found.length === 0) throw new Error('no servers are announced');
      this.#discoveryFault = undefined;
      this.#replace(found);
    } catch (error) {
      this.#discoveryFault = `servers cannot be looked up (${printable(error instanceof Error ? error.message : 'unknown fault', 200)})`;
    }
    if (this.#closed) return;
    this.#timer = setTimeout(() => void this.#discover(), discoverEveryMs);
    this.#timer.unref();
  }

  #replace(found: readonly ServerAddress[]): void {
    if (this.#closed) return;
    const before = new Map(this.#servers.map((server) => [nameOf(server.address), server]));
    this.#servers = found.map((address) => {
      const known = before.get(nameOf(address));
      before.delete(nameOf(address));
      if (known !== undefined) return known;
      const added = new Server(address, this.#options);
      void added.probe();
      return added;
    });
    for (const gone of before.values()) gone.close();
  }
}
