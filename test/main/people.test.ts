import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Outcome, PeopleAction, PeopleOptions } from '../../src/doors/cli/index.ts';
import { addPerson } from '../../src/identity/index.ts';
import { systemRandom } from '../../src/kernel/index.ts';
import { defaultConfigYaml } from '../../src/main/operator/default-config.ts';
import { people } from '../../src/main/operator/index.ts';
import { codeOf } from '../support/code-of.ts';

let folder: string;
let configFile: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-people-'));
  configFile = join(folder, 'sallyport.yaml');
  const origins = ['https://127.0.0.1:8443'];
  writeFileSync(configFile, defaultConfigYaml({ listen: '127.0.0.1:8443', origins, logOrigin: 'here/log' }));
  const cost = { N: 2 ** 14, r: 8, p: 1 };
  for (const [login, groups] of [
    ['alice', ['users', 'ops']],
    ['bob', ['users']],
    ['carol', []],
  ] as const)
    await addPerson(
      join(folder, 'people.json'),
      { login, groups, password: 'long enough a word' },
      { random: systemRandom, cost },
    );
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const ask = (action: PeopleAction, options: Partial<PeopleOptions> = {}): Promise<Outcome> =>
  people(action, {
    configFile,
    name: undefined,
    groups: undefined,
    password: undefined,
    yes: false,
    ...options,
  });
const logins = async (options: Partial<PeopleOptions>): Promise<unknown[]> =>
  ((await ask('list', options)).value as { login: string }[]).map(({ login }) => login);
const person = async (name: string): Promise<unknown> =>
  ((await ask('list', { name })).value as unknown[])[0];

describe('sallyport people', () => {
  it.each<[Partial<PeopleOptions>, readonly string[]]>([
    [{}, ['alice', 'bob', 'carol']],
    [{ name: 'bob' }, ['bob']],
    [{ name: ' Bob ' }, ['bob']],
    [{ groups: ['ops'] }, ['alice']],
    [{ groups: ['ops', 'Users'] }, ['alice', 'bob']],
    [{ name: 'bob', groups: ['ops'] }, []],
  ])('list %j: %j', async (options, expected) => {
    expect(await logins(options)).toEqual(expected);
  });

  it('says of a group that the policy gives nothing by it', async () => {
    const policyFile = join(folder, 'policy.yaml');
    const profile = 'p: {who: {groups: [builtin:users]}, principals: {explicit: [deploy]}}';
    writeFileSync(
      policyFile,
      `version: 1\nroles: {admin: {groups: [builtin:ops]}}\nprofiles:\n  ${profile}\n`,
    );
    const name = 'dave';
    const added = await ask('add', { name, groups: ['users', 'user'], password: 'long enough a word' });
    const nothing = 'The policy gives nothing by the group user: no role and no profile names it alone.';
    expect(added.lines).toEqual(['Added dave to users, user', nothing]);
    expect((await ask('groups', { name, groups: ['users', 'ops'] })).lines).toEqual([
      'dave is in users, ops now',
    ]);
    await ask('remove', { name });
    rmSync(policyFile);
  });

  it('says so where the list is empty', async () => {
    expect((await ask('list', { groups: ['nobodies'] })).lines).toEqual(['Nobody.']);
  });

  it('passwd keeps the groups, unless others are named', async () => {
    const change = { name: 'alice', password: 'quite another word' };
    expect((await ask('passwd', change)).lines[0]).toBe('Changed the password of alice');
    expect(await person('alice')).toMatchObject({ groups: ['users', 'ops'] });
    expect((await ask('passwd', { ...change, groups: ['auditors'] })).lines[0]).toBe(
      'Changed the password of alice; alice is in auditors now',
    );
    expect(await person('alice')).toMatchObject({ groups: ['auditors'] });
  });

  it('groups replaces them, and takes all of them away', async () => {
    expect(await ask('groups', { name: 'BOB', groups: ['ops', 'users'] })).toMatchObject({
      value: { login: 'bob', groups: ['ops', 'users'], changed: true },
      lines: ['bob is in ops, users now'],
    });
    expect((await ask('groups', { name: 'bob', groups: [] })).lines).toEqual(['bob is in no group now']);
    expect(await person('bob')).toMatchObject({ groups: [] });
  });

  it('disable shuts out, enable lets in again, both keep the person', async () => {
    const { id } = (await ask('disable', { name: 'carol' })).value as { id: string };
    expect(await person('carol')).toMatchObject({ disabled: true });
    expect((await ask('list', { name: 'carol' })).lines).toEqual([
      expect.stringMatching(/^carol.*\(disabled\)$/),
    ]);
    expect((await ask('enable', { name: 'carol' })).value).toMatchObject({ id, disabled: false });
    expect(await person('carol')).toMatchObject({ disabled: false });
  });

  it('passwd, disable and remove say what lives on, and what ends it for whoever ever logged in', async () => {
    const options = { name: 'carol', password: 'quite another word' };
    const [passwd, disable, remove] = [
      (await ask('passwd', options)).lines.join('\n'),
      (await ask('disable', options)).lines.join('\n'),
      (await ask('remove', options)).lines.join('\n'),
    ];
    for (const said of [passwd, disable, remove])
      expect(said).toMatch(/If carol ever logged in, .*\n {2}sallyport admin revoke --person carol/);
    expect(passwd).toContain('Open sessions live on, for up to 12 h');
    expect(remove).toContain('Sessions end within a second.');
    expect(await logins({})).toEqual(['alice', 'bob']);
  });

  it.each(['passwd', 'groups', 'disable', 'enable', 'remove', 'list'] as const)(
    '%s of somebody who is not there is refused by name',
    async (action) => {
      const options = { name: 'nobody', groups: ['users'], password: 'long enough a word' };
      expect(await codeOf(ask(action, options))).toBe('identity.unknown_person');
    },
  );
});
