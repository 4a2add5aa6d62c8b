import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ClientHome, RunResult } from '../../support/fake-terminal.ts';
import { makeClientHome, runCli } from '../../support/fake-terminal.ts';

let home: ClientHome;
beforeAll(() => {
  home = makeClientHome();
  writeFileSync(`${home.folder}/key.pub`, 'ssh-ed25519 AAAA broken');
  writeFileSync(`${home.folder}/private`, '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n');
});
afterAll(() => home.remove());

const run = (args: readonly string[]): Promise<RunResult> => runCli(args, { env: home.env });

describe('tls issue', () => {
  test.each(['private', 'both', 'key.pub'])(
    'what is no CSR alone (%s) is never sent as one',
    async (name) => {
      writeFileSync(
        `${home.folder}/both`,
        '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n',
      );
      const result = await run(['tls', 'issue', '--profile', 'p', '--csr', `${home.folder}/${name}`]);
      expect([result.exitCode, result.stderr]).toEqual([2, expect.stringContaining('nothing was sent')]);
    },
  );

  test.each(['0', '733', '1e2', '-1', 'abc'])('--days %s is no life of a certificate', async (days) => {
    const result = await run(['tls', 'issue', '--profile', 'p', '--csr', 'x', '--days', days]);
    expect([result.exitCode, result.stderr]).toEqual([2, expect.stringContaining('from 1 to 732')]);
  });
});
