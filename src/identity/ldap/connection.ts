import type { Socket } from 'node:net';
import { Attribute, Change, Client, PasswordPolicyControl, ResultCodeError } from 'ldapts';
import type { Control } from 'ldapts';
import { printable } from '../../kernel/index.ts';
import { dial } from './dial.ts';
import type { DialOptions } from './dial.ts';
import { toDirectoryEntry } from './entry.ts';
import type { DirectoryEntry } from './entry.ts';
import type { Filter } from './filter.ts';
import type { ServerAddress } from './server-address.ts';

/** What a server said to a simple bind. */
export interface BindAnswer {
  /** RFC 4511 appendix A; 0 is success. */
  readonly resultCode: number;
  /** The server's diagnostic text: Active Directory puts its sub-code here. */
  readonly diagnostic: string;
  /** draft-behera-ldap-password-policy-10 section 6.2, when the server sent the control. */
  readonly policyError?: number;
}

export interface SearchRequest {
  readonly baseDn: string;
  readonly scope: 'base' | 'sub';
  readonly filter: Filter;
  readonly attributes: readonly string[];
  /** Those whose values are not text, spelled as the server spells them. */
  readonly binaryAttributes?: readonly string[];
  /** Entries wanted at most; when there are more, the list is cut there. Without it a cut list is an error. */
  readonly sizeLimit?: number;
  /** What the server says to one is in it afterwards. */
  readonly controls?: readonly Control[];
}

/** This server cannot answer now (gone, silent, busy): another one may. `stale` when a connection kept open had died meanwhile. */
export class ServerFault extends Error {
  readonly stale: boolean;
  constructor(message: string, stale: boolean) {
    super(message);
    this.name = 'ServerFault';
    this.stale = stale;
  }
}

/** The server answered, with an error that another server would give as well. */
export class ResultFault extends Error {
  readonly resultCode: number;
  constructor(resultCode: number, message: string) {
    super(message);
    this.name = 'ResultFault';
    this.resultCode = resultCode;
  }
}

/** More from one server for one request is not an answer to any question that is asked here. */
const maxAnswerBytes = 4 * 1024 * 1024;
const busy = 51;
const unavailable = 52;
const noResult = 248;

/** Such as `certificateRevocationList;binary` (RFC 4522). */
export interface BinaryAttribute {
  readonly type: string;
  readonly value: Buffer;
}

const asAttribute = ({ type, value }: BinaryAttribute): Attribute => new Attribute({ type, values: [value] });

/** One connection, dialled once: when it ends it stays ended. Referrals are never followed, aliases never dereferenced. */
export class LdapConnection {
  readonly #client: Client;
  readonly #socket: Socket;
  #answered = false;
  #bytesAtRequest = 0;

  /** @throws ServerFault when the server cannot be reached, or its certificate does not convince. */
  static async open(address: ServerAddress, options: DialOptions): Promise<LdapConnection> {
    try {
      return new LdapConnection(await dial(address, options));
    } catch (error) {
      throw new ServerFault(describe(error), false);
    }
  }

