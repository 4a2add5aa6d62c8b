import { CodedError, isCodedError, parsePersonId } from '../../kernel/index.ts';
import type { Clock, PersonId } from '../../kernel/index.ts';
import type { Authentication, Directory, DirectoryHealth, Person } from '../person.ts';
import { createGate } from '../gate.ts';
import type { Standing } from '../watch.ts';
import { canonicalLogin } from './login.ts';
import type { PasswordHash } from './password.ts';
import { defaultScrypt, matchesPassword } from './password.ts';
import type { FileStamp, PersonRecord } from './people-file.ts';
import { readPeopleFile, stampPeopleFile } from './people-file.ts';
import { watchPeopleFile } from './watch-people.ts';

/** How often the file is looked at, at most: a change acts on the first question that comes this long after it. */
const lookEveryMs = 250;

interface Known {
  readonly record: PersonRecord;
  readonly person: Person;
}

interface Roll {
  readonly stamp: FileStamp;
  readonly byLogin: ReadonlyMap<string, Known>;
  readonly byId: ReadonlyMap<PersonId, Known>;
  /** Hash to work on when nobody of that name exists; it matches no password. */
  readonly decoy: PasswordHash;
}

export interface BuiltInDirectoryOptions {
  /** As configured: `[a-z0-9][a-z0-9-]{0,31}`. */
  readonly name: string;
  readonly file: string;
  readonly clock: Clock;
}

/**
 * People in a file with memory-hard password hashes. `recheck` answers from memory; the file is looked at no more than every
 * 250 ms for that, so a person who is removed or disabled is refused within a quarter of a second; a login looks at it anew. A missing, broken or too widely
 * readable file makes the directory unavailable: it authenticates nobody, and says in `health` what is wrong. An unknown name
 * costs the same scrypt as the dearest known one; at most two run at once and 32 strangers wait, 8 of one network, besides as many
 * who are trusted.
 * Methods throw CodedError `identity.directory_unavailable`, and `authenticate` also `identity.busy`.
 */
export function createBuiltInDirectory(options: BuiltInDirectoryOptions): Directory {
  const { name } = options;
  const roll = createRollKeeper(options);
  const gate = createGate({ maxRunning: 2, maxWaiting: 32, maxFromNetwork: 8 });
  const accepted = ({ person }: Known): Authentication => ({ outcome: 'accepted', person });

  return {
    name,
    kind: 'built-in',
    recognises: (login) => canonicalLogin(login) !== undefined,
    async authenticate(typed, password, standing) {
      const login = canonicalLogin(typed) ?? '';
      const { byLogin, decoy } = await roll.newest();
      const tried = byLogin.get(login)?.record.password ?? decoy;
      const isRight = await gate(() => matchesPassword(password, tried), standing);
      // The wait may have been long: nobody is let in by a password, a group or a record that changed meanwhile.
      const known = (await roll.newest()).byLogin.get(login);
      const matches = isRight && known !== undefined && isSameHash(known.record.password, tried);
      if (known === undefined) return { outcome: 'refused', reason: 'unknown_person', passwordProved: false };
      const personId = known.person.id;
      if (!matches) return { outcome: 'refused', reason: 'wrong_password', passwordProved: false, personId };
      if (known.record.disabled)
        return { outcome: 'refused', reason: 'disabled', passwordProved: true, personId };
      return accepted(known);
    },
    async recheck(id) {
      const known = (await roll.current()).byId.get(id);
      if (known === undefined) return { outcome: 'refused', reason: 'unknown_person', passwordProved: false };
      if (known.record.disabled)
        return { outcome: 'refused', reason: 'disabled', passwordProved: false, personId: id };
      return accepted(known);
    },
    async standing(id): Promise<Standing> {
      // As the file is now: what comes of it is not taken back by a later look.
      const { byId } = await roll.newest();
      const known = byId.get(id);
      if (known !== undefined)
        return known.record.disabled
          ? { outcome: 'gone', reason: 'disabled' }
          : { outcome: 'here', person: known.person };
      if (byId.size > 0) return { outcome: 'gone', reason: 'unknown_person' };
      return { outcome: 'doubtful', reason: 'unknown_person', doubt: 'the file holds nobody at all' };
    },
    watch: () => watchPeopleFile(options),
    async find(login) {
      // Whoever is looked up is to be acted on: what the file says now counts, as for a login.
      const known = (await roll.newest()).byLogin.get(canonicalLogin(login) ?? '');
      if (known === undefined) return undefined;
      const { id } = known.person;
      if (known.record.disabled) return { id, login: known.record.login, reason: 'disabled' };
      return { id, login: known.record.login, person: known.person };
    },
    health: () => roll.health(),
    close: () => {
      roll.close();
      return Promise.resolve();
    },
  };
}

