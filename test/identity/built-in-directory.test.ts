import { chmod, readFile, rename, unlink, writeFile } from 'node:fs/promises';
import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { parsePersonId, systemRandom } from '../../src/kernel/index.ts';
import * as passwords from '../../src/identity/built-in/password.ts';
import {
  addPerson,
  createBuiltInDirectory,
  createLoginThrottle,
  removePerson,
  setDisabled,
  setGroups,
  setPassword,
} from '../../src/identity/index.ts';
import type { Directory } from '../../src/identity/index.ts';
import { codeOf } from '../support/code-of.ts';
import { cheap, standingClock, temporaryFolder } from './fixtures.ts';

vi.mock('node:fs/promises', { spy: true });
vi.mock('../../src/identity/built-in/password.ts', { spy: true });

const deps = { random: systemRandom, cost: cheap };
const password = 'correct horse';

async function setUp(options: { readonly people?: readonly string[] } = {}) {
  const file = join(await temporaryFolder(), 'people.json');
  const ids: string[] = [];
  for (const login of options.people ?? ['alice']) {
    const { id } = await addPerson(file, { login, groups: ['users'], password }, deps);
    ids.push(id);
  }
  const clock = standingClock();
  const directory: Directory = createBuiltInDirectory({ name: 'built-in', file, clock });
  onTestFinished(() => directory.close());
  const id = parsePersonId(`built-in:${ids[0] ?? 'none'}`);
  return { file, clock, directory, id };
}

const reasonOf = async (directory: Directory, login: string, typed = password): Promise<string> => {
  const answer = await directory.authenticate(login, typed);
  return answer.outcome === 'accepted' ? `accepted ${answer.person.login}` : answer.reason;
};

describe('a login', () => {
  it('with the right password gives the person', async () => {
    const { directory, id, clock, file } = await setUp();
    await addPerson(file, { login: 'bob', displayName: 'Bob', groups: [], password }, deps);
    clock.advance(250);
    expect(await directory.authenticate('alice', password)).toEqual({
      outcome: 'accepted',
      person: {
        id,
        directory: 'built-in',
        login: 'alice',
        attributes: new Map([['uid', ['alice']]]),
        groups: [{ name: 'users' }],
      },
    });
    const bob = await directory.authenticate('bob', password);
    if (bob.outcome === 'refused') expect.unreachable(bob.reason);
    expect(bob.person.displayName).toBe('Bob');
    expect(bob.person.attributes.get('displayname')).toEqual(['Bob']);
  });

  it.each(['Alice', ' alice ', 'ALICE', 'alice'])('by %j is the same person', async (login) => {
    const { directory } = await setUp();
    expect(directory.recognises(login)).toBe(true);
    expect(await reasonOf(directory, login)).toBe('accepted alice');
  });
  it.each([
    'ａｌｉｃｅ',
    'alice\u00AD',
    'alice@corp',
    'CORP\\alice',
    'alicé',
    'al\u0131ce',
    '*',
    '',
    '\talice',
    'alice\n',
    'x'.repeat(300),
  ])('by %j is nobody', async (login) => {
    const { directory } = await setUp();
    expect(directory.recognises(login)).toBe(false);
    expect(await reasonOf(directory, login)).toBe('unknown_person');
    expect(await directory.find(login)).toBeUndefined();
  });
  it.each(['constructor', '__proto__', 'tostring', 'bob', 'alice2'])(
    'by %j, whom nobody added, is refused',
    async (login) => {
      const { directory } = await setUp();
      expect(await reasonOf(directory, login)).toBe('unknown_person');
    },
  );
  it.each(['', 'Correct horse', 'correct horse ', ' correct horse', 'correct hors', 'correct horse\0'])(
    'with the password %j is refused',
    async (typed) => {
      const { directory, id } = await setUp();
      expect(await directory.authenticate('alice', typed)).toEqual({
        outcome: 'refused',
        reason: 'wrong_password',
        passwordProved: false,
        personId: id,
      });
    },
  );

  it('with letters composed or decomposed is the same password', async () => {
    const { directory, file, clock } = await setUp();
    await setPassword(file, { login: 'alice', password: 'caf\u00E9 au lait' }, deps);
    clock.advance(250);
    expect(await reasonOf(directory, 'alice', 'cafe\u0301 au lait')).toBe('accepted alice');
  });

  it('tells that an account is disabled only to whoever knows the password', async () => {
    const { directory, file, clock, id } = await setUp();
    await setDisabled(file, { login: 'alice', disabled: true });
    clock.advance(250);
    expect(await directory.authenticate('alice', password)).toEqual({
      outcome: 'refused',
      reason: 'disabled',
      passwordProved: true,
      personId: id,
    });
    expect(await reasonOf(directory, 'alice', 'wrong')).toBe('wrong_password');
  });

  it('is turned away, not queued without end, when too many come at once', async () => {
    const { directory } = await setUp();
    const codes = await Promise.all(
      Array.from({ length: 40 }, () => codeOf(() => directory.authenticate('alice', 'wrong'))),
    );
    expect(codes.filter((code) => code === 'accepted')).toHaveLength(34);
    expect(codes.filter((code) => code === 'identity.busy')).toHaveLength(6);
    expect(await reasonOf(directory, 'alice')).toBe('accepted alice');
  });

  it('of somebody who logged in from there before finds a place among sixty from elsewhere', async () => {
    const { directory, clock } = await setUp();
    const throttle = createLoginThrottle({ clock });
    const attempt = (login: string, address: string, typed: string) => {
      const admission = throttle.admit({ login, address });
      if (admission.outcome === 'throttled') expect.unreachable();
      return {
        ticket: admission.ticket,
        answer: directory.authenticate(login, typed, admission.ticket.standing),
      };
    };
    const before = attempt('alice', '192.0.2.1', password);
    await before.answer;
    before.ticket.succeeded();
    const bots = Array.from({ length: 60 }, (_, bot) =>
      codeOf(() => attempt(`name${bot}`, `10.${bot}.0.1`, 'wrong').answer),
    );
    expect(await attempt('alice', '192.0.2.1', password).answer).toMatchObject({ outcome: 'accepted' });
    expect((await Promise.all(bots)).filter((code) => code === 'identity.busy')).toHaveLength(26);
  });

  it('by an unknown name costs what a known one costs', async () => {
    const { directory } = await setUp();
    const cpuOf = async (login: string): Promise<number> => {
      const start = process.cpuUsage();
      for (let round = 0; round < 8; round += 1) await directory.authenticate(login, 'wrong');
      const { user, system } = process.cpuUsage(start);
      return user + system;
    };
    await cpuOf('alice');
    const known = await cpuOf('alice');
    const unknown = await cpuOf('nobody');
    // Without the same work it would be a thousandth.
    expect(unknown).toBeGreaterThan(known / 3);
    expect(unknown).toBeLessThan(known * 3);
  });
});

