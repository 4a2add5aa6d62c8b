import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { PeopleAction, PeopleOptions } from '../../src/doors/cli/index.ts';
import { addPerson, listPeople } from '../../src/identity/index.ts';
import { systemRandom } from '../../src/kernel/index.ts';
import { defaultConfigYaml } from '../../src/main/operator/default-config.ts';
import { people } from '../../src/main/operator/index.ts';
import { defaultPolicyYaml } from '../../src/policy/index.ts';
import { codeOf } from '../support/code-of.ts';

let folder: string;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-last-admin-'));
  const origins = ['https://127.0.0.1:8443'];
  const config = defaultConfigYaml({ listen: '127.0.0.1:8443', origins, logOrigin: 'here/log' });
  writeFileSync(join(folder, 'sallyport.yaml'), config);
  writeFileSync(join(folder, 'policy.yaml'), defaultPolicyYaml());
  await add('anna', ['admins', 'users']);
  await add('bob', ['users']);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const file = (): string => join(folder, 'people.json');
async function add(login: string, groups: readonly string[]): Promise<void> {
  const cost = { N: 2 ** 14, r: 8, p: 1 };
  await addPerson(file(), { login, groups, password: 'long enough a word' }, { random: systemRandom, cost });
}

function change(action: PeopleAction, options: Partial<PeopleOptions>): Promise<string> {
  const configFile = join(folder, 'sallyport.yaml');
  const usual = { configFile, name: 'anna', groups: undefined, password: undefined, yes: false };
  return codeOf(people(action, { ...usual, ...options }));
}

const losses: readonly [PeopleAction, Partial<PeopleOptions>][] = [
  ['remove', {}],
  ['remove', { name: ' ANNA ' }],
  ['disable', {}],
  ['groups', { groups: [] }],
  ['groups', { groups: ['users', 'ops'] }],
  ['passwd', { password: 'quite another word', groups: ['users'] }],
];

describe('the last admin of a built-in directory', () => {
  it.each(losses)('is not lost by %s %j, unless somebody says --yes', async (action, options) => {
    const before = await listPeople(file());
    expect(await change(action, options)).toBe('main.last_admin');
    expect(await listPeople(file())).toEqual(before);
    expect(await change(action, { ...options, yes: true })).toBe('accepted');
    expect(await listPeople(file())).not.toEqual(before);
  });

  it.each(losses)('may go by %s %j when there is another', async (action, options) => {
    await add('carol', ['Admins']);
    expect(await change(action, options)).toBe('accepted');
  });

  it('is still the last when the other one is disabled', async () => {
    await add('carol', ['admins']);
    expect(await change('disable', { name: 'carol' })).toBe('accepted');
    expect(await change('remove', {})).toBe('main.last_admin');
  });

  it.each<[PeopleAction, Partial<PeopleOptions>]>([
    ['groups', { groups: ['ADMINS'] }],
    ['passwd', { password: 'quite another word' }],
    ['remove', { name: 'bob' }],
    ['enable', {}],
  ])('is kept by %s %j', async (action, options) => {
    expect(await change(action, options)).toBe('accepted');
  });

  it('is nobody where there is no admin, or no policy that can be read', async () => {
    expect(await change('groups', { groups: [], yes: true })).toBe('accepted');
    expect(await change('remove', {})).toBe('accepted');
    await add('carol', ['admins']);
    writeFileSync(join(folder, 'policy.yaml'), 'version: 7\n');
    expect(await change('remove', { name: 'carol' })).toBe('accepted');
  });
});