function createRollKeeper({ name, file, clock }: BuiltInDirectoryOptions) {
  let roll: Roll | undefined;
  let problem: string | undefined;
  let lookedMs = Number.NEGATIVE_INFINITY;
  let looking: Promise<void> | undefined;
  let closed = false;

  const look = async (): Promise<void> => {
    try {
      if (roll !== undefined && (await stampPeopleFile(file)) === roll.stamp) return;
      const { people, stamp } = await readPeopleFile(file);
      roll = { stamp, ...index(name, people) };
      problem = undefined;
    } catch (error) {
      // Whoever was known before is not known now: a file that somebody broke or opened to others proves nothing.
      roll = undefined;
      problem = isCodedError(error) ? error.message : 'The file of built-in people cannot be read.';
    }
  };
  const isFresh = (): boolean => {
    const ageMs = clock.nowMs() - lookedMs;
    return ageMs >= 0 && ageMs < lookEveryMs;
  };
  const refresh = (): Promise<void> => {
    if (looking !== undefined) return looking;
    lookedMs = clock.nowMs();
    looking = look().finally(() => {
      looking = undefined;
    });
    return looking;
  };
  void refresh();

  const self = {
    /** As the file is now: a login costs a hash anyway, and whoever was added a moment ago may log in. */
    async newest(): Promise<Roll> {
      // A look that has begun may have seen the file as it was before.
      await looking;
      await refresh();
      return self.current();
    },
    async current(): Promise<Roll> {
      if (looking !== undefined || !isFresh()) await refresh();
      if (roll !== undefined && !closed) return roll;
      throw new CodedError('identity.directory_unavailable', 'The built-in directory cannot answer.', {
        next: 'Ask your administrator; the broker’s readiness page says what is wrong.',
        details: { directory: name },
      });
    },
    health(): DirectoryHealth {
      if (!closed && !isFresh()) void refresh();
      const state = { directory: name, kind: 'built-in' } as const;
      if (closed) return { ...state, state: 'down', detail: 'closed' };
      if (problem !== undefined) return { ...state, state: 'down', detail: problem };
      if (roll === undefined) return { ...state, state: 'unknown', detail: 'not read yet' };
      return { ...state, state: 'up', detail: `${roll.byId.size} people` };
    },
    close(): void {
      closed = true;
    },
  };
  return self;
}

function index(directory: string, people: readonly PersonRecord[]): Omit<Roll, 'stamp'> {
  const known = people.map((record): Known => {
    const { login, displayName } = record;
    const attributes = new Map<string, readonly string[]>([['uid', [login]]]);
    if (displayName !== undefined) attributes.set('displayname', [displayName]);
    const person = {
      id: parsePersonId(`${directory}:${record.id}`),
      directory,
      login,
      ...(displayName === undefined ? {} : { displayName }),
      attributes,
      groups: record.groups.map((name) => ({ name })),
    };
    return { record, person };
  });
  const work = ({ N, r, p }: { N: number; r: number; p: number }): number => N * r * p;
  const dearest = people
    .map((record) => record.password)
    .reduce(
      (dear, hash) => (work(hash) > work(dear) ? hash : dear),
      people[0]?.password ?? decoyOf(defaultScrypt),
    );
  return {
    byLogin: new Map(known.map((one) => [one.record.login, one])),
    byId: new Map(known.map((one) => [one.person.id, one])),
    decoy: decoyOf(dearest),
  };
}

const isSameHash = (a: PasswordHash, b: PasswordHash): boolean =>
  a.salt.equals(b.salt) && a.hash.equals(b.hash);

const decoyOf = ({
  N,
  r,
  p,
}: {
  readonly N: number;
  readonly r: number;
  readonly p: number;
}): PasswordHash => ({
  scheme: 'scrypt',
  N,
  r,
  p,
  salt: Buffer.alloc(16),
  hash: Buffer.alloc(32),
});
