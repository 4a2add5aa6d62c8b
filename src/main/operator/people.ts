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
import { CodedError, parsePersonId, printable, systemRandom } from '../../kernel/index.ts';
import { loadConfig, type Config } from '../config.ts';
import { idleGroups } from './idle-groups.ts';
import { readablePolicy, takesLastAdmin, type Loss } from './last-admin.ts';

/** Changes or lists the people of the built-in directory; a running broker sees a change within a second. */
export async function people(action: PeopleAction, options: PeopleOptions): Promise<Outcome> {
  const config = loadConfig(options.configFile);
  const directory = config.directories.find(({ kind }) => kind === 'built-in');
  if (directory?.kind !== 'built-in') {
    throw new CodedError('main.no_built_in_directory', 'The configuration has no built-in directory.', {
      next: 'Add one (kind: built-in), or change people where they are kept.',
    });
  }
  const { file } = directory;
  if (action === 'list') return list(file, options);
  const loss = lossOf(action, options);
  if (loss !== undefined && !options.yes && (await takesLastAdmin(config, directory, loss)))
    throw lastAdmin(loss.login);
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
    lines: [
      done,
      ...idleAdvice(config, directory.name, action, person),
      ...advice(action, login, config.sessions.lifetime),
    ],
  };
}

/** Of a change by which somebody may lose what they were. */
function lossOf(action: Change, { name, groups }: PeopleOptions): Loss | undefined {
  if (name === undefined) return undefined;
  if (action === 'remove' || action === 'disable') return { login: name, groups: undefined };
  const regroups = action === 'groups' || action === 'passwd';
  return regroups && groups !== undefined ? { login: name, groups } : undefined;
}

function lastAdmin(login: string): CodedError {
  return new CodedError(
    'main.last_admin',
    `${printable(login, 64)} is the last admin of the built-in directory: without one, nobody there can revoke, lock or look up. Nothing was changed.`,
    { next: 'Make somebody else an admin first (`sallyport people groups`), or say it again with --yes.' },
  );
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

/** A slip in the name of a group gives somebody who gets nothing. */
function idleAdvice(
  config: Config,
  directory: string,
  action: Change,
  { id, login, groups }: BuiltInPerson,
): readonly string[] {
  const policy = action === 'add' || action === 'groups' ? readablePolicy(config) : undefined;
  if (policy === undefined) return [];
  const member = { id: parsePersonId(`${directory}:${id}`), directory, login, attributes: new Map() };
  return idleGroups(policy, member, groups).map(
    (group) => `The policy gives nothing by the group ${group}: no role and no profile names it alone.`,
  );
}

/** What the change leaves as it is, and how to change that. */
function advice(action: Change, login: string, sessionMs: number): readonly string[] {
  const revoke = `  sallyport admin revoke --person ${login} --reason … --yes`;
  if (action === 'passwd')
    return [
      `Open sessions live on, for up to ${inWords(sessionMs)}, and so do certificates that are out.`,
      `If ${login} ever logged in, this ends both:`,
      revoke,
    ];
  if (action !== 'remove' && action !== 'disable') return [];
  return [
    'Sessions end within a second. Certificates that are out live until they expire.',
    `If ${login} ever logged in, this ends them:`,
    revoke,
  ];
}

function inWords(lengthMs: number): string {
  return lengthMs % 3_600_000 === 0 ? `${lengthMs / 3_600_000} h` : `${Math.ceil(lengthMs / 60_000)} min`;
}

/** Everybody, or the one of that name, and of them those in one of the groups. */
async function list(file: string, options: PeopleOptions): Promise<Outcome> {
  const fold = (name: string): string => name.trim().toLowerCase();
  const name = options.name === undefined ? undefined : fold(options.name);
  const groups = options.groups?.map(fold);
  const everybody = await listPeople(file);
  if (name !== undefined && !everybody.some(({ login }) => login === name)) throw unknownPerson(options);
  const found = everybody.filter(
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

/** With the code that a change of somebody unknown has. */
function unknownPerson({ name = '' }: PeopleOptions): CodedError {
  return new CodedError(
    'identity.unknown_person',
    `There is no person “${printable(name, 64)}” in this directory.`,
    { next: 'See `sallyport people list`.' },
  );
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