  /** Use `open`; the connection owns the socket. */
  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#client = new Client({
      // The name is never dialled: the connection below is already open, and may be handed out only once.
      url: 'ldap://already-connected.invalid',
      createConnection: () => {
        if (socket.destroyed) throw new Error('the connection is closed');
        return socket;
      },
    });
    socket.on('data', () => {
      if (socket.bytesRead - this.#bytesAtRequest > maxAnswerBytes)
        socket.destroy(new Error('the answer is too long'));
    });
  }

  /** False once either side has closed it. */
  get alive(): boolean {
    return !this.#socket.destroyed && this.#socket.readable && this.#socket.writable;
  }

  /**
   * Simple bind. The caller has refused empty passwords; here it is refused once more, because it would succeed.
   * @throws ServerFault
   */
  async bind(dn: string, password: string, timeoutMs: number): Promise<BindAnswer> {
    // ldapts takes a “DN” such as EXTERNAL for a SASL mechanism.
    if (password === '' || !/[=@\\]/.test(dn)) throw new TypeError('a simple bind needs a DN and a password');
    const policy = new PasswordPolicyControl();
    const answer = (resultCode: number, diagnostic: string): BindAnswer => ({
      resultCode,
      diagnostic,
      ...(policy.value?.error === undefined ? {} : { policyError: policy.value.error }),
    });
    try {
      await this.#within(timeoutMs, () => this.#client.bind(dn, password, policy));
      return answer(0, '');
    } catch (error) {
      if (error instanceof ResultFault) return answer(error.resultCode, error.message);
      throw error;
    }
  }

  /** @throws ServerFault, ResultFault (noSuchObject included, also for a base search) */
  async search(request: SearchRequest, timeoutMs: number): Promise<readonly DirectoryEntry[]> {
    const { searchEntries } = await this.#within(timeoutMs, () =>
      this.#client.search(
        request.baseDn,
        {
          scope: request.scope,
          filter: request.filter,
          derefAliases: 'never',
          attributes: [...request.attributes],
          explicitBufferAttributes: [...(request.binaryAttributes ?? [])],
          sizeLimit: request.sizeLimit ?? 0,
          timeLimit: Math.max(1, Math.ceil(timeoutMs / 1000)),
        },
        [...(request.controls ?? [])],
      ),
    );
    return searchEntries.map(toDirectoryEntry);
  }

  /** Gives an attribute of an entry one value, and no other. @throws ServerFault, ResultFault */
  async replace(dn: string, attribute: BinaryAttribute, timeoutMs: number): Promise<void> {
    const change = new Change({ operation: 'replace', modification: asAttribute(attribute) });
    await this.#within(timeoutMs, () => this.#client.modify(dn, change));
  }

  /** Adds an entry with attributes of text and a binary one. @throws ServerFault, ResultFault */
  async add(
    dn: string,
    texts: Readonly<Record<string, readonly string[]>>,
    attribute: BinaryAttribute,
    timeoutMs: number,
  ): Promise<void> {
    const attributes = Object.entries(texts).map(
      ([type, values]) => new Attribute({ type, values: [...values] }),
    );
    await this.#within(timeoutMs, () => this.#client.add(dn, [...attributes, asAttribute(attribute)]));
  }

  close(): void {
    // Unbind tells the server; whether that still reaches it makes no difference.
    this.#client.unbind().catch(() => {});
    this.#socket.destroySoon();
  }

  /** One request with its own time limit, after which the connection is of no use: the late answer would be nobody's. */
  async #within<T>(timeoutMs: number, request: () => Promise<T>): Promise<T> {
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      this.#socket.destroy();
    }, timeoutMs);
    this.#bytesAtRequest = this.#socket.bytesRead;
    try {
      const result = await request();
      this.#answered = true;
      return result;
    } catch (error) {
      const answered = error instanceof ResultCodeError && error.code !== noResult;
      if (answered && error.code !== busy && error.code !== unavailable) {
        this.#answered = true;
        throw new ResultFault(error.code, error.message);
      }
      const lost = !answered;
      if (lost) this.#socket.destroy();
      throw new ServerFault(
        timedOut ? `no answer within ${timeoutMs} ms` : describe(error),
        this.#answered && lost && !timedOut,
      );
    } finally {
      clearTimeout(timer);
    }
  }
}

/** The cause in one printable line: `ECONNREFUSED: connect …`, `SELF_SIGNED_CERT_IN_CHAIN: …`. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown fault';
  const code = 'code' in error && typeof error.code === 'string' ? `${error.code}: ` : '';
  const lastLine = error.message.split('\n').at(-1) ?? '';
  const inner = error instanceof AggregateError ? error.errors.map(describe).join('; ') : lastLine;
  return printable(inner.startsWith(code) ? inner : code + inner, 200);
}
