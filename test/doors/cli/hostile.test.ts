import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { BrokerStub } from '../../support/broker-stub.ts';
import { problem, startBrokerStub } from '../../support/broker-stub.ts';
import type { ClientHome, RunResult } from '../../support/fake-terminal.ts';
import { makeClientHome, runCli } from '../../support/fake-terminal.ts';

/** What could steer a terminal, end a line, reorder it, or hide. */
const evil = 'x\u001B[2J\u001B]0;t\u0007\r\nsallyport: all is well\u009B31m\u202Eabc\u2066\u2028\u{E0041}';
const steering = /[\p{Cf}\p{Zl}\p{Zp}]|(?!\n)\p{Cc}/u;

const time = '2026-11-23T16:00:00Z';
const credential = {
  serial: '7',
  keyId: evil.slice(0, 60),
  caFingerprint: 'SHA256:x',
  person: { id: evil, login: evil },
  profile: evil.slice(0, 80),
  keyType: evil.slice(0, 80),
  keyFingerprint: evil.slice(0, 80),
  principals: [evil, 'b'],
  validAfter: time,
  validBefore: time,
  issuedAt: time,
  state: 'revoked',
  revokedAt: time,
  revokedReason: evil,
};

let broker: BrokerStub;
let home: ClientHome;
let folder: string;

beforeAll(async () => {
  broker = await startBrokerStub();
  home = makeClientHome(broker);
  folder = mkdtempSync(join(tmpdir(), 'sallyport-hostile-'));
  await runCli(['login', '--user', 'alice', '--password-stdin'], { env: home.env, stdin: broker.password });
  writeFileSync(join(folder, 'key'), 'x+00000000+AAAA');
  const answers: Readonly<Record<string, unknown>> = {
    'GET /v1/session': {
      person: { id: evil, login: evil, directory: evil, displayName: evil },
      roles: [evil.slice(0, 30)],
      createdAt: time,
      expiresAt: '2099-01-01T00:00:00Z',
    },
    'GET /v1/admin/issued': { credentials: [credential] },
    'POST /v1/admin/revoke': {
      applied: true,
      credentials: [credential],
      sessions: 1,
      lockedPerson: { id: evil, login: evil },
      krl: { version: '3', sha256: '0'.repeat(64), sizeBytes: 10, publishedAt: time },
    },
    'POST /v1/admin/lock': { person: { id: evil, login: evil }, locked: true },
    'POST /v1/admin/principals/release': { principal: evil, owner: { id: evil } },
    'GET /v1/policy/explain': {
      person: { id: evil, login: evil, directory: evil.slice(0, 60) },
      outcome: 'granted',
      grant: {
        profile: evil.slice(0, 60),
        rule: evil,
        principals: [evil],
        validAfter: time,
        validBefore: time,
        criticalOptions: { [evil]: evil },
        extensions: { [evil]: evil },
      },
      refusals: [{ code: evil.slice(0, 60), message: evil }],
      steps: [{ part: evil, outcome: 'refused', because: evil, line: 3 }],
    },
    'GET /v1/audit/search': {
      entries: [
        {
          index: '1',
          entry: { type: evil, outcome: evil, time: evil, actor: { uid: evil }, cred: { serial: evil } },
          openings: { 'actor.name': evil, 'subject.name': evil, reason: evil },
        },
      ],
    },
    'GET /v1/audit/sinks': {
      sinks: [
        {
          name: evil.slice(0, 60),
          kind: evil.slice(0, 60),
          format: evil.slice(0, 60),
          state: 'down',
          next: '1',
          lag: '1',
          failingSince: time,
          code: evil.slice(0, 60),
        },
      ],
    },
    'GET /v1/audit/checkpoint': `${evil}\n3\nAAAA\n\n— x y\n`,
  };
  for (const [route, body] of Object.entries(answers)) broker.override(route, () => ({ body, lies: true }));
});
afterAll(async () => {
  home.remove();
  rmSync(folder, { recursive: true, force: true });
  await broker.stop();
});

