import { constants } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { lstat, open, realpath, rename, stat, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { CodedError, isCodedError, printable, systemRandom } from '../../kernel/index.ts';
import { asOwnerOf, inTurn } from './act-as-owner.ts';
import { unwritable, withFileLock } from './file-lock.ts';
import type { Owner } from './file-lock.ts';
import { isCanonicalName } from './login.ts';
import type { PasswordHash } from './password.ts';
import { encodePasswordHash, parsePasswordHash } from './password.ts';

/** One person of the file. */
export interface PersonRecord {
  /** UUID, given once and never used again. */
  readonly id: string;
  /** Canonical login name. */
  readonly login: string;
  readonly displayName?: string;
  /** Names without duplicates. */
  readonly groups: readonly string[];
  readonly disabled: boolean;
  readonly password: PasswordHash;
}

const maxFileBytes = 16 * 2 ** 20;
const maxPeople = 20_000;
const maxGroups = 256;

const invalid = (problem: string): CodedError =>
  new CodedError('identity.people_file_invalid', `The file of built-in people is broken: ${problem}.`, {
    next: 'Put a good copy back, or mend the file; until then nobody of this directory can log in.',
  });

function members(
  value: unknown,
  where: string,
  allowed: readonly string[],
): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalid(`${where} is not an object`);
  // A misspelt "disabled" must not leave somebody enabled.
  const stranger = Object.keys(value).find((key) => !allowed.includes(key));
  if (stranger !== undefined) throw invalid(`${where} has an unknown member “${printable(stranger, 40)}”`);
  return value as Readonly<Record<string, unknown>>;
}

function parseGroups(value: unknown, where: string): readonly string[] {
  if (!Array.isArray(value) || value.length > maxGroups)
    throw invalid(`${where}.groups is not a list of up to ${maxGroups} names`);
  const groups = value.map((group: unknown) => {
    if (typeof group === 'string' && isCanonicalName(group)) return group;
    throw invalid(`${where}.groups holds something that is not a group name`);
  });
  if (new Set(groups).size !== groups.length) throw invalid(`${where}.groups names one group twice`);
  return groups;
}

/** True for 1 to 128 characters without control, format or line-breaking characters. */
export function isDisplayName(text: string): boolean {
  return text.length > 0 && text.length <= 128 && text.isWellFormed() && printable(text) === text;
}

function parseRecord(value: unknown, index: number): PersonRecord {
  const where = `people[${index}]`;
  const record = members(value, where, ['id', 'login', 'displayName', 'groups', 'disabled', 'password']);
  const { id, login, displayName, disabled } = record;
  if (typeof id !== 'string' || !/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id))
    throw invalid(`${where}.id is not a lower-case UUID`);
  if (typeof login !== 'string' || !isCanonicalName(login))
    throw invalid(`${where}.login is not a login name in lower case`);
  if (displayName !== undefined && (typeof displayName !== 'string' || !isDisplayName(displayName)))
    throw invalid(`${where}.displayName is not a plain text of up to 128 characters`);
  if (disabled !== undefined && typeof disabled !== 'boolean')
    throw invalid(`${where}.disabled is neither true nor false`);
  const groups = parseGroups(record['groups'], where);
  const password = parsePasswordHash(
    members(record['password'], `${where}.password`, ['scheme', 'N', 'r', 'p', 'salt', 'hash']),
  );
  if (password === undefined)
    throw invalid(`${where}.password is not a scrypt hash with parameters in bounds`);
  return {
    id,
    login,
    ...(displayName === undefined ? {} : { displayName }),
    groups,
    disabled: disabled ?? false,
    password,
  };
}

/** Reads the whole file or nothing. @throws CodedError `identity.people_file_invalid`, never quoting what the file holds of a hash */
export function parsePeople(text: string): readonly PersonRecord[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The parser's own message quotes the text around the mistake, which may be a hash.
    throw invalid('it is not JSON');
  }
  const file = members(value, 'the file', ['version', 'people']);
  if (file['version'] !== 1) throw invalid('its version is not 1');
  const list = file['people'];
  if (!Array.isArray(list) || list.length > maxPeople)
    throw invalid(`people is not a list of up to ${maxPeople}`);
  const people = list.map((record: unknown, index) => parseRecord(record, index));
  if (new Set(people.map((person) => person.login)).size !== people.length)
    throw invalid('two people have one login');
  if (new Set(people.map((person) => person.id)).size !== people.length)
    throw invalid('two people have one id');
  return people;
}

/** The file's text; `parsePeople` reads it back to the same people. */
export function encodePeople(people: readonly PersonRecord[]): string {
  const list = people.map(({ id, login, displayName, groups, disabled, password }) => ({
    id,
    login,
    ...(displayName === undefined ? {} : { displayName }),
    groups,
    ...(disabled ? { disabled } : {}),
    password: encodePasswordHash(password),
  }));
  return `${JSON.stringify({ version: 1, people: list }, undefined, 2)}\n`;
}

/** Tells one state of the file from the next: two equal stamps mean the same content. */
export type FileStamp = string;

const stampOf = (stats: BigIntStats): FileStamp =>
  [stats.dev, stats.ino, stats.size, stats.mtimeNs, stats.ctimeNs].join(' ');