describe('a change of the file', () => {
  const newPassword = 'battery staple';
  it.each<readonly [string, (file: string) => Promise<unknown>, string]>([
    ['removed', (file) => removePerson(file, 'alice'), 'unknown_person'],
    ['disabled', (file) => setDisabled(file, { login: 'alice', disabled: true }), 'disabled'],
    [
      'given another password',
      (file) => setPassword(file, { login: 'alice', password: newPassword }, deps),
      'wrong_password',
    ],
    [
      'replaced by a namesake',
      async (file) => {
        await removePerson(file, 'alice');
        await addPerson(file, { login: 'alice', groups: [], password }, deps);
      },
      'wrong_password',
    ],
    ['left alone', () => Promise.resolve(), 'accepted alice'],
  ])('acts on a login that waits already: a person who was %s meanwhile', async (_title, change, reason) => {
    const { directory, file, clock } = await setUp();
    const { matchesPassword } = await vi.importActual<typeof passwords>(
      '../../src/identity/built-in/password.ts',
    );
    const held = Promise.withResolvers<void>();
    const reached = Promise.withResolvers<void>();
    vi.mocked(passwords.matchesPassword).mockImplementationOnce(async (...args) => {
      reached.resolve();
      await held.promise;
      return matchesPassword(...args);
    });
    const answer = reasonOf(directory, 'alice');
    await reached.promise;
    await change(file);
    clock.advance(250);
    held.resolve();
    expect(await answer).toBe(reason);
  });
  it.each<readonly [string, (file: string) => Promise<unknown>, string]>([
    ['removed', (file) => removePerson(file, 'alice'), 'unknown_person'],
    ['disabled', (file) => setDisabled(file, { login: 'alice', disabled: true }), 'disabled'],
  ])('acts within 250 ms: a person who was %s is refused', async (_title, change, reason) => {
    const { directory, file, clock, id } = await setUp();
    expect((await directory.recheck(id)).outcome).toBe('accepted');
    await change(file);
    clock.advance(250);
    expect(await directory.recheck(id)).toMatchObject({ outcome: 'refused', reason, passwordProved: false });
    expect(await reasonOf(directory, 'alice')).toBe(reason);
    expect((await directory.find('alice'))?.reason).toBe(reason === 'disabled' ? 'disabled' : undefined);
  });
  it('brings new groups, and none when all were taken away', async () => {
    const { directory, file, clock, id } = await setUp();
    expect(await directory.recheck(id)).toMatchObject({ person: { groups: [{ name: 'users' }] } });
    await setGroups(file, { login: 'alice', groups: [] });
    clock.advance(250);
    expect(await directory.recheck(id)).toMatchObject({ person: { groups: [] } });
  });
  it('does not let the old id live on under the old name', async () => {
    const { directory, file, clock, id } = await setUp();
    await directory.recheck(id);
    await removePerson(file, 'alice');
    await addPerson(file, { login: 'alice', groups: [], password }, deps);
    clock.advance(250);
    expect((await directory.recheck(id)).outcome).toBe('refused');
    const found = await directory.find('alice');
    expect(found?.id).not.toBe(id);
  });
  it('is seen when the clock goes back', async () => {
    const { directory, file, clock, id } = await setUp();
    await directory.recheck(id);
    await removePerson(file, 'alice');
    clock.advance(-3_600_000);
    expect((await directory.recheck(id)).outcome).toBe('refused');
  });
  it('costs no look at the file more often than each 250 ms', async () => {
    const { directory, clock, id } = await setUp();
    await directory.recheck(id);
    const looks = () => vi.mocked(fs.stat).mock.calls.length + vi.mocked(fs.open).mock.calls.length;
    const before = looks();
    for (let count = 0; count < 1000; count += 1) await directory.recheck(id);
    expect(looks()).toBe(before);
    clock.advance(250);
    await Promise.all(Array.from({ length: 1000 }, () => directory.recheck(id)));
    expect(looks()).toBe(before + 1);
  });
});

