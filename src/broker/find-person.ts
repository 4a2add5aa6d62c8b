import { CodedError, isCodedError, parsePersonId, printable, type PersonId } from '../kernel/index.ts';
import type { Rooms } from './rooms.ts';

/** Somebody the broker can name beyond doubt. */
export interface KnownPerson {
  readonly id: PersonId;
  readonly login: string;
  readonly directory: string;
}

type Asked = Pick<Rooms, 'store' | 'identity'>;

/**
 * The person an admin means: a person id, or a login name that only one person has. Directories are asked too, because a name may
 * have passed from somebody whom the broker has seen to somebody new; where somebody was seen they get a moment only, so that
 * one that is down or slow never stands in the way of a revocation.
 * @throws CodedError `revocation.unknown_target`, `revocation.ambiguous_person`, `identity.directory_unavailable` when nobody is
 * known here by that name and a directory could not be asked
 */
export async function findPerson(rooms: Asked, text: string): Promise<KnownPerson> {
  const id = asPersonId(text);
  const found =
    id === undefined
      ? await withDirectories(rooms, text, await seenAs(rooms, text))
      : await withId(rooms, id);
  const [only, ...others] = found;
  if (only === undefined) {
    throw new CodedError('revocation.unknown_target', `Nobody here is called “${printable(text, 80)}”.`, {
      next: 'Check the spelling, or give the person id that `sallyport admin issued` prints.',
    });
  }
  if (others.length > 0) {
    const ids = found.map((person) => person.id);
    throw new CodedError(
      'revocation.ambiguous_person',
      `${ids.length} people are called “${printable(text, 80)}”: ${ids.join(', ')}.`,
      {
        next: 'Give one of these person ids instead of the name.',
        details: { ids },
      },
    );
  }
  return only;
}

function asPersonId(text: string): PersonId | undefined {
  try {
    return parsePersonId(text);
  } catch (error) {
    if (isCodedError(error, 'kernel.bad_person_id')) return undefined;
    throw error;
  }
}

/** Whoever was seen, or else whom the directory of the id lets in now. */
async function withId({ store, identity }: Asked, id: PersonId): Promise<KnownPerson[]> {
  const state = await store.person(id);
  if (state !== undefined) return [{ id, login: state.login, directory: state.directory }];
  if (!identity.directories.includes(id.slice(0, id.indexOf(':')))) return [];
  const answer = await identity.recheck(id);
  if (answer.outcome === 'refused') return [];
  const { login, directory } = answer.person;
  return [{ id, login, directory }];
}

async function seenAs({ store }: Asked, login: string): Promise<KnownPerson[]> {
  const states = await store.personsByLogin(login);
  return states.map((state) => ({ id: state.personId, login: state.login, directory: state.directory }));
}

const momentMs = 500;

/** Those who were seen, and others whom a directory calls so now. */
async function withDirectories(
  rooms: Asked,
  login: string,
  seen: readonly KnownPerson[],
): Promise<readonly KnownPerson[]> {
  const asked = knownToDirectories(rooms, login);
  if (seen.length === 0) return asked;
  const moment = new Promise<readonly KnownPerson[]>((resolve) => {
    setTimeout(() => resolve([]), momentMs).unref();
  });
  // No answer, or none in time, says nothing: then those who were seen are meant.
  const now = await Promise.race([asked.catch(() => []), moment]);
  return [...seen, ...now.filter(({ id }) => seen.every((person) => person.id !== id))];
}

/** All directories at once: the slowest one bounds the wait, and one that fails does not hide whom another knows. */
async function knownToDirectories({ identity }: Asked, login: string): Promise<KnownPerson[]> {
  const answers = await Promise.allSettled(
    identity.directories.map(async (directory) => ({
      directory,
      found: await identity.find(login, directory),
    })),
  );
  const known = answers.flatMap((answer) => {
    if (answer.status === 'rejected' || answer.value.found === undefined) return [];
    const { directory, found } = answer.value;
    return [{ id: found.id, login: found.login, directory }];
  });
  const failed = answers.find((answer) => answer.status === 'rejected');
  if (known.length === 0 && failed !== undefined) throw failed.reason;
  return known;
}
