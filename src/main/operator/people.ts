import type { Outcome, PeopleAction, PeopleOptions } from '../../doors/cli/index.ts';
import {
  addPerson,
  listPeople,
  removePerson,
  setDisabled,
  setGroups,
  setPassword,
  type BuiltInPerson,
} from '../../identity/index.ts';
import { CodedError, systemRandom } from '../../kernel/index.ts';
import { loadConfig } from '../config.ts';

/** Changes or lists the people of the built-in directory; a running broker sees a change within a second. */
export async function people(action: PeopleAction, options: PeopleOptions): Promise<Outcome> {
  const directory = loadConfig(options.configFile).directories.find(({ kind }) => kind === 'built-in');
  if (directory?.kind !== 'built-in') {
    throw new CodedError('main.no_built_in_directory', 'The configuration has no built-in directory.', {
      next: 'Add one (kind: built-in), or change people where they are kept.',
    });
  }
  const { file } = directory;
  if (action === 'list') return list(file, options);
  const [done, person] = await change(file, action, options);
  const { login, groups, disabled } = person;
  return {
    value: {
      id: `${directory.name}:${person.id}`,
      login,
      groups: [...groups],
      disabled,
      [doneWord(action)]: true,
    },
    lines: [done, ...advice(action, login)],
  };
}

type Change = Exclude<PeopleAction, 'list'>;

function doneWord(action: Change): 'added' | 'removed' | 'changed' {
  if (action === 'add') return 'added';
  return action === 'remove' ? 'removed' : 'changed';
}

/** @returns what was done, in words, and the person as they are now, or were. */
async function change(
  file: string,
  action: Change,
  options: PeopleOptions,
): Promise<readonly [done: string, person: BuiltInPerson]> {
  const deps = { random: systemRandom };
  const login = nameOf(options);
  const { groups } = options;
  switch (action) {
    case 'add': {
      const person = await addPerson(
        file,
        { login, groups: groups ?? [], password: passwordOf(options) },
        deps,
      );
      return [
        `Added ${person.login}${person.groups.length === 0 ? '' : ` to ${person.groups.join(', ')}`}`,
        person,
      ];
    }
    case 'passwd': {
      const others = groups === undefined ? {} : { groups };
      const person = await setPassword(file, { login, password: passwordOf(options), ...others }, deps);
      const also = groups === undefined ? '' : `; ${groupsNow(person)}`;
      return [`Changed the password of ${person.login}${also}`, person];
    }
    case 'groups': {
      const person = await setGroups(file, { login, groups: groups ?? [] });
      return [groupsNow(person), person];
    }
    case 'disable':
    case 'enable': {
      const disabled = action === 'disable';
      const person = await setDisabled(file, { login, disabled });
      return [`${person.login} is ${disabled ? 'disabled' : 'enabled'}`, person];
    }
    case 'remove': {
      const person = await removePerson(file, login);
      return [`Removed ${person.login}`, person];
    }
  }
}

function groupsNow({ login, groups }: BuiltInPerson): string {
  return `${login} is in ${groups.length === 0 ? 'no group' : groups.join(', ')} now`;
}

/** What the change leaves as it is, and how to change that. */
function advice(action: Change, login: string): readonly string[] {
  if (action !== 'remove' && action !== 'disable') return [];
  return [
    'Sessions end within a second.',
    `Certificates that are out stay good until they expire: sallyport admin revoke --person ${login} --reason … --yes`,
  ];
}

/** Everybody, or the one of that name, and of them those in one of the groups. */
async function list(file: string, options: PeopleOptions): Promise<Outcome> {
  const fold = (name: string): string => name.trim().toLowerCase();
  const name = options.name === undefined ? undefined : fold(options.name);
  const groups = options.groups?.map(fold);
  const found = (await listPeople(file)).filter(
    (person) =>
      (name === undefined || person.login === name) &&
      (groups === undefined || person.groups.some((group) => groups.includes(group))),
  );
  return {
    value: found.map(({ login, groups, disabled }) => ({ login, groups: [...groups], disabled })),
    lines:
      found.length === 0
        ? ['Nobody.']
        : found.map(
            ({ login, groups, disabled }) =>
              `${login}  ${groups.join(', ')}${disabled ? '  (disabled)' : ''}`,
          ),
  };
}

function nameOf({ name }: PeopleOptions): string {
  if (name !== undefined) return name;
  throw new CodedError('main.no_name', 'Nobody is named.', { next: 'Give the login name.' });
}

function passwordOf({ password }: PeopleOptions): string {
  if (password !== undefined) return password;
  throw new CodedError('main.no_password', 'There is no password.', {
    next: 'Use --password-stdin, or run it in a terminal.',
  });
}
