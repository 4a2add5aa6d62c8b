import { randomUUID } from 'node:crypto';
import { CodedError, parsePersonId, printable } from '../../kernel/index.ts';
import type { Clock, PersonId } from '../../kernel/index.ts';
import { createGate, type Gate } from '../gate.ts';
import type {
  Authentication,
  Directory,
  DirectoryKind,
  Group,
  LoginStanding,
  Person,
  RefusalReason,
} from '../person.ts';
import { isPossiblePassword } from '../typed.ts';
import type { BindVerdict } from './bind-verdict.ts';
import type { BindAnswer, SearchRequest } from './connection.ts';
import type { DirectoryEntry } from './entry.ts';
import { anyEntry } from './filter.ts';
import type { Fleet } from './fleet.ts';
import { isLdapLogin } from './login-name.ts';

/** What a kind of directory knows of itself; everything else is the same for all that speak LDAP. */
export interface Dialect {
  readonly name: string;
  readonly kind: DirectoryKind;
  recognises(login: string): boolean;
  /** The searches that together find whoever has this login name (already checked for form). */
  byLogin(login: string): readonly SearchRequest[];
  /** The same for an immutable id; empty when no entry can have it. `anyScope` leaves the administrator's filter out. */
  byId(id: string, anyScope: boolean): readonly SearchRequest[];
  /** A base whose entry the service account must be able to read. */
  readonly peopleBaseDns: readonly string[];
  /** @throws CodedError `identity.bad_directory_entry` */
  identify(entry: DirectoryEntry): { readonly id: string; readonly login: string };
  describe(entry: DirectoryEntry): Pick<Person, 'displayName' | 'attributes'>;
  readBind(answer: BindAnswer): BindVerdict;
  /** Why the entry may not log in, for when there is no password to ask the server with. */
  stateOf(entry: DirectoryEntry, nowMs: number, fleet: Fleet): Promise<RefusalReason | undefined>;
  /** The same, for what the server does not look at when it checks a password. */
  stateBesideBind(entry: DirectoryEntry, nowMs: number): RefusalReason | undefined;
  groupsOf(entry: DirectoryEntry, fleet: Fleet): Promise<readonly Group[]>;
}

interface Identity {
  readonly id: PersonId;
  readonly login: string;
}

type Located =
  | { readonly outcome: 'found'; readonly entry: DirectoryEntry }
  | { readonly outcome: 'none' | 'many'; readonly entry?: undefined };

/** @throws CodedError `identity.bad_directory_entry`: the directory's data is at fault, not the person. */
export function badEntry(dn: string, what: string): CodedError {
  return new CodedError('identity.bad_directory_entry', `The entry “${printable(dn, 120)}” ${what}.`, {
    next: 'Ask the people who run the directory to mend the entry, or name another attribute in the configuration.',
  });
}

/** Proves people against LDAP servers. Holds no entry and no password between two calls. */
export class DirectoryOverLdap implements Directory {
  readonly name: string;
  readonly kind: DirectoryKind;
  readonly #dialect: Dialect;
  readonly #fleet: Fleet;
  readonly #clock: Clock;
  /** A DN that nobody has: names that nobody has are tried on it, so that they take as long as names that exist. */
  readonly #nobody: string;

  /** Passwords only: whoever has a session already waits behind nobody who is still guessing. */
  readonly #gate: Gate;

  constructor(dialect: Dialect, fleet: Fleet, clock: Clock) {
    this.name = dialect.name;
    this.kind = dialect.kind;
    this.#dialect = dialect;
    this.#fleet = fleet;
    this.#clock = clock;
    this.#gate = createGate(fleet.loginLimits);
    this.#nobody = `cn=nobody-${randomUUID()},${dialect.peopleBaseDns[0] ?? ''}`;
  }

  recognises(login: string): boolean {
    return isLdapLogin(login) && this.#dialect.recognises(login);
  }

  async authenticate(login: string, password: string, standing?: LoginStanding): Promise<Authentication> {
    // 1. What cannot be right costs no connection.
    if (!isPossiblePassword(password)) return refuse('wrong_password');
    if (!this.recognises(login)) return refuse('unknown_person');
    return this.#gate(() => this.#prove(login, password), standing);
  }

