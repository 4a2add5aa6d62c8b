import { CodedError, printable, sha256 } from '../../kernel/index.ts';
import type { RandomBytes } from '../../kernel/index.ts';
import { canonicalLogin } from './login.ts';
import type { ScryptParameters } from './password.ts';
import { encodePasswordHash, hashPassword } from './password.ts';
import type { PersonRecord } from './people-file.ts';
import {
  changePeopleFile,
  encodePeople,
  isDisplayName,
  readPeopleFile,
  stampPeopleFile,
} from './people-file.ts';

/** One person as an admin sees them: nothing of the password. */
export type BuiltInPerson = Omit<PersonRecord, 'password'>;

export interface PeopleDeps {
  readonly random: RandomBytes;
  /** Left out: `defaultScrypt`. */
  readonly cost?: ScryptParameters;
}

export interface NewBuiltInPerson {
  readonly login: string;
  readonly displayName?: string;
  readonly groups: readonly string[];
  readonly password: string;
}

function parseName(text: string, what: 'login' | 'group'): string {
  const name = canonicalLogin(text);
  if (name !== undefined) return name;
  throw new CodedError(`identity.bad_${what}`, `“${printable(text, 40)}” cannot be a ${what} name.`, {
    next: 'Use up to 64 of the letters a-z, digits and . _ -, with a letter first.',
  });
}

const parseGroups = (groups: readonly string[]): readonly string[] => [
  ...new Set(groups.map((group) => parseName(group, 'group'))),
];

function checkStrength(login: string, password: string): void {
  const weak = (message: string): CodedError =>
    new CodedError('identity.weak_password', message, {
      next: 'Choose at least 8 characters that are not the login name; a sentence is good.',
    });
  if (Buffer.byteLength(password, 'utf8') > 256) throw weak('The password is longer than 256 bytes.');
  if (Array.from(password).length < 8) throw weak('The password has fewer than 8 characters.');
  if (!password.isWellFormed() || /\p{Cc}/u.test(password))
    throw weak('The password holds a control character.');
  if (password.toLowerCase() === login) throw weak('The password is the login name.');
}

