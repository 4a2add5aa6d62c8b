import { CodedError } from '../kernel/index.ts';
import type { PersonId } from '../kernel/index.ts';
import type {
  Authentication,
  Directory,
  DirectoryHealth,
  LoginStanding,
  Person,
  RefusalReason,
} from './person.ts';
import type { Standing } from './watch.ts';
import { isPossibleLogin, isPossiblePassword } from './typed.ts';

export interface Credentials {
  readonly login: string;
  readonly password: string;
  /** Name of a configured directory; without it the form of the login decides. */
  readonly directory?: string;
  /** From the ticket of `LoginThrottle.admit`. */
  readonly standing?: LoginStanding;
}

/** All configured directories as one. */
export interface Identity {
  /** Names in configured order. */
  readonly directories: readonly string[];
  /**
   * Proves a password. Directories that recognise the form of the login are asked in configured order until one knows the
   * person; every answer but `unknown_person` ends the search. An unavailable directory ends it too: were the next one asked
   * instead, whoever is called `alice` there would become the `alice` of the directory that is down.
   * @throws CodedError `identity.unknown_directory`, `identity.directory_unavailable`, `identity.busy`
   */
  authenticate(credentials: Credentials): Promise<Authentication>;
  /**
   * The person now, by immutable id.
   * @throws CodedError `identity.unknown_directory` when the id's directory is no longer configured: that refuses, but it says
   * nothing about the person; `identity.directory_unavailable`
   */
  recheck(id: PersonId): Promise<Authentication>;
  /** As `Directory.standing`. @throws as `recheck` */
  standing(id: PersonId): Promise<Standing>;
  /** As `Directory.find`, in the first directory that knows the login. @throws as `authenticate` */
  find(login: string, directory?: string): ReturnType<Directory['find']>;
  health(): readonly DirectoryHealth[];
  close(): Promise<void>;
}

const refused = (reason: RefusalReason): Authentication => ({
  outcome: 'refused',
  reason,
  passwordProved: false,
});

/**
 * Chooses among directories. Names and passwords that cannot be right are refused before any directory is touched; as that
 * depends only on what was typed, the quick answer tells nothing about accounts. An unknown name costs the work of each
 * directory that was asked, and each directory makes its own unknown and known names cost the same; a person of the second
 * directory takes longer than one of the first, which tells in which directory a name would be, never whether it exists.
 * @throws CodedError `identity.duplicate_directory`
 */
export function createIdentity(options: { readonly directories: readonly Directory[] }): Identity {
  const byName = new Map(options.directories.map((directory) => [directory.name, directory]));
  if (byName.size !== options.directories.length) {
    throw new CodedError('identity.duplicate_directory', 'Two directories have the same name.', {
      next: 'Give each directory in the configuration its own name.',
    });
  }

  const named = (name: string): Directory => {
    const directory = byName.get(name);
    if (directory !== undefined) return directory;
    throw new CodedError('identity.unknown_directory', 'There is no directory of that name.', {
      next: 'Leave the directory out, or ask your administrator for its name.',
    });
  };
  const candidates = (login: string, name: string | undefined): readonly Directory[] =>
    name === undefined
      ? options.directories.filter((directory) => directory.recognises(login))
      : [named(name)];

  return {
    directories: [...byName.keys()],
    async authenticate({ login: typed, password, directory: name, standing }) {
      const login = withoutOuterSpaces(typed);
      const directories = isPossibleLogin(login) ? candidates(login, name) : [];
      if (!isPossiblePassword(password)) return refused('wrong_password');
      for (const directory of directories) {
        const answer = await directory.authenticate(login, password, standing);
        if (answer.outcome === 'refused' && answer.reason === 'unknown_person') continue;
        return own(directory, answer);
      }
      return refused('unknown_person');
    },
    async recheck(id) {
      const directory = named(id.slice(0, id.indexOf(':')));
      return own(directory, await directory.recheck(id));
    },
    async standing(id) {
      const directory = named(id.slice(0, id.indexOf(':')));
      const standing = await directory.standing(id);
      if (standing.outcome === 'here') refuseForeign(directory, standing.person);
      return standing;
    },
    async find(typed, name) {
      const login = withoutOuterSpaces(typed);
      if (!isPossibleLogin(login)) return undefined;
      for (const directory of candidates(login, name)) {
        const found = await directory.find(login);
        if (found !== undefined) return found;
      }
      return undefined;
    },
    health: () => options.directories.map((directory) => directory.health()),
    async close() {
      await Promise.all(options.directories.map((directory) => directory.close()));
    },
  };
}

/**
 * Spaces around a name count in no directory (RFC 4518 section 2.6.1; Active Directory likewise). Taken off here, so that all
 * directories are asked for the same name and none is passed over because of them.
 */
function withoutOuterSpaces(typed: string): string {
  let [start, end] = [0, typed.length];
  while (typed[start] === ' ') start += 1;
  while (end > start && typed[end - 1] === ' ') end -= 1;
  return typed.slice(start, end);
}

/** A directory may speak only for its own people, whatever a mistake in it or in its server says. */
function own(directory: Directory, answer: Authentication): Authentication {
  if (answer.outcome === 'accepted') refuseForeign(directory, answer.person);
  return answer;
}

function refuseForeign(directory: Directory, person: Person): void {
  if (person.directory === directory.name && person.id.startsWith(`${directory.name}:`)) return;
  throw new CodedError(
    'identity.directory_misbehaved',
    'A directory answered for a person who is not its own.',
    {
      details: { directory: directory.name },
    },
  );
}