  async #prove(login: string, password: string): Promise<Authentication> {
    // 2. Exactly one entry, found by the directory's own comparison.
    const located = await this.#locate(this.#dialect.byLogin(login));
    if (located.entry === undefined) {
      // Both at once, so that a name that nobody has takes no longer than one that somebody has.
      await Promise.all([this.#fleet.bind(this.#nobody, password), this.#checkBases()]);
      return refuse(located.outcome === 'many' ? 'ambiguous_name' : 'unknown_person');
    }
    const { entry } = located;
    const identity = this.#identify(entry);
    // 3. The password, as that entry.
    const answer = await this.#fleet.bind(entry.dn, password);
    const verdict = this.#dialect.readBind(answer);
    if (verdict === undefined)
      throw this.#fleet.unavailable(`its answer to a password is result ${answer.resultCode}`);
    if (verdict.outcome === 'refused') return refuse(verdict.reason, verdict.passwordProved, identity.id);
    const reason = this.#dialect.stateBesideBind(entry, this.#clock.nowMs());
    if (reason !== undefined) return refuse(reason, true, identity.id);
    // 4. Groups, now.
    return { outcome: 'accepted', person: await this.#person(entry, identity) };
  }

  async recheck(id: PersonId): Promise<Authentication> {
    const [directory = '', immutable = ''] = splitId(id);
    if (directory !== this.name)
      throw new CodedError(
        'identity.wrong_directory',
        `“${printable(id, 80)}” is not a person of the directory “${this.name}”.`,
      );
    const located = await this.#locate(this.#dialect.byId(immutable, false));
    if (located.outcome === 'many') return refuse('ambiguous_name', false, id);
    if (located.entry === undefined) return refuse(await this.#whyAbsent(immutable), false, id);
    const identity = this.#identify(located.entry);
    if (identity.id !== id) throw badEntry(located.entry.dn, 'was found under an id that it does not have');
    const reason = await this.#dialect.stateOf(located.entry, this.#clock.nowMs(), this.#fleet);
    if (reason !== undefined) return refuse(reason, false, id);
    return { outcome: 'accepted', person: await this.#person(located.entry, identity) };
  }

  async find(login: string): ReturnType<Directory['find']> {
    if (!this.recognises(login)) return undefined;
    const located = await this.#locate(this.#dialect.byLogin(login));
    if (located.entry === undefined) return undefined;
    const identity = this.#identify(located.entry);
    const reason = await this.#dialect.stateOf(located.entry, this.#clock.nowMs(), this.#fleet);
    return reason === undefined
      ? { ...identity, person: await this.#person(located.entry, identity) }
      : { ...identity, reason };
  }

  health(): ReturnType<Directory['health']> {
    return { directory: this.name, kind: this.kind, ...this.#fleet.health() };
  }

  async close(): Promise<void> {
    this.#fleet.close();
    return Promise.resolve();
  }

  async #locate(requests: readonly SearchRequest[]): Promise<Located> {
    const found = new Map<string, DirectoryEntry>();
    for (const request of requests) {
      for (const entry of await this.#fleet.search({ ...request, sizeLimit: 2 })) found.set(entry.dn, entry);
    }
    const [entry, second] = found.values();
    if (entry === undefined) return { outcome: 'none' };
    return second === undefined ? { outcome: 'found', entry } : { outcome: 'many' };
  }

  async #whyAbsent(id: string): Promise<RefusalReason> {
    await this.#checkBases();
    const elsewhere = await this.#locate(this.#dialect.byId(id, true));
    return elsewhere.outcome === 'none' ? 'unknown_person' : 'not_in_scope';
  }

  /**
   * An entry that is not found may be gone, or only hidden from a service account that lost its rights. The second must not
   * look like everybody leaving at once, nor send a name on to the next directory.
   */
  async #checkBases(): Promise<void> {
    for (const baseDn of this.#dialect.peopleBaseDns) {
      const base = await this.#fleet.search({ baseDn, scope: 'base', filter: anyEntry, attributes: ['1.1'] });
      if (base.length === 0)
        throw this.#fleet.unavailable(`the service account cannot read “${printable(baseDn, 120)}”`);
    }
  }

  #identify(entry: DirectoryEntry): Identity {
    const { id, login } = this.#dialect.identify(entry);
    return { id: parsePersonId(`${this.name}:${id}`), login };
  }

  async #person(entry: DirectoryEntry, identity: Identity): Promise<Person> {
    return {
      ...identity,
      directory: this.name,
      ...this.#dialect.describe(entry),
      groups: await this.#dialect.groupsOf(entry, this.#fleet),
    };
  }
}

function refuse(reason: RefusalReason, passwordProved = false, personId?: PersonId): Authentication {
  return { outcome: 'refused', reason, passwordProved, ...(personId === undefined ? {} : { personId }) };
}

function splitId(id: PersonId): readonly string[] {
  const colon = id.indexOf(':');
  return [id.slice(0, colon), id.slice(colon + 1)];
}
