import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodeProof, inclusionProof } from '../../../src/accounting/index.ts';
import { dayDrafts, exportLog, makeLog } from '../../accounting/log-fixture.ts';
import { makeWitness, policyOf } from '../../accounting/witness-fixture.ts';
import { type RunResult, runCli } from '../../support/fake-terminal.ts';

const witnesses = ['W1', 'W2', 'W3'].map(makeWitness);
const log = makeLog(dayDrafts(12));
const grease = '— grease.example 3q2+7wABAgMEBQYHCAkKCwwNDg8=\n';
const lines = witnesses.map((one) => one.cosign(log.checkpoint));
const forged = witnesses[1]?.cosign(log.checkpoint.replace('\n12\n', '\n11\n')) ?? '';

/** What stands behind the log's own line. */
const notes: Readonly<Record<string, string>> = {
  alone: log.checkpoint,
  greased: log.checkpoint + grease,
  one: log.checkpoint + (lines[0] ?? ''),
  two: log.checkpoint + grease + (lines[2] ?? '') + (lines[0] ?? ''),
  forged: log.checkpoint + (lines[0] ?? '') + forged + (lines[2] ?? ''),
};

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-policy-'));
  const write = (name: string, content: string | Buffer): void => writeFileSync(join(folder, name), content);
  write('key', log.key);
  write('policy', policyOf(2, witnesses));
  write('other-log', `log ${makeLog(dayDrafts(2)).key}\n${policyOf(2, witnesses)}`);
  write('nonsense', `witness W1 nonsense\nquorum W1\n`);
  write('nobody', 'quorum none\n');
  const path = await inclusionProof(3n, 12n, log.readTile);
  for (const [name, checkpoint] of Object.entries(notes)) {
    write(`${name}.bundle`, await exportLog(log, { checkpoint }));
    const entry = log.entries[3]?.bytes ?? Buffer.alloc(0);
    write(`${name}.tlog-proof`, encodeProof({ index: 3n, entry, path, checkpoint }));
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const verify = (file: string, ...policy: readonly string[]): Promise<RunResult> =>
  runCli(
    ['audit', 'verify', join(folder, file), '--key', join(folder, 'key')].concat(
      policy.flatMap((name) => ['--policy', join(folder, name)]),
    ),
    { env: {}, columns: 200 },
  );

describe.each(['bundle', 'tlog-proof'])('audit verify --policy of a %s', (kind) => {
  test.each<[note: string, exitCode: number, said: RegExp]>([
    ['two', 0, /witnesses +verified: 2 of 3 witnesses cosigned it \(W1, W3\), which is the quorum/],
    ['one', 3, /witnesses +INCOMPLETE: 1 of 3 witnesses cosigned it \(W1\), which is not the quorum/],
    ['greased', 3, /witnesses +INCOMPLETE: 0 of 3/],
    ['alone', 3, /witnesses +INCOMPLETE: 0 of 3/],
    ['forged', 1, /witnesses +FAILED: The cosignature of W2 is wrong/],
  ])('%s: exit code %i', async (note, exitCode, said) => {
    const result = await verify(`${note}.${kind}`, 'policy');
    expect(result.stdout.replaceAll(/\s+/g, ' ')).toMatch(new RegExp(said.source.replaceAll(' +', ' ')));
    expect(result.exitCode).toBe(exitCode);
  });

  test.each(Object.keys(notes))('without a policy says what %s does not exclude', async (note) => {
    const { exitCode, stdout } = await verify(`${note}.${kind}`);
    expect(exitCode).toBe(0);
    expect(stdout.replaceAll(/\s+/g, ' ')).toContain('rollback by the operator is not excluded');
  });

  test('a policy that asks for nobody concludes nothing', async () => {
    const { exitCode, stdout } = await verify(`two.${kind}`, 'nobody');
    expect(exitCode).toBe(0);
    expect(stdout).toContain('not checked');
  });

  test.each([
    ['missing', 'There is no file'],
    ['nonsense', 'line 1 of the policy'],
    ['other-log', 'the policy lists other logs'],
  ])('a policy that is %s is a wrong question', async (policy, said) => {
    const { exitCode, stdout, stderr } = await verify(`two.${kind}`, policy);
    expect([exitCode, stdout]).toEqual([2, '']);
    expect(stderr).toContain(said);
    expect(stderr).toContain('next: ');
  });
});
