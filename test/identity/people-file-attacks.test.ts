import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs/promises';
import {
  chmod,
  chown,
  copyFile,
  lchown,
  link,
  lstat,
  mkdir,
  readFile,
  readdir,
  rename,
  symlink,
  unlink,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { systemRandom } from '../../src/kernel/index.ts';
import { addPerson, listPeople, removePerson } from '../../src/identity/index.ts';
import { withFileLock } from '../../src/identity/built-in/file-lock.ts';
import { describeWithPeers } from '../support/peers.ts';
import { codeOf } from '../support/code-of.ts';
import { cheap, temporaryFolder } from './fixtures.ts';

vi.mock('node:fs/promises', { spy: true });

const deps = { random: systemRandom, cost: cheap };
const alice = { login: 'alice', groups: ['users'], password: 'correct horse' };
/** The broker's account, and what it may try when it was taken over. */
const broker = { uid: 12_345, gid: 23_456 };

describe('a lock file that is not one', () => {
  it.each<readonly [string, (lock: string, beside: string) => Promise<unknown>]>([
    ['a link to nothing', (lock, beside) => symlink(beside, lock)],
    [
      'a link to a file',
      async (lock, beside) => {
        await writeFile(beside, '', { mode: 0o600 });
        await symlink(beside, lock);
      },
    ],
    [
      'a second name of a file',
      async (lock, beside) => {
        await writeFile(beside, '', { mode: 0o600 });
        await link(beside, lock);
      },
    ],
    ['a file with content', (lock) => writeFile(lock, 'SQLite format 3\0', { mode: 0o600 })],
    ['a folder', (lock) => mkdir(lock)],
    ['a pipe', (lock) => Promise.resolve(expect(spawnSync('mkfifo', [lock]).status).toBe(0))],
  ])('(%s) is not used, and nothing comes of it', async (_title, plant) => {
    const folder = await temporaryFolder();
    const [file, beside] = [join(folder, 'people.json'), join(folder, 'beside')];
    await plant(`${file}.lock`, beside);
    const before = await readdir(folder);
    expect(await codeOf(() => addPerson(file, alice, deps))).toBe('identity.people_file_unwritable');
    expect(await readdir(folder)).toEqual(before);
    await unlink(`${file}.lock`).catch(() => rename(`${file}.lock`, `${file}.old`));
    await addPerson(file, alice, deps);
    expect(await listPeople(file)).toHaveLength(1);
  });

  it('is not used when it takes the place of the right one during the wait', async () => {
    const lock = join(await temporaryFolder(), 'people.json.lock');
    const room = new URL('../../src/identity/built-in/file-lock.ts', import.meta.url).href;
    const script = `
      import { withFileLock } from '${room}';
      await withFileLock(${JSON.stringify(lock)}, undefined, () => new Promise((resolve) => {
        setTimeout(resolve, 60_000);
        console.log('locked');
      }));`;
    const holder = spawn(process.execPath, ['--input-type=module', '--eval', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    onTestFinished(() => void holder.kill('SIGKILL'));
    await once(holder.stdout, 'data');
    let didWork = false;
    const code = codeOf(() =>
      withFileLock(lock, undefined, () => {
        didWork = true;
        return Promise.resolve();
      }),
    );
    await vi.waitFor(() => expect(vi.mocked(fs.open).mock.calls.map(([path]) => path)).toContain(lock));
    await rename(lock, `${lock}.old`);
    await writeFile(lock, '', { mode: 0o600 });
    holder.kill('SIGKILL');
    expect(await code).toBe('identity.people_file_unwritable');
    expect(didWork).toBe(false);
  });
});

describeWithPeers(['root'], 'root in a folder of the broker’s account', () => {
  /** The account's folder, and one of root's that nobody else may enter. */
  async function setUp() {
    const [folder, secrets] = [await temporaryFolder(), await temporaryFolder()];
    await chown(folder, broker.uid, broker.gid);
    const file = join(folder, 'people.json');
    const plant = async (target: string, path: string): Promise<void> => {
      await symlink(target, path);
      await lchown(path, broker.uid, broker.gid);
    };
    return { folder, secrets, file, plant };
  }
  const rights = () => [process.geteuid?.(), process.getegid?.(), process.getgroups?.()];

  it('reads the people of that account, and of nobody else’s where others may put a file', async () => {
    const { folder, file } = await setUp();
    await addPerson(file, alice, deps);
    expect(await listPeople(file)).toHaveLength(1);
    await chmod(folder, 0o777);
    expect(await codeOf(() => listPeople(file))).toBe('identity.people_file_permissions');
    // A stranger’s file where everybody may put one, root’s folder or not: whoever put it there would be an admin.
    const common = await temporaryFolder();
    const planted = join(common, 'people.json');
    await copyFile(file, planted);
    await chmod(planted, 0o600);
    await chown(planted, broker.uid, broker.gid);
    expect(await codeOf(() => listPeople(planted))).toBe('accepted');
    await chmod(common, 0o777);
    expect(await codeOf(() => listPeople(planted))).toBe('identity.people_file_permissions');
  });

  it('works with no more rights than that account, and has its own again afterwards', async () => {
    const { file } = await setUp();
    const before = rights();
    await addPerson(file, alice, deps);
    for (const path of [file, `${file}.lock`]) expect(await lstat(path)).toMatchObject(broker);
    expect(rights()).toEqual(before);
    expect(await codeOf(() => addPerson(file, alice, deps))).toBe('identity.person_exists');
    expect(rights()).toEqual(before);
  });

  it('loses neither people nor rights when many come at once', async () => {
    const { file } = await setUp();
    const before = rights();
    const logins = ['bob', 'carol', 'dave', 'erin'];
    const other = join(await temporaryFolder(), 'people.json');
    await Promise.all([
      ...logins.map((login) => addPerson(file, { ...alice, login }, deps)),
      addPerson(other, alice, deps),
    ]);
    expect((await listPeople(file)).map((person) => person.login).sort()).toEqual(logins);
    expect(await lstat(other)).toMatchObject({ uid: 0, gid: 0 });
    expect(rights()).toEqual(before);
  });

  it('makes no file where a lock points', async () => {
    const { file, secrets, plant } = await setUp();
    await plant(join(secrets, 'nologin'), `${file}.lock`);
    expect(await codeOf(() => addPerson(file, alice, deps))).toBe('identity.people_file_unwritable');
    expect(await readdir(secrets)).toEqual([]);
  });

  it.each(['symbolic', 'hard'])('gives away no file that a lock is a %s link to', async (kind) => {
    const { file, secrets, plant } = await setUp();
    await addPerson(file, alice, deps);
    await unlink(`${file}.lock`);
    const secret = join(secrets, 'shadow');
    await writeFile(secret, '', { mode: 0o600 });
    await (kind === 'hard' ? link(secret, `${file}.lock`) : plant(secret, `${file}.lock`));
    expect(await codeOf(() => removePerson(file, 'alice'))).toBe('identity.people_file_unwritable');
    expect(await lstat(secret)).toMatchObject({ uid: 0, gid: 0, size: 0 });
  });

  it('neither reads nor replaces a file of its own that the people’s file points to', async () => {
    const { file, secrets, plant } = await setUp();
    const own = join(secrets, 'people.json');
    await addPerson(own, alice, deps);
    const [text, names] = [await readFile(own), await readdir(secrets)];
    await unlink(`${own}.lock`);
    await plant(own, file);
    expect(await codeOf(() => removePerson(file, 'alice'))).toBe('identity.people_file_unreadable');
    expect(await readFile(own)).toEqual(text);
    expect(await readdir(secrets)).toEqual(names.filter((name) => !name.endsWith('.lock')));
  });

  it('writes nothing where the folder itself was made to point', async () => {
    const { folder, secrets, plant } = await setUp();
    await plant(secrets, join(folder, 'data'));
    expect(await codeOf(() => addPerson(join(folder, 'data', 'people.json'), alice, deps))).toMatch(
      /^identity\.people_file_/,
    );
    expect(await readdir(secrets)).toEqual([]);
  });

  it('follows a link of its own into such a folder, with the rights of the account', async () => {
    const { file, secrets } = await setUp();
    await addPerson(file, alice, deps);
    await symlink(file, join(secrets, 'people.json'));
    await addPerson(join(secrets, 'people.json'), { ...alice, login: 'bob' }, deps);
    expect(await lstat(file)).toMatchObject(broker);
    expect(await readdir(secrets)).toEqual(['people.json']);
  });

  it('trusts no link in a folder of its own that everybody may write to', async () => {
    const [folder, secrets] = [await temporaryFolder(), await temporaryFolder()];
    await chmod(folder, 0o777);
    const file = join(folder, 'people.json');
    await symlink(join(secrets, 'nologin'), `${file}.lock`);
    await lchown(`${file}.lock`, broker.uid, broker.gid);
    expect(await codeOf(() => addPerson(file, alice, deps))).toBe('identity.people_file_unwritable');
    expect(await readdir(secrets)).toEqual([]);
    await unlink(`${file}.lock`);
    await writeFile(`${file}.lock`, '', { mode: 0o600 });
    await chown(`${file}.lock`, broker.uid, broker.gid);
    expect(await codeOf(() => addPerson(file, alice, deps))).toBe('identity.people_file_unwritable');
  });
});
