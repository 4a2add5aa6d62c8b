import type { Socket } from 'node:net';
import { BindRequest, SearchRequest } from 'ldapts';
import { readHeader } from './ber.ts';
import { ServerFault } from './connection.ts';
import { dial } from './dial.ts';
import { anyEntry } from './filter.ts';
import type { ServerAddress } from './server-address.ts';
import type { ServerOptions } from './server.ts';
import { parseSyncMessage, SyncRequestControl } from './sync-messages.ts';
import type { SyncMessage } from './sync-messages.ts';

const maxMessageBytes = 1024 * 1024;
/** Silence for so long, and the server is asked whether it is still there: firewalls drop idle connections unseen. */
const quietMs = 20_000;
const bindId = 1;
const pingId = 2;
const firstSearchId = 3;

export interface SyncPlace {
  readonly baseDn: string;
  readonly cookie: Buffer | undefined;
}

export interface SyncStreamOptions {
  readonly address: ServerAddress;
  readonly server: ServerOptions;
  readonly timeoutMs: number;
  readonly places: readonly SyncPlace[];
  /** Told each message of the search at this position in `places`. */
  readonly onMessage: (place: number, message: SyncMessage) => void;
}

/**
 * One connection on which the server tells of changes below several bases as they happen (RFC 4533, refreshAndPersist). ldapts
 * closes a connection on which an intermediate response comes, so this one reads its messages itself. When it has ended it stays so.
 */
export class SyncStream {
  readonly #socket: Socket;
  readonly #options: SyncStreamOptions;
  #rest: Buffer = Buffer.alloc(0);
  #bound: ((resultCode: number) => void) | undefined;
  #heardMs = performance.now();
  #pingedMs: number | undefined;
  #fault: string | undefined;

  /** @throws ServerFault when it cannot be reached, or refuses the service account */
  static async open(options: SyncStreamOptions): Promise<SyncStream> {
    const { address, server, timeoutMs, places } = options;
    let socket: Socket;
    try {
      socket = await dial(address, server);
    } catch (error) {
      throw new ServerFault(error instanceof Error ? error.message : 'unknown fault', false);
    }
    const stream = new SyncStream(socket, options);
    if (server.service !== undefined) await stream.#bind(server.service, timeoutMs);
    for (const [nth, { baseDn, cookie }] of places.entries()) {
      const request = new SearchRequest({
        messageId: firstSearchId + nth,
        baseDN: baseDn,
        scope: 'sub',
        derefAliases: 'never',
        filter: anyEntry,
        attributes: ['objectClass'],
        controls: [new SyncRequestControl(cookie)],
      });
      socket.write(request.write());
    }
    return stream;
  }

  private constructor(socket: Socket, options: SyncStreamOptions) {
    this.#socket = socket;
    this.#options = options;
    const end = (why: string) => () => this.#end(why);
    socket.on('error', (error) => this.#end(error.message));
    socket.on('close', end('the server closed the connection')).on('end', end('the server hung up'));
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
  }

  /** Why it has ended; undefined while it goes on. Asks a server that was silent for long whether it is there. */
  check(): string | undefined {
    if (this.#fault !== undefined) return this.#fault;
    const nowMs = performance.now();
    if (this.#pingedMs !== undefined && nowMs - this.#pingedMs > this.#options.timeoutMs)
      this.#end(`no answer within ${this.#options.timeoutMs} ms`);
    else if (this.#pingedMs === undefined && nowMs - this.#heardMs > quietMs) {
      this.#pingedMs = nowMs;
      const attributes = ['1.1'];
      const ping = { messageId: pingId, baseDN: '', scope: 'base', filter: anyEntry, attributes } as const;
      this.#socket.write(new SearchRequest({ ...ping, attributes: ['1.1'] }).write());
    }
    return this.#fault;
  }

  close(): void {
    this.#end('it was closed here');
  }

  async #bind({ dn, password }: { dn: string; password: string }, timeoutMs: number): Promise<void> {
    const resultCode = await new Promise<number>((resolve) => {
      const timer = setTimeout(() => resolve(-1), timeoutMs);
      this.#bound = (code) => {
        clearTimeout(timer);
        resolve(code);
      };
      this.#socket.write(new BindRequest({ messageId: bindId, dn, password }).write());
    });
    if (resultCode === 0) return;
    const why = this.#fault ?? (resultCode < 0 ? 'no answer in time' : `result ${resultCode}`);
    this.#end(why);
    throw new ServerFault(`the service account is refused: ${why}`, false);
  }

  #receive(chunk: Buffer): void {
    this.#heardMs = performance.now();
    this.#pingedMs = undefined;
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    try {
      for (;;) {
        const header = readHeader(this.#rest, 0);
        if (header === undefined) return;
        if (header.end > maxMessageBytes) throw new Error('a message is too long');
        if (header.end > this.#rest.length) return;
        const message = parseSyncMessage(this.#rest.subarray(0, header.end));
        this.#rest = this.#rest.subarray(header.end);
        this.#take(message);
      }
    } catch (error) {
      this.#end(error instanceof Error ? error.message : 'a message cannot be read');
    }
  }

  #take(message: SyncMessage): void {
    if (message.kind === 'bind') return this.#bound?.(message.resultCode);
    const place = message.id - firstSearchId;
    if (place >= 0 && place < this.#options.places.length) this.#options.onMessage(place, message);
    // A notice of disconnection has id 0, and the end comes behind it.
  }

  #end(why: string): void {
    if (this.#fault !== undefined) return;
    this.#fault = why;
    this.#socket.destroy();
    this.#bound?.(-1);
  }
}
