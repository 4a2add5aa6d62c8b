import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addPerson } from '../../src/identity/index.ts';
import { isCodedError, systemClock, systemRandom } from '../../src/kernel/index.ts';
import { createDirectory } from '../../src/main/directories.ts';

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-directories-'));
  await addPerson(
    join(folder, 'people.json'),
    { login: 'alice', groups: [], password: 'long enough a word' },
    { random: systemRandom, cost: { N: 2 ** 14, r: 8, p: 1 } },
  );
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('a configured directory', () => {
  it('is told where a login comes from: one network cannot take all places, and a trusted person still gets one', async () => {
    const observed: string[] = [];
    const directory = createDirectory(
      { kind: 'built-in', name: 'builtin', file: join(folder, 'people.json') },
      {
        clock: systemClock,
        policyAttributes: [],
        observe: (_name, operation, outcome) => observed.push(`${operation} ${outcome}`),
      },
    );
    const attempt = (network: string, trusted = false): Promise<string> =>
      directory.authenticate('alice', 'a wrong word', { trusted, network }).then(
        ({ outcome }) => outcome,
        (error: unknown) => (isCodedError(error) ? error.code : 'fault'),
      );
    const crowd = Array.from({ length: 24 }, () => attempt('192.0.2.0/24'));
    const others = [attempt('198.51.100.0/24'), attempt('192.0.2.0/24', true)];
    const answers = await Promise.all(crowd);
    // Two run and eight of the network wait.
    expect(answers.filter((answer) => answer === 'refused')).toHaveLength(10);
    expect(answers.filter((answer) => answer === 'identity.busy')).toHaveLength(14);
    expect(await Promise.all(others)).toEqual(['refused', 'refused']);
    expect(observed.toSorted()).toEqual([
      ...Array.from({ length: 14 }, () => 'authenticate identity.busy'),
      ...Array.from({ length: 12 }, () => 'authenticate refused'),
    ]);
    await directory.close();
  });
});