/** A version 4 UUID (RFC 9562 section 5.4). */
function newUuid(random: RandomBytes): string {
  const bytes = random(16);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x40, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = bytes.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

const withoutPassword = ({ password: _password, ...person }: PersonRecord): BuiltInPerson => person;

/**
 * Adds a person and creates the file when there is none. Durable on return.
 * @throws CodedError `identity.person_exists`, `identity.weak_password`, `identity.bad_login`, `identity.bad_group`,
 * `identity.bad_display_name`, `identity.people_file_…`
 */
export async function addPerson(
  file: string,
  person: NewBuiltInPerson,
  deps: PeopleDeps,
): Promise<BuiltInPerson> {
  const login = parseName(person.login, 'login');
  const groups = parseGroups(person.groups);
  checkStrength(login, person.password);
  if (person.displayName !== undefined && !isDisplayName(person.displayName)) {
    throw new CodedError(
      'identity.bad_display_name',
      'The display name is empty, too long or holds control characters.',
      {
        next: 'Use up to 128 plain characters, or leave it out.',
      },
    );
  }
  const password = await hashPassword(person.password, deps.random, deps.cost);
  const added: PersonRecord = {
    id: newUuid(deps.random),
    login,
    ...(person.displayName === undefined ? {} : { displayName: person.displayName }),
    groups,
    disabled: false,
    password,
  };
  const change = (people: readonly PersonRecord[]): readonly PersonRecord[] => {
    if (people.some((other) => other.login === login)) {
      throw new CodedError('identity.person_exists', `There is a person “${login}” already.`, {
        next: 'Use `sallyport people passwd` to change the password, or choose another name.',
      });
    }
    return [...people, added];
  };
  await changePeopleFile(file, change, { create: true });
  return withoutPassword(added);
}

async function changePerson(
  file: string,
  typed: string,
  change: (person: PersonRecord) => PersonRecord | undefined,
): Promise<BuiltInPerson> {
  const login = canonicalLogin(typed);
  const touched: PersonRecord[] = [];
  await changePeopleFile(file, (people) =>
    people.flatMap((person) => {
      if (person.login !== login) return [person];
      const changed = change(person);
      touched.push(changed ?? person);
      return changed === undefined ? [] : [changed];
    }),
  );
  const [person] = touched;
  if (person === undefined) throw unknownPerson(typed);
  return withoutPassword(person);
}

const unknownPerson = (typed: string): CodedError =>
  new CodedError(
    'identity.unknown_person',
    `There is no person “${printable(typed, 64)}” in this directory.`,
    {
      next: 'See `sallyport people list`.',
    },
  );

/**
 * Gives a new password and, where they are named, other groups: both or neither. Sessions of the person live on: revoke them
 * apart. @throws `identity.unknown_person`, `identity.weak_password`, `identity.bad_group`, `identity.people_file_…`
 */
export async function setPassword(
  file: string,
  change: { readonly login: string; readonly password: string; readonly groups?: readonly string[] },
  deps: PeopleDeps,
): Promise<BuiltInPerson> {
  checkStrength(canonicalLogin(change.login) ?? '', change.password);
  const others = change.groups === undefined ? {} : { groups: parseGroups(change.groups) };
  const password = await hashPassword(change.password, deps.random, deps.cost);
  return changePerson(file, change.login, (person) => ({ ...person, ...others, password }));
}

/** Removes a person for good: a later person of the same name gets another id. A running broker knows within a second. @throws `identity.unknown_person`, `identity.people_file_…` */
export function removePerson(file: string, login: string): Promise<BuiltInPerson> {
  return changePerson(file, login, () => undefined);
}

/** Replaces the person's groups. @throws `identity.unknown_person`, `identity.bad_group`, `identity.people_file_…` */
export function setGroups(
  file: string,
  change: { readonly login: string; readonly groups: readonly string[] },
): Promise<BuiltInPerson> {
  const groups = parseGroups(change.groups);
  return changePerson(file, change.login, (person) => ({ ...person, groups }));
}

/** Shuts a person out, or lets them in again. @throws `identity.unknown_person`, `identity.people_file_…` */
export function setDisabled(
  file: string,
  change: { readonly login: string; readonly disabled: boolean },
): Promise<BuiltInPerson> {
  return changePerson(file, change.login, (person) => ({ ...person, disabled: change.disabled }));
}

/** All people in the order of the file. @throws `identity.people_file_…` */
export async function listPeople(file: string): Promise<readonly BuiltInPerson[]> {
  return (await readPeopleFile(file)).people.map(withoutPassword);
}

/**
 * What a log may say of a built-in person for ever: nothing of the name. Both digests are hex, and the salt of the password is
 * in them, so that nothing can be guessed by them.
 */
export interface PersonMark {
  readonly groups: readonly string[];
  readonly disabled: boolean;
  /** Another one for each password that is set. */
  readonly password: string;
  /** Another one whenever anything about the person changes. */
  readonly record: string;
}

/** The people of a file as a log of changes knows them, by id. */
export interface PeopleMarks {
  readonly stamp: string;
  readonly people: ReadonlyMap<string, { readonly login: string; readonly mark: PersonMark }>;
}

/**
 * For a log of changes.
 * @param unless the stamp of an earlier answer. @returns undefined when the file is still the same.
 * @throws `identity.people_file_…`
 */
export async function readPeopleMarks(file: string, unless?: string): Promise<PeopleMarks | undefined> {
  if (unless !== undefined && (await stampPeopleFile(file)) === unless) return undefined;
  const { people, stamp } = await readPeopleFile(file);
  return {
    stamp,
    people: new Map(people.map((person) => [person.id, { login: person.login, mark: markOf(person) }])),
  };
}

function markOf(person: PersonRecord): PersonMark {
  const digest = (text: string): string => sha256(text).toString('hex', 0, 16);
  return {
    groups: person.groups.toSorted(),
    disabled: person.disabled,
    password: digest(JSON.stringify(encodePasswordHash(person.password))),
    record: digest(encodePeople([person])),
  };
}
