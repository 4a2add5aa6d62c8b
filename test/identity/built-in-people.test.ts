import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, mkdir, readFile, readdir, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { systemRandom } from '../../src/kernel/index.ts';
import {
  addPerson,
  listPeople,
  parsePeople,
  removePerson,
  setDisabled,
  setGroups,
  setPassword,
} from '../../src/identity/index.ts';
import { codeOf, codeOfSync } from '../support/code-of.ts';
import { cheap, temporaryFolder } from './fixtures.ts';

const deps = { random: systemRandom, cost: cheap };
const alice = { login: 'alice', groups: ['users'], password: 'correct horse' };
const newFile = async (): Promise<string> => join(await temporaryFolder(), 'people.json');

describe('people in the file', () => {
  it('are added, listed, changed and removed', async () => {
    const file = await newFile();
    const added = await addPerson(
      file,
      { ...alice, login: ' Alice ', displayName: 'Alice Müller', groups: ['users', 'Admins', 'users'] },
      deps,
    );
    expect(added).toEqual({
      id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/),
      login: 'alice',
      displayName: 'Alice Müller',
      groups: ['users', 'admins'],
      disabled: false,
    });
    expect(await listPeople(file)).toEqual([added]);
    await setGroups(file, { login: 'ALICE', groups: [] });
    await setDisabled(file, { login: 'alice', disabled: true });
    expect(await listPeople(file)).toEqual([{ ...added, groups: [], disabled: true }]);
    await removePerson(file, 'alice');
    expect(await listPeople(file)).toEqual([]);
  });

  it('get a new password together with other groups, or neither', async () => {
    const file = await newFile();
    await addPerson(file, alice, deps);
    const before = await readFile(file, 'utf8');
    const change = { login: 'alice', password: 'another long one' };
    expect(await codeOf(() => setPassword(file, { ...change, groups: ['a,b'] }, deps))).toBe(
      'identity.bad_group',
    );
    expect(
      await codeOf(() => setPassword(file, { ...change, password: 'short', groups: ['ops'] }, deps)),
    ).toBe('identity.weak_password');
    expect(await readFile(file, 'utf8')).toBe(before);
    expect(await setPassword(file, { ...change, groups: ['ops', 'Users'] }, deps)).toMatchObject({
      groups: ['ops', 'users'],
    });
    expect(await setPassword(file, change, deps)).toMatchObject({ groups: ['ops', 'users'] });
  });

  it('get a new id when they come back: nobody inherits the credentials of a namesake', async () => {
    const file = await newFile();
    const before = await addPerson(file, alice, deps);
    await removePerson(file, 'alice');
    expect((await addPerson(file, alice, deps)).id).not.toBe(before.id);
  });

  it('keep their id when the password changes, and the hash is salted anew', async () => {
    const file = await newFile();
    const before = await addPerson(file, alice, deps);
    const hashOf = async () => parsePeople(await readFile(file, 'utf8'))[0]?.password;
    const first = await hashOf();
    expect((await setPassword(file, { login: 'alice', password: alice.password }, deps)).id).toBe(before.id);
    const second = await hashOf();
    expect(second?.salt).not.toEqual(first?.salt);
    expect(second?.hash).not.toEqual(first?.hash);
  });

  it('are hashed with 32 MiB and three passes unless the caller says otherwise', async () => {
    const file = await newFile();
    await addPerson(file, alice, { random: systemRandom });
    expect(parsePeople(await readFile(file, 'utf8'))[0]?.password).toMatchObject({ N: 32_768, r: 8, p: 3 });
  });

  it.each(['alice', 'Alice', ' ALICE'])('exist once: %j is taken', async (login) => {
    const file = await newFile();
    await addPerson(file, alice, deps);
    expect(await codeOf(() => addPerson(file, { ...alice, login }, deps))).toBe('identity.person_exists');
    expect(await listPeople(file)).toHaveLength(1);
  });

  it('that do not exist are a clear error and change nothing', async () => {
    const file = await newFile();
    await addPerson(file, alice, deps);
    const before = await readFile(file);
    for (const login of ['bob', '', 'alice\0', '__proto__']) {
      const changes = [
        () => removePerson(file, login),
        () => setPassword(file, { login, password: 'long enough' }, deps),
        () => setGroups(file, { login, groups: [] }),
        () => setDisabled(file, { login, disabled: true }),
      ];
      for (const change of changes) expect(await codeOf(change)).toBe('identity.unknown_person');
    }
    expect(await readFile(file)).toEqual(before);
  });

  it.each([
    '',
    ' ',
    '-alice',
    '1alice',
    'al ice',
    'alice@corp',
    'CORP\\alice',
    'ａｌｉｃｅ',
    '\u212Aim',
    'älice',
    'a/b',
    'a,b',
    'a'.repeat(65),
    'alice\n',
  ])('cannot be called %j', async (name) => {
    const file = await newFile();
    expect(await codeOf(() => addPerson(file, { ...alice, login: name }, deps))).toBe('identity.bad_login');
    expect(await codeOf(() => addPerson(file, { ...alice, groups: [name] }, deps))).toBe(
      'identity.bad_group',
    );
    expect(await codeOf(() => listPeople(file))).toBe('identity.people_file_missing');
  });

  it.each(['', '\u001B[2J', 'a\u202Eb', 'x'.repeat(129), 'two\nlines'])(
    'cannot be shown as %j',
    async (displayName) => {
      const file = await newFile();
      expect(await codeOf(() => addPerson(file, { ...alice, displayName }, deps))).toBe(
        'identity.bad_display_name',
      );
    },
  );

  it.each([
    '',
    'seven77',
    'é'.repeat(7),
    '😀'.repeat(7),
    'x'.repeat(257),
    'é'.repeat(129),
    'with\0a null',
    'with\na line',
    'alice-the-first',
    'ALICE-The-First',
    '\uD800'.repeat(8),
  ])('cannot have the password %j', async (password) => {
    const file = await newFile();
    const person = { login: 'alice-the-first', groups: [] };
    expect(await codeOf(() => addPerson(file, { ...person, password }, deps))).toBe('identity.weak_password');
    await addPerson(file, { ...person, password: 'long enough' }, deps);
    expect(await codeOf(() => setPassword(file, { login: person.login, password }, deps))).toBe(
      'identity.weak_password',
    );
  });
  it.each(['12345678', 'é'.repeat(8), '😀'.repeat(8), 'x'.repeat(256)])(
    'may have the password %j',
    async (password) => {
      expect(await codeOf(async () => addPerson(await newFile(), { ...alice, password }, deps))).toBe(
        'accepted',
      );
    },
  );
});