describe('a file that cannot be trusted', () => {
  it.each<readonly [string, (file: string) => Promise<unknown>]>([
    ['broken', (file) => writeFile(file, '{')],
    ['empty', (file) => writeFile(file, '')],
    ['missing', (file) => unlink(file)],
    ['open to others', (file) => chmod(file, 0o644)],
  ])('(%s) authenticates nobody, says so, and recovers', async (_title, spoil) => {
    const { directory, file, clock, id } = await setUp();
    const good = await readFile(file);
    expect((await directory.recheck(id)).outcome).toBe('accepted');
    expect(directory.health()).toEqual({
      directory: 'built-in',
      kind: 'built-in',
      state: 'up',
      detail: '1 people',
    });

    await spoil(file);
    clock.advance(250);
    expect(await codeOf(() => directory.authenticate('alice', password))).toBe(
      'identity.directory_unavailable',
    );
    expect(await codeOf(() => directory.recheck(id))).toBe('identity.directory_unavailable');
    expect(await codeOf(() => directory.find('alice'))).toBe('identity.directory_unavailable');
    expect(directory.health().state).toBe('down');

    await writeFile(`${file}.new`, good, { mode: 0o600 });
    await rename(`${file}.new`, file);
    clock.advance(250);
    expect((await directory.recheck(id)).outcome).toBe('accepted');
    expect(directory.health().state).toBe('up');
  });
  it('tells its health to a monitor that asks nothing else', async () => {
    const { directory, file, clock } = await setUp({ people: ['alice', 'bob'] });
    await vi.waitFor(() => expect(directory.health().detail).toBe('2 people'));
    await removePerson(file, 'bob');
    clock.advance(250);
    await vi.waitFor(() => expect(directory.health().detail).toBe('1 people'));
  });
  it('is not asked after the end', async () => {
    const { directory, id } = await setUp();
    await directory.close();
    expect(await codeOf(() => directory.recheck(id))).toBe('identity.directory_unavailable');
    expect(await codeOf(() => directory.authenticate('alice', password))).toBe(
      'identity.directory_unavailable',
    );
    expect(directory.health().state).toBe('down');
  });
});

describe('secrets', () => {
  it('appear in no answer, no error and no health', async () => {
    const canary = 'canary-5fd1-password';
    const { directory, file, clock, id } = await setUp({ people: [] });
    await addPerson(file, { login: 'alice', groups: [], password: canary }, deps);
    clock.advance(250);
    const said: unknown[] = [
      await directory.authenticate('alice', canary),
      await directory.authenticate('alice', `${canary}-wrong`),
      await directory.authenticate('nobody', canary),
      await directory.find('alice'),
      await directory.recheck(id),
      directory.health(),
    ];
    const hash = (await readFile(file, 'utf8')).match(/"hash": "(.{20})/)?.[1] ?? expect.unreachable();
    await writeFile(file, (await readFile(file, 'utf8')).replace('"hash"', 'x"hash"'));
    clock.advance(250);
    for (const ask of [
      () => directory.authenticate('alice', canary),
      () => addPerson(file, { login: 'bob', groups: [], password: canary }, deps),
      () => setPassword(file, { login: canary, password: 'x' }, deps),
      () => addPerson(`${file}.2`, { login: 'bob', groups: [], password: canary.repeat(99) }, deps),
    ]) {
      const error: unknown = await ask().catch((cause: unknown) => cause);
      expect(error).toBeInstanceOf(Error);
      said.push(error, String(error), error instanceof Error ? [error.stack, String(error.cause)] : []);
    }
    said.push(directory.health());
    const text = JSON.stringify(said);
    expect(text).not.toContain(canary);
    expect(text).not.toContain(hash);
    expect(await readFile(file, 'utf8')).not.toContain(canary);
  });
});
