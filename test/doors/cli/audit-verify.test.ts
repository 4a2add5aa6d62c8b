import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { verifierKey } from '../../../src/accounting/index.ts';
import { dayDrafts, exportLog, makeLog, newSigner } from '../../accounting/log-fixture.ts';
import type { RunResult } from '../../support/fake-terminal.ts';
import { runCli } from '../../support/fake-terminal.ts';

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-verify-'));
  const key = verifierKey('broker.example/log', generateKeyPairSync('ed25519').publicKey);
  writeFileSync(join(folder, 'key'), `${key}\n`);
  writeFileSync(join(folder, 'wrong-hash'), `${key.replace(/\+[0-9a-f]{8}\+/, '+00000000+')}\n`);
  writeFileSync(join(folder, 'text'), 'hello\n');
  writeFileSync(join(folder, 'empty'), '');
  mkdirSync(join(folder, 'folder'));
  const signer = newSigner();
  const [log, longer] = [makeLog(dayDrafts(12), signer), makeLog(dayDrafts(20), signer)];
  const part = await exportLog(log, { from: 5n, to: 9n });
  writeFileSync(join(folder, 'log-key'), log.key);
  writeFileSync(join(folder, 'whole'), await exportLog(log));
  writeFileSync(join(folder, 'part'), part);
  writeFileSync(
    join(folder, 'changed-part'),
    part.toString('latin1').replace('success', 'failure'),
    'latin1',
  );
  writeFileSync(join(folder, 'newer-checkpoint'), longer.checkpoint);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const verify = (bundle: string, key: string, ...more: readonly string[]): Promise<RunResult> => {
  const path = (word: string): string => (word.startsWith('-') ? word : join(folder, word));
  return runCli(['audit', 'verify', path(bundle), '--key', path(key), ...more.map(path)], { env: {} });
};

describe('audit verify, asked what it cannot answer', () => {
  test.each([
    ['a bundle that is not there', ['missing', 'key'], 'There is no file FOLDER/missing.', 'audit export'],
    ['a folder as the bundle', ['folder', 'key'], 'FOLDER/folder is a folder.', 'audit export'],
    ['a path through a file', ['text/x', 'key'], 'FOLDER/text/x cannot be read:', 'audit export'],
    ['a key that is not there', ['empty', 'missing'], 'There is no file FOLDER/missing.', 'ca show'],
    ['a folder as the key', ['empty', 'folder'], 'FOLDER/folder cannot be read: it is a folder.', 'ca show'],
    ['an empty key', ['empty', 'empty'], 'FOLDER/empty is not the verifier key of a log.', 'ca show'],
    ['any text as the key', ['empty', 'text'], 'FOLDER/text is not the verifier key of a log.', 'ca show'],
    ['a key of another hash', ['empty', 'wrong-hash'], 'The pinned key is not a verifier key', 'ca show'],
    [
      'an earlier checkpoint that is not there',
      ['empty', 'key', '--previous', 'missing'],
      'There is no file FOLDER/missing.',
      'audit checkpoint',
    ],
    [
      'any text as the earlier checkpoint',
      ['empty', 'key', '--previous', 'text'],
      'The earlier checkpoint cannot be used:',
      'audit checkpoint',
    ],
  ] as const)(
    '%s: says once what is wrong and what to do, and exits 2',
    async (_title, words, cause, next) => {
      const [bundle, key, ...more] = words;
      const { exitCode, stdout, stderr } = await verify(bundle, key, ...more);
      const [first = '', second = '', ...others] = stderr.split('\n');
      expect([exitCode, stdout, others]).toEqual([2, '', ['']]);
      expect(first).toContain(`sallyport: ${cause.replace('FOLDER', folder)}`);
      expect(second).toMatch(/^ {2}next: /);
      expect(second).toContain(next);
    },
  );

  test('an empty bundle: something is missing, exit 3', async () => {
    expect(await verify('empty', 'key')).toEqual({
      exitCode: 3,
      stdout: expect.stringMatching(/^NOT VERIFIED: \S+ is empty\.\n {2}next: Export it again; .*\n$/),
      stderr: '',
    });
    const json = await verify('empty', 'key', '--json');
    expect([json.exitCode, JSON.parse(json.stdout)]).toMatchObject([
      3,
      { exitCode: 3, integrity: { state: 'incomplete' } },
    ]);
  });

  test('a part of a log: integrity verified, and exit 3, never 0', async () => {
    const { exitCode, stdout, stderr } = await verify('part', 'log-key');
    expect([exitCode, stderr]).toEqual([3, '']);
    expect(stdout).toMatch(/^integrity {5}verified: All 4 entries,/m);
    expect(stdout).toMatch(/^completeness {2}INCOMPLETE: Only entries 5 to 8 of 12 are here,/m);
    expect(stdout).toMatch(
      /^INCOMPLETE: integrity verified, only entries 5 to 8 of 12, so nothing is said about the rest\.\n {2}next: .*--part/m,
    );
    expect(stdout).not.toMatch(/^Verified/m);
    const json = await verify('part', 'log-key', '--json');
    expect([json.exitCode, JSON.parse(json.stdout)]).toMatchObject([
      3,
      {
        exitCode: 3,
        integrity: { state: 'verified' },
        completeness: { state: 'incomplete' },
        facts: { from: '5' },
      },
    ]);
  });

  test('a part of a log that is expected: exit 0, and nothing said about the rest', async () => {
    const { exitCode, stdout } = await verify('part', 'log-key', '--part');
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^Verified, as the part that you expect: only entries 5 to 8 of 12,/m);
    expect(stdout).not.toContain('next:');
    expect((await verify('whole', 'log-key', '--part')).stdout).toMatch(/^Verified\.$/m);
  });

  test('a part that was changed: exit 1, expected or not', async () => {
    for (const more of [[], ['--part']])
      expect((await verify('changed-part', 'log-key', ...more)).exitCode).toBe(1);
  });

  test('a bundle older than the earlier checkpoint: exit 1, the likely mistake, and what to do', async () => {
    const { exitCode, stdout } = await verify('whole', 'log-key', '--previous', 'newer-checkpoint');
    expect(exitCode).toBe(1);
    expect(stdout.replaceAll(/\n {14}/g, ' ')).toMatch(
      /^consistency {3}FAILED: The log had 20 entries before and has 12 now: .* the files are mixed up, .*: export the log anew/m,
    );
  });

  test('a file that is no bundle is not what the key vouches for: exit 1', async () => {
    expect((await verify('text', 'key')).exitCode).toBe(1);
  });
});
