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
 * The person an admin means: a person id, or a login name that only one person has. Whoever the broker has seen is found
 * without asking a directory, so that one that is down or slow never stands in the way of a revocation.
 * @throws CodedError `revocation.unknown_target`, `revocation.ambiguous_person`, `identity.directory_unavailable` when nobody is
 * known here by that name and a directory could not be asked
 */
export async function findPerson(rooms: Asked, text: string): Promise<KnownPerson> {
  const id = asPersonId(text);
  const seen = id === undefined ? await seenAs(rooms, text) : await seenWithId(rooms, id);
  const found = seen.length > 0 || id !== undefined ? seen : await knownToDirectories(rooms, text);
  const [only, ...others] = found;
  if (only === undefined) {
    throw new CodedError('revocation.unknown_target', `Nobody here is called “${printable(text, 80)}”.`, {
      next: 'Check the spelling, or give the person id that `sallyport admin issued` prints. Nothing has been changed.',
    });
  }
  if (others.length > 0) {
    const ids = found.map((person) => person.id);
    throw new CodedError(
      'revocation.ambiguous_person',
      `${ids.length} people are called “${printable(text, 80)}”: ${ids.join(', ')}.`,
      {
        next: 'Give one of these person ids instead of the name. Nothing has been changed.',
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

async function seenWithId({ store }: Asked, id: PersonId): Promise<KnownPerson[]> {
  const state = await store.person(id);
  return state === undefined ? [] : [{ id, login: state.login, directory: state.directory }];
}

async function seenAs({ store }: Asked, login: string): Promise<KnownPerson[]> {
  const states = await store.personsByLogin(login);
  return states.map((state) => ({ id: state.personId, login: state.login, directory: state.directory }));
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
