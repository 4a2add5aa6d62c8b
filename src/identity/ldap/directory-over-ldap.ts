import { randomUUID } from 'node:crypto';
import { CodedError, isCodedError, parsePersonId, printable } from '../../kernel/index.ts';
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
import { immutableIdOf } from '../watch.ts';
import type { DirectoryWatch, Standing, WatchMethod } from '../watch.ts';
import type { BindVerdict } from './bind-verdict.ts';
import type { BindAnswer, SearchRequest } from './connection.ts';
import type { DirectoryEntry } from './entry.ts';
import { anyEntry } from './filter.ts';
import type { Fleet } from './fleet.ts';
import type { WatchHow } from './ldap-watch.ts';
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
  /** One search for each base, for any account in scope whose immutable id may be read. */
  anybody(): readonly SearchRequest[];
  /** Why a refusal by `stateOf` may be a right that was lost instead. */
  doubtState(entry: DirectoryEntry): string | undefined;
  /** The same for groups that are missing. */
  doubtGroups(entry: DirectoryEntry, groups: readonly Group[], fleet: Fleet): Promise<string | undefined>;
  watch(fleet: Fleet, how: WatchHow): DirectoryWatch;
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
    return (await this.#lookUp(id)).answer;
  }

  async standing(id: PersonId): Promise<Standing> {
    const { answer, entry } = await this.#lookUp(id);
    if (answer.outcome === 'accepted') {
      const { person } = answer;
      const doubt = entry && (await this.#dialect.doubtGroups(entry, person.groups, this.#fleet));
      return { outcome: 'here', person, ...(doubt === undefined ? {} : { doubt }) };
    }
    const { reason } = answer;
    switch (reason) {
      case 'disabled':
      case 'account_expired': {
        const doubt = entry === undefined ? 'its entry went away' : this.#dialect.doubtState(entry);
        return doubt === undefined ? { outcome: 'gone', reason } : { outcome: 'doubtful', reason, doubt };
      }
      case 'unknown_person':
      case 'not_in_scope': {
        const doubt = await this.#doubtAbsence(immutableIdOf(id));
        return doubt === undefined ? { outcome: 'gone', reason } : { outcome: 'doubtful', reason, doubt };
      }
      case 'ambiguous_name':
      case 'wrong_password':
        return { outcome: 'doubtful', reason, doubt: 'the directory has two entries with this id' };
      case 'locked':
      case 'outside_logon_hours':
      case 'password_expired':
      case 'must_change_password':
        return { outcome: 'paused', reason };
    }
  }

  watch(method?: WatchMethod): DirectoryWatch {
    return this.#dialect.watch(this.#fleet, { clock: this.#clock, method });
  }

  async #lookUp(
    id: PersonId,
  ): Promise<{ readonly answer: Authentication; readonly entry?: DirectoryEntry | undefined }> {
    const [directory = '', immutable = ''] = splitId(id);
    if (directory !== this.name)
      throw new CodedError(
        'identity.wrong_directory',
        `“${printable(id, 80)}” is not a person of the directory “${this.name}”.`,
      );
    const located = await this.#locate(this.#dialect.byId(immutable, false));
    if (located.outcome === 'many') return { answer: refuse('ambiguous_name', false, id) };
    const { entry } = located;
    if (entry === undefined) return { answer: refuse(await this.#whyAbsent(immutable), false, id) };
    const identity = this.#identify(entry);
    if (identity.id !== id) throw badEntry(entry.dn, 'was found under an id that it does not have');
    const reason = await this.#dialect.stateOf(entry, this.#clock.nowMs(), this.#fleet);
    if (reason !== undefined) return { answer: refuse(reason, false, id), entry };
    return { answer: { outcome: 'accepted', person: await this.#person(entry, identity) }, entry };
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

  /**
   * A base that was emptied, a filter that matches nobody and ids that may not be read any more all look like one person who left.
   * So each base must show somebody else, by the same filter and with an id.
   */
  async #doubtAbsence(id: string): Promise<string | undefined> {
    for (const request of this.#dialect.anybody()) {
      const found = await this.#fleet.search({ ...request, sizeLimit: 2 });
      if (!found.some((entry) => this.#isAnother(entry, id)))
        return `nobody else is found below “${printable(request.baseDn, 120)}” by the filter of this directory`;
    }
    return undefined;
  }

  #isAnother(entry: DirectoryEntry, id: string): boolean {
    try {
      return this.#dialect.identify(entry).id !== id;
    } catch (error) {
      // An entry that cannot be told from the one that is missed shows nothing.
      if (isCodedError(error, 'identity.bad_directory_entry')) return false;
      throw error;
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
