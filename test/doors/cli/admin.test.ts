import { generateKeyPairSync } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { revocationCodes } from '../../../src/broker/index.ts';
import { fingerprint, formatPublicKey, publicKeyFromKeyObject } from '../../../src/ssh/index.ts';
import type { BrokerStub } from '../../support/broker-stub.ts';
import { problem, startBrokerStub } from '../../support/broker-stub.ts';
import type { ClientHome, RunResult } from '../../support/fake-terminal.ts';
import { makeClientHome, runCli } from '../../support/fake-terminal.ts';

let broker: BrokerStub;
let home: ClientHome;

beforeAll(async () => {
  broker = await startBrokerStub();
  home = makeClientHome(broker);
  await runCli(['login', '--user', 'boss', '--password-stdin'], { env: home.env, stdin: broker.password });
});
afterAll(async () => {
  home.remove();
  await broker.stop();
});
afterEach(() => {
  for (const route of ['POST /v1/admin/revoke', 'GET /v1/audit/export', 'GET /v1/audit/search'])
    broker.override(route, undefined);
});

const run = (...args: readonly string[]): Promise<RunResult> => runCli(args, { env: home.env });
const lastBody = (): unknown => broker.requests.findLast(({ path }) => path === '/v1/admin/revoke')?.body;

describe('admin revoke', () => {
  const key = publicKeyFromKeyObject(generateKeyPairSync('ed25519').publicKey);
  const rehearsed = { applied: false, credentials: [], tlsCredentials: [], sessions: 0 };

  test.each([
    [['--person', 'alice'], { kind: 'person', value: 'alice' }],
    [['--serial', '0x2A'], { kind: 'serial', value: '42' }],
    [['--serial', '00:2a'], { kind: 'serial', value: '42' }],
    [['--key', fingerprint(key.blob)], { kind: 'key', value: fingerprint(key.blob) }],
    [['--key', 'KEYFILE'], { kind: 'key', value: fingerprint(key.blob) }],
    [['--key', 'CERTFILE'], { kind: 'key', value: expect.stringMatching(/^SHA256:/) }],
    [['--key-id', 'sp-1'], { kind: 'key_id', value: 'sp-1' }],
    [['--before', '2026-11-23'], { kind: 'before', value: '2026-11-23T00:00:00.000Z' }],
    [['--before', '2026-11-23T17:00:00+01:00'], { kind: 'before', value: '2026-11-23T16:00:00.000Z' }],
  ])('%j rehearses with the target in the one form of the API', async (target, expected) => {
    writeFileSync(`${home.folder}/key.pub`, `${formatPublicKey(key, 'a comment')}\n`);
    broker.override('POST /v1/admin/revoke', () => ({ body: rehearsed }));
    const files: Record<string, string> = {
      KEYFILE: `${home.folder}/key.pub`,
      CERTFILE: home.path('id_ed25519-cert.pub'),
    };
    const args = target.map((word) => files[word] ?? word);
    const result = await run('admin', 'revoke', ...args, '--reason', 'left');
    expect(result.exitCode, result.stderr).toBe(0);
    expect(result.stderr).toContain('Nothing was changed');
    expect(lastBody()).toEqual({ target: expected, reason: 'left', lock: false, apply: false });
  });

  test('only --yes applies', async () => {
    broker.override('POST /v1/admin/revoke', () => ({ body: { ...rehearsed, applied: true } }));
    await run('admin', 'revoke', '--person', 'a', '--reason', 'r', '--lock', '--yes');
    expect(lastBody()).toMatchObject({ lock: true, apply: true });
  });

  test('a reason code goes along, and the codes are those of the broker', async () => {
    const credential = {
      serial: '7',
      keyId: 'sp-1',
      caFingerprint: 'SHA256:x',
      person: { id: 'builtin:1', login: 'a' },
      profile: 'users',
      keyType: 'ssh-ed25519',
      keyFingerprint: fingerprint(key.blob),
      principals: ['a'],
      validAfter: '2026-11-23T00:00:00Z',
      validBefore: '2026-11-23T08:00:00Z',
      issuedAt: '2026-11-23T00:00:00Z',
      state: 'live',
    };
    broker.override('POST /v1/admin/revoke', () => ({ body: { ...rehearsed, credentials: [credential] } }));
    for (const reasonCode of revocationCodes) {
      const result = await run(...'admin revoke --person a --reason r --reason-code'.split(' '), reasonCode);
      expect(result.stderr).toContain('lists for SSH have no reason codes');
      expect(lastBody()).toMatchObject({ reasonCode });
    }
    const refused = await run(
      ...'admin revoke --person a --reason r --reason-code certificateHold'.split(' '),
    );
    expect(refused.exitCode).toBe(2);
    for (const code of revocationCodes) expect(refused.stderr).toContain(code);
  });

  test('a reason code for what is revoked already is said to change nothing', async () => {
    broker.override('POST /v1/admin/revoke', () => ({ body: { ...rehearsed, applied: true } }));
    const args = 'admin revoke --serial 7 --reason r --reason-code superseded --yes'.split(' ');
    expect((await run(...args)).stderr).toContain('keeps its reason code');
  });

  test('an unknown target is a failure with the broker’s code', async () => {
    broker.override('POST /v1/admin/revoke', () => problem(404, 'revocation.unknown_target', 'Nobody.'));
    const result = await run('admin', 'revoke', '--person', 'a', '--reason', 'r', '--json');
    expect(result.exitCode).toBe(1);
    expect(JSON.parse(result.stdout)).toMatchObject({ error: { code: 'revocation.unknown_target' } });
  });
});