const isMissing = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'ENOENT';

/** @returns the stamp of the file as it is now, or undefined when it cannot be looked at. */
export async function stampPeopleFile(file: string): Promise<FileStamp | undefined> {
  try {
    return stampOf(await stat(file, { bigint: true }));
  } catch {
    // Whatever is wrong, reading the file tells it in words.
    return undefined;
  }
}

/**
 * Reads and checks the file.
 * @throws CodedError `identity.people_file_missing`, `identity.people_file_permissions` when group or others have any right to
 * it or it is another user's, `identity.people_file_unreadable`, `identity.people_file_invalid`
 */
export async function readPeopleFile(
  file: string,
): Promise<{ readonly people: readonly PersonRecord[]; readonly stamp: FileStamp }> {
  // O_NONBLOCK: a pipe in its place must not keep us waiting for a writer.
  const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK).catch((error: unknown) => {
    if (isMissing(error))
      throw new CodedError(
        'identity.people_file_missing',
        `There is no file of built-in people at ${file}.`,
        {
          next: 'Create it with `sallyport people add`, or put the right path into the configuration.',
        },
      );
    throw unreadable(file, error);
  });
  try {
    const stats = await handle.stat({ bigint: true });
    if (!stats.isFile()) throw invalid('it is not a regular file');
    await checkOwner(file, stats);
    if (stats.size > maxFileBytes) throw invalid(`it is larger than ${maxFileBytes} bytes`);
    return { people: parsePeople(await handle.readFile('utf8')), stamp: stampOf(stats) };
  } catch (error) {
    throw error instanceof CodedError ? error : unreadable(file, error);
  } finally {
    await handle.close();
  }
}

/** Only this account or root may have written the file. Root also takes another account's, where no third one could have put it. */
async function checkOwner(file: string, { mode, uid }: BigIntStats): Promise<void> {
  const own = process.geteuid?.();
  // Windows has no user ids: there the access lists of the folder protect it.
  if (own === undefined) return;
  if ((mode & 0o077n) !== 0n)
    throw new CodedError('identity.people_file_permissions', `Others than its owner may use ${file}.`, {
      next: `Run: chmod 600 ${file}`,
    });
  if (uid === 0n || uid === BigInt(own)) return;
  const folder = await stat(dirname(await realpath(file)), { bigint: true });
  const isSafePlace = (folder.uid === uid || folder.uid === 0n) && (folder.mode & 0o022n) === 0n;
  if (own === 0 && isSafePlace) return;
  throw new CodedError('identity.people_file_permissions', `${file} belongs to another user (uid ${uid}).`, {
    next: `See who put it there. If it is the right one, run as root: chown ${own} ${file}`,
  });
}

const unreadable = (file: string, cause: unknown): CodedError =>
  new CodedError(
    'identity.people_file_unreadable',
    `The file of built-in people at ${file} cannot be read.`,
    {
      next: 'See that the broker’s account owns it and that the disk is well.',
      cause,
    },
  );

type PeopleChange = (people: readonly PersonRecord[]) => readonly PersonRecord[];

/**
 * Changes the file under a lock, so that two changes at once both happen. Durable on return: the new file is complete on disk
 * before it takes the old one's name; after a crash there is one or the other. A missing file counts as nobody when `create`.
 * Root works in a folder of another account with that account's rights only.
 * @throws as `readPeopleFile`, as `change`, and `identity.people_file_locked`, `identity.people_file_unwritable`
 */
export async function changePeopleFile(
  file: string,
  change: PeopleChange,
  options: { readonly create?: boolean } = {},
): Promise<void> {
  await inTurn(() =>
    asOwnerOf(dirname(file), async () => {
      // A link stays a link: what it points to is replaced.
      const path = await realpath(file).catch(() => file);
      await asOwnerOf(dirname(path), () => changeLocked(path, change, options.create ?? false));
    }),
  );
}

async function changeLocked(path: string, change: PeopleChange, create: boolean): Promise<void> {
  // Root may administer a file that the broker's own account must go on reading and changing.
  const owner = process.geteuid?.() === 0 ? await lstat(path).catch(() => undefined) : undefined;
  await withFileLock(`${path}.lock`, owner, async () => {
    const before = await readPeopleFile(path).catch((error: unknown) => {
      if (create && isCodedError(error, 'identity.people_file_missing')) return undefined;
      throw error;
    });
    const text = encodePeople(change(before?.people ?? []));
    parsePeople(text);
    await replaceFile(path, text, owner).catch((cause: unknown) => {
      throw unwritable(path, cause);
    });
  });
}

async function replaceFile(path: string, text: string, owner: Owner | undefined): Promise<void> {
  const folder = dirname(path);
  const temporary = join(folder, `.${basename(path)}.${systemRandom(8).toString('hex')}`);
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
  const handle = await open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  try {
    try {
      if (owner !== undefined) await handle.chown(owner.uid, owner.gid);
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    throw error;
  }
  const folderHandle = await open(folder, 'r');
  try {
    await folderHandle.sync();
  } finally {
    await folderHandle.close();
  }
}