describe('the file', () => {
  it('is readable by its owner alone, and stays so after a change', async () => {
    const file = await newFile();
    await addPerson(file, alice, deps);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    await setDisabled(file, { login: 'alice', disabled: true });
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect((await readdir(join(file, '..'))).sort()).toEqual(['people.json', 'people.json.lock']);
  });

  it.each([0o640, 0o604, 0o620, 0o602, 0o610, 0o666])('is refused with mode %o', async (mode) => {
    const file = await newFile();
    await addPerson(file, alice, deps);
    await chmod(file, mode);
    const codes = [
      await codeOf(() => listPeople(file)),
      await codeOf(() => addPerson(file, { ...alice, login: 'bob' }, deps)),
      await codeOf(() => removePerson(file, 'alice')),
    ];
    expect(codes).toEqual(Array(3).fill('identity.people_file_permissions'));
  });

  it('is not made by a change to somebody in it', async () => {
    const file = await newFile();
    expect(await codeOf(() => removePerson(file, 'alice'))).toBe('identity.people_file_missing');
    expect(await codeOf(() => listPeople(file))).toBe('identity.people_file_missing');
  });

  it('that is a folder is refused', async () => {
    const file = await newFile();
    await mkdir(file, { mode: 0o700 });
    expect(await codeOf(() => listPeople(file))).toBe('identity.people_file_invalid');
  });

  it('in a folder that does not exist cannot be written', async () => {
    const file = join(await temporaryFolder(), 'missing', 'people.json');
    expect(await codeOf(() => addPerson(file, alice, deps))).toBe('identity.people_file_unwritable');
  });

  it.runIf(process.getuid?.() === 0)('stays the broker’s when root changes it', async () => {
    const file = await newFile();
    await addPerson(file, alice, deps);
    await chown(file, 12_345, 23_456);
    await addPerson(file, { ...alice, login: 'bob' }, deps);
    for (const path of [file, `${file}.lock`])
      expect(await stat(path)).toMatchObject({ uid: 12_345, gid: 23_456 });
  });

  it('stays a link when it is one', async () => {
    const folder = await temporaryFolder();
    const [file, link] = [join(folder, 'real.json'), join(folder, 'link.json')];
    await addPerson(file, alice, deps);
    await symlink('real.json', link);
    await addPerson(link, { ...alice, login: 'bob' }, deps);
    expect((await listPeople(file)).map((person) => person.login)).toEqual(['alice', 'bob']);
  });

  it('is left as it is when it is broken: no change repairs it by emptying it', async () => {
    const file = await newFile();
    await writeFile(file, '{"version":1,"people":[{"id":', { mode: 0o600 });
    expect(await codeOf(() => addPerson(file, alice, deps))).toBe('identity.people_file_invalid');
    expect(await readFile(file, 'utf8')).toBe('{"version":1,"people":[{"id":');
  });

  it('loses nobody when many are added at once', async () => {
    const file = await newFile();
    const logins = Array.from({ length: 16 }, (_, index) => `person${index}`);
    await Promise.all(logins.map((login) => addPerson(file, { ...alice, login }, deps)));
    expect((await listPeople(file)).map((person) => person.login).sort()).toEqual(logins.sort());
  });

  it('loses nobody when processes add at once, and outlives one that is killed while it holds the lock', async () => {
    const file = await newFile();
    const room = new URL('../../src/identity/built-in/', import.meta.url).href;
    const kernel = new URL('../../src/kernel/index.ts', import.meta.url).href;
    const run = (script: string) =>
      spawn(process.execPath, ['--input-type=module', '--eval', script], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
    const holder = run(`
      import { withFileLock } from '${room}file-lock.ts';
      await withFileLock(${JSON.stringify(`${file}.lock`)}, undefined, () => new Promise((resolve) => {
        setTimeout(resolve, 60_000);
        console.log('locked');
      }));`);
    await once(holder.stdout, 'data');
    const adders = ['bob', 'carol'].map((login) =>
      run(`
        import { addPerson } from '${room}index.ts';
        import { systemRandom } from '${kernel}';
        await addPerson(${JSON.stringify(file)}, { login: '${login}', groups: [], password: 'correct horse' },
          { random: systemRandom, cost: { N: 16384, r: 8, p: 1 } });`),
    );
    const ends = adders.map((adder) => once(adder, 'exit'));
    expect(await codeOf(() => listPeople(file))).toBe('identity.people_file_missing');
    holder.kill('SIGKILL');
    await once(holder, 'exit');
    expect(await Promise.all(ends)).toEqual([
      [0, null],
      [0, null],
    ]);
    expect((await listPeople(file)).map((person) => person.login).sort()).toEqual(['bob', 'carol']);
  });
});

describe('parsePeople', () => {
  const password = {
    scheme: 'scrypt',
    N: 32_768,
    r: 8,
    p: 1,
    salt: Buffer.alloc(16, 1).toString('base64'),
    hash: Buffer.alloc(32, 2).toString('base64'),
  };
  const person = { id: '99331903-19fd-42bb-8be1-e66f33c1a707', login: 'alice', groups: ['users'], password };
  const other = { ...person, id: '9818ef63-a424-476b-a9a8-8f3369de09aa', login: 'bob' };
  const text = (people: unknown): string => JSON.stringify({ version: 1, people });
  const withPassword = (change: Record<string, unknown>): string =>
    text([{ ...person, password: { ...password, ...change } }]);

  it('reads what it should', () => {
    expect(parsePeople(text([person, other])).map(({ login, disabled }) => [login, disabled])).toEqual([
      ['alice', false],
      ['bob', false],
    ]);
    expect(parsePeople(text([]))).toEqual([]);
  });

  it.each([
    '',
    'null',
    '[]',
    '{}',
    `${text([])}x`,
    '{"version":1}',
    '{"version":2,"people":[]}',
    '{"version":"1","people":[]}',
    '{"version":1,"people":{}}',
    '{"version":1,"people":[],"more":1}',
    '{"version":1,"people":[],"__proto__":{}}',
    text([null]),
    text([[]]),
    text([person, person]),
    text([person, { ...other, login: 'alice' }]),
    text([person, { ...other, id: person.id }]),
    text([{ ...person, id: person.id.toUpperCase() }]),
    text([{ ...person, id: 'x' }]),
    text([{ ...person, id: 1 }]),
    text([{ ...person, login: 'Alice' }]),
    text([{ ...person, login: ' alice' }]),
    text([{ ...person, login: 'ａlice' }]),
    text([{ ...person, login: '' }]),
    text([{ ...person, login: undefined }]),
    text([{ ...person, groups: 'users' }]),
    text([{ ...person, groups: undefined }]),
    text([{ ...person, groups: ['Users'] }]),
    text([{ ...person, groups: ['users', 'users'] }]),
    text([{ ...person, groups: [1] }]),
    text([{ ...person, groups: Array.from({ length: 257 }, (_, index) => `g${index}`) }]),
    text([{ ...person, disable: true }]),
    text([{ ...person, disabled: 'yes' }]),
    text([{ ...person, disabled: null }]),
    text([{ ...person, displayName: '' }]),
    text([{ ...person, displayName: 'a\u001Bb' }]),
    text([{ ...person, displayName: 7 }]),
    text([{ ...person, password: undefined }]),
    text([{ ...person, password: 'secret' }]),
    withPassword({ scheme: 'plain' }),
    withPassword({ more: 1 }),
    withPassword({ N: 32_767 }),
    withPassword({ N: 1024 }),
    withPassword({ N: 2 ** 21 }),
    withPassword({ N: 2 ** 40 }),
    withPassword({ N: -32_768 }),
    withPassword({ N: 0 }),
    withPassword({ N: '32768' }),
    withPassword({ r: 0 }),
    withPassword({ r: 1.5 }),
    withPassword({ r: 2 ** 30 }),
    withPassword({ p: 0 }),
    withPassword({ p: 1000 }),
    withPassword({ salt: '' }),
    withPassword({ salt: 'c2hvcnQ=' }),
    withPassword({ salt: `${password.salt}\n` }),
    withPassword({ salt: Buffer.alloc(65).toString('base64') }),
    withPassword({ hash: '' }),
    withPassword({ hash: Buffer.alloc(31).toString('base64') }),
    withPassword({ hash: Buffer.alloc(65).toString('base64') }),
    withPassword({ hash: password.hash.replace('=', '') }),
  ])('refuses %s', (bad) => {
    expect(codeOfSync(() => parsePeople(bad))).toBe('identity.people_file_invalid');
  });

  it('never quotes the file, where a hash may stand next to the mistake', () => {
    const broken = `{"version":1,"people":[{"password":{"hash":"${password.hash}" "salt"`;
    const read = () => parsePeople(broken);
    expect(read).toThrow(/not JSON/);
    expect(read).not.toThrow(new RegExp(password.hash.slice(0, 8)));
  });
});