test('a command within two groups takes --json before any of its names', async () => {
  broker.override('POST /v1/admin/principals/release', () => ({
    body: { principal: 'x', owner: { id: 'corp:1' } },
  }));
  for (const at of [0, 1, 2, 3]) {
    const words = ['admin', 'principal', 'release', 'x', '--reason', 'r'].toSpliced(at, 0, '--json');
    expect(JSON.parse((await run(...words)).stdout)).toEqual({ principal: 'x', owner: { id: 'corp:1' } });
  }
});

describe('audit search', () => {
  const search = (...args: readonly string[]): Promise<RunResult> =>
    run('audit', 'search', ...args, '--json');
  const entry = { index: '1', entry: { type: 'x.new' }, openings: null };

  test('for a type that nobody knows says which there are, unless the broker knows better', async () => {
    broker.override('GET /v1/audit/search', () => ({ body: { entries: [] } }));
    const result = await search('--type', 'login');
    expect([result.exitCode, JSON.parse(result.stdout)]).toMatchObject([
      2,
      { error: { code: 'cli.usage', next: expect.stringContaining('auth.login') } },
    ]);
    expect((await search('--type', 'auth.login')).exitCode).toBe(0);
    broker.override('GET /v1/audit/search', () => ({ body: { entries: [entry] } }));
    expect((await search('--type', 'x.new')).exitCode).toBe(0);
  });
});

describe('audit export', () => {
  const out = (): string => `${home.folder}/audit.bundle`;

  test('writes a whole bundle for nobody else to read', async () => {
    const bytes = Buffer.alloc(300_000, 'x');
    broker.override('GET /v1/audit/export', () => ({ body: bytes }));
    const result = await run('audit', 'export', '--out', out(), '--from', '3', '--json');
    expect(JSON.parse(result.stdout)).toEqual({ file: out(), sizeBytes: bytes.length });
    expect(readFileSync(out())).toEqual(bytes);
    expect(statSync(out()).mode & 0o777).toBe(0o600);
    expect(broker.requests.at(-1)?.query).toEqual({ from: '3' });
  });

  test('that breaks off leaves no file and exits 3', async () => {
    broker.override('GET /v1/audit/export', () => ({
      headers: { 'content-length': '5000' },
      body: 'half',
      breakOff: true,
    }));
    const target = `${home.folder}/never`;
    expect((await run('audit', 'export', '--out', target)).exitCode).toBe(3);
    expect(existsSync(target)).toBe(false);
    expect(readdirSync(home.folder).filter((name) => name.endsWith('.new'))).toEqual([]);
  });
});