const commands: readonly (readonly string[])[] = [
  ['status'],
  ['admin', 'issued'],
  ['admin', 'revoke', '--person', 'x', '--reason', 'r', '--yes', '--lock'],
  ['admin', 'lock', '--person', 'x'],
  ['admin', 'principal', 'release', 'x', '--reason', 'r'],
  ['policy', 'explain', '--person', 'x'],
  ['audit', 'search'],
  ['audit', 'sinks'],
];

const run = (args: readonly string[], columns?: number): Promise<RunResult> =>
  runCli(args, { env: { ...home.env, NO_COLOR: '1' }, ...(columns === undefined ? {} : { columns }) });

describe('text that a broker sends', () => {
  test.each(commands.map((args) => [args.join(' '), args] as const))(
    'cannot steer the terminal through `%s`, as text or as JSON',
    async (_title, args) => {
      for (const result of [await run(args), await run(args, 80), await run([...args, '--json'])]) {
        expect(result.exitCode, result.stderr).toBe(0);
        expect(result.stdout.length).toBeGreaterThan(10);
        expect(result.stdout).not.toMatch(steering);
        expect(result.stderr).not.toMatch(steering);
        expect(result.stdout).not.toMatch(/^sallyport: all is well/m);
      }
    },
  );

  test('JSON still says exactly what came', async () => {
    const { stdout } = await run(['admin', 'issued', '--json']);
    const said = JSON.parse(stdout) as { credentials: [{ person: { login: string } }] };
    expect(said.credentials[0].person.login).toBe(evil);
  });

  test('nor through a refusal', async () => {
    const own = await startBrokerStub();
    own.override('GET /v1/ca', () =>
      problem(403, 'policy.x', evil, { next: evil, requestId: evil, details: { refusals: [evil, evil] } }),
    );
    const env = makeClientHome(own);
    for (const args of [
      ['ca', 'show'],
      ['ca', 'show', '--json'],
    ]) {
      const result = await runCli(args, { env: { ...env.env, NO_COLOR: '1' }, columns: 80 });
      expect(result.exitCode).toBe(1);
      expect(result.stdout + result.stderr).not.toMatch(steering);
    }
    env.remove();
    await own.stop();
  });

  test('nor through a checkpoint, which is refused when its name is no name', async () => {
    const result = await run(['audit', 'checkpoint']);
    expect(result.stdout + result.stderr).not.toMatch(steering);
  });

  test('nor do file names and arguments', async () => {
    for (const args of [
      ['sign', evil],
      ['audit', 'verify', evil, '--key', evil],
      ['admin', 'revoke', '--serial', evil, '--reason', 'x'],
      ['login', '--ttl', evil],
      [evil],
    ]) {
      const result = await run(args);
      expect(result.exitCode).toBe(2);
      expect(result.stderr).not.toMatch(steering);
    }
  });
});

describe('lines for people', () => {
  test.each([60, 80, 120])('fit %i columns', async (columns) => {
    for (const args of [
      ['admin', 'issued'],
      ['audit', 'search'],
    ]) {
      const { stdout } = await run(args, columns);
      for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(columns);
    }
  });

  test('are coloured on a terminal, and not with NO_COLOR, a dumb terminal or a pipe', async () => {
    const args = ['admin', 'issued'];
    const coloured = await runCli(args, { env: home.env, columns: 80 });
    expect(coloured.stdout).toContain('\u001B[2m');
    for (const env of [{ NO_COLOR: '1' }, { TERM: 'dumb' }])
      expect((await runCli(args, { env: { ...home.env, ...env }, columns: 80 })).stdout).not.toContain(
        '\u001B',
      );
    expect((await runCli(args, { env: home.env })).stdout).not.toContain('\u001B');
  });
});
