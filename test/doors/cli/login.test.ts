import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { readFileSync, statSync, writeFileSync, existsSync, chmodSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { parseCertificate } from '../../../src/ssh/index.ts';
import type { BrokerStub, SignBody } from '../../support/broker-stub.ts';
import { problem, startBrokerStub } from '../../support/broker-stub.ts';
import type { ClientHome, RunResult } from '../../support/fake-terminal.ts';
import { makeClientHome, runCli } from '../../support/fake-terminal.ts';

let broker: BrokerStub;
let home: ClientHome;

beforeAll(async () => {
  broker = await startBrokerStub();
});
afterAll(() => broker.stop());
beforeEach(() => {
  home = makeClientHome(broker);
});
afterEach(() => {
  home.remove();
  for (const route of ['POST /v1/login', 'POST /v1/ssh/sign', 'GET /v1/session', 'DELETE /v1/session'])
    broker.override(route, undefined);
});

const run = (args: readonly string[], more: object = {}): Promise<RunResult> =>
  runCli(args, { env: home.env, ...more });
const login = (...args: readonly string[]): Promise<RunResult> =>
  run(['login', '--user', 'alice', '--password-stdin', ...args], { stdin: `${broker.password}\n` });
const codeOf = (result: RunResult): unknown =>
  (JSON.parse(result.stdout) as { error: { code: string } }).error.code;

describe('login', () => {
  test('gets a session and a certificate for a key that is made here', async () => {
    const result = await login('--json');
    expect(result.exitCode, result.stderr).toBe(0);
    const said = JSON.parse(result.stdout) as { certificate: { serial: string; principals: string[] } };
    const certificate = parseCertificate(readFileSync(home.path('id_ed25519-cert.pub'), 'utf8').trimEnd());
    expect(said.certificate.serial).toBe(certificate.serial.toString());
    expect(said.certificate.principals).toEqual(['alice']);
    expect(readFileSync(home.path('id_ed25519.pub'), 'utf8')).toContain('sallyport:alice');
  });

  test('keeps secrets in files that nobody else can read', async () => {
    await login();
    expect(statSync(home.path('')).mode & 0o777).toBe(0o700);
    for (const name of ['session.json', 'id_ed25519', 'config.json', 'certificate.json'])
      expect([name, statSync(home.path(name)).mode & 0o777]).toEqual([name, 0o600]);
    expect(statSync(home.path('id_ed25519-cert.pub')).mode & 0o777).toBe(0o644);
  });

  test('remembers the broker and its authority, so that later commands need no environment', async () => {
    await login();
    const env = { SALLYPORT_HOME: home.env['SALLYPORT_HOME'] };
    expect((await runCli(['status'], { env })).exitCode).toBe(0);
    // Pinned by content: what becomes of the file does not matter.
    writeFileSync(`${home.folder}/ca.pem`, 'gone');
    expect((await runCli(['status'], { env })).exitCode).toBe(0);
  });

  test('prints principals, serial and the end, and says when no agent holds it', async () => {
    const result = await login();
    expect(result.stdout).toMatch(/principals\s+alice/);
    expect(result.stdout).toMatch(/until\s+\d{4}-\d{2}-\d{2} .*\(in (8 h|7 h 59 min)\)/);
    expect(result.stdout).toMatch(/serial\s+\d+ \(key id key-\d+\)/);
    expect(result.stderr).toContain('SSH_AUTH_SOCK');
  });

  test('a wrong password is refused with the broker’s code and leaves nothing behind', async () => {
    const result = await run(['login', '--user', 'alice', '--password-stdin', '--json'], { stdin: 'wrong' });
    expect(result.exitCode).toBe(1);
    expect(codeOf(result)).toBe('identity.login_refused');
    expect(existsSync(home.path('session.json'))).toBe(false);
  });

  test.each([
    ['empty', '', 'cli.bad_password'],
    ['only a line break', '\n', 'cli.bad_password'],
    ['two lines', 'one\ntwo\n', 'cli.bad_password'],
    ['NUL inside', 'a\0b', 'cli.bad_password'],
    ['over 256 bytes', 'x'.repeat(257), 'cli.bad_password'],
    ['a whole file by mistake', 'x'.repeat(100_000), 'cli.bad_password'],
  ])('a password that is %s is refused before any connection', async (_title, stdin, code) => {
    const before = broker.requests.length;
    const result = await run(['login', '--user', 'alice', '--password-stdin', '--json'], { stdin });
    expect(result.exitCode).toBe(1);
    expect(codeOf(result)).toBe(code);
    expect(broker.requests.length).toBe(before);
  });

  test('the password is nowhere but in the one request: not in files, not in outputs', async () => {
    const result = await login();
    const files = ['session.json', 'config.json', 'certificate.json', 'id_ed25519.pub'].map((name) =>
      readFileSync(home.path(name), 'utf8'),
    );
    for (const text of [result.stdout, result.stderr, ...files]) expect(text).not.toContain(broker.password);
    const carriers = broker.requests.filter((asked) => JSON.stringify(asked).includes(broker.password));
    expect(new Set(carriers.map(({ path }) => path))).toEqual(new Set(['/v1/login']));
  });

  test('there is no option that takes a password', async () => {
    for (const flag of ['--password', '--password=x', '-p'])
      expect((await run(['login', '--user', 'alice', flag, 'secret'])).exitCode).toBe(2);
  });

  test('without a terminal and without --password-stdin it asks for neither and says what to do', async () => {
    const result = await run(['login', '--user', 'alice', '--json']);
    expect(result.exitCode).toBe(2);
    expect(codeOf(result)).toBe('cli.no_terminal');
  });

  test('narrows: profile, principals, extensions, life and reason go to the broker, and nothing that was not said', async () => {
    await login(
      '--profile',
      'p1',
      '--principal',
      'a',
      '--principal',
      'b',
      '--ttl',
      '1h30m',
      '--extension',
      'permit-pty',
      '--extension',
      'permit-X11-forwarding',
      '--reason',
      'why',
    );
    const asked = broker.requests.findLast(({ path }) => path === '/v1/ssh/sign');
    expect(asked?.body).toMatchObject({
      profile: 'p1',
      principals: ['a', 'b'],
      extensions: ['permit-pty', 'permit-X11-forwarding'],
      ttlSeconds: 5400,
      reason: 'why',
    });
    await login();
    const plain = broker.requests.findLast(({ path }) => path === '/v1/ssh/sign');
    expect(Object.keys(plain?.body ?? {})).toEqual(['publicKey']);
  });

  test('--no-extensions asks for none, and what came of such a wish is told', async () => {
    const none = await login('--no-extensions');
    expect(broker.requests.findLast(({ path }) => path === '/v1/ssh/sign')?.body).toMatchObject({
      extensions: [],
    });
    expect(none.stdout).toMatch(/extensions {2}none$/m);
    expect((await login('--extension', 'permit-pty')).stdout).toMatch(/extensions {2}permit-pty$/m);
    expect((await login()).stdout).not.toContain('extensions');
  });

  test('a life that the broker shortened is told, to people and to machines; one that it gave is not', async () => {
    broker.override('POST /v1/ssh/sign', ({ body }) =>
      broker.sign({ ...(body as SignBody), ttlSeconds: 86_400 }, 'alice'),
    );
    const said = (result: RunResult): unknown =>
      (JSON.parse(result.stdout) as { certificate: unknown }).certificate;
    expect((await login('--ttl', '30d')).stdout).toMatch(/shortened {3}30d was asked for/);
    expect(said(await login('--ttl', '30d', '--json'))).toMatchObject({
      askedTtlSeconds: 2_592_000,
      shortened: true,
    });
    expect((await login('--ttl', '24h')).stdout).not.toContain('shortened');
    expect(said(await login('--ttl', '24h', '--json'))).toMatchObject({ shortened: false });
    expect(said(await login('--json'))).not.toHaveProperty('shortened');
  });

  test.each([
    ['principals', ['--principal', 'alice'], { principals: ['alice', 'root'] }],
    ['extensions', ['--extension', 'permit-pty'], { extensions: ['permit-pty', 'permit-user-rc'] }],
    ['extensions', ['--no-extensions'], { extensions: ['permit-pty'] }],
  ])('a certificate with other %s than those asked for (%j) is not used', async (_title, args, instead) => {
    broker.override('POST /v1/ssh/sign', ({ body }) =>
      broker.sign({ ...(body as SignBody), ...instead }, 'alice'),
    );
    const result = await login(...args, '--json');
    expect([result.exitCode, codeOf(result)]).toEqual([1, 'cli.bad_certificate']);
    expect(existsSync(home.path('id_ed25519-cert.pub'))).toBe(false);
  });

  test('a refused certificate keeps the login, says all reasons, and exits 1', async () => {
    const refusals = [
      { code: 'policy.no_profile', message: 'No profile is for you.' },
      { code: 'policy.outside_hours', message: 'It is night.' },
    ];
    broker.override('POST /v1/ssh/sign', () =>
      problem(403, 'policy.no_profile', 'No profile is for you.', { details: { refusals } }),
    );
    const result = await login();
    expect(result.exitCode).toBe(1);
    expect(result.stderr).toContain('It is night. (policy.outside_hours)');
    expect(result.stderr).toContain('--no-certificate');
    expect((await run(['status'])).exitCode).toBe(0);
  });

  test('--no-agent says nothing about the agent: whoever said it knows', async () => {
    const result = await login('--no-agent');
    expect([result.exitCode, result.stderr]).toEqual([0, '']);
    expect(result.stdout).not.toContain('agent');
    expect((await login()).stderr).toContain('not in the ssh-agent');
  });

  test('--no-certificate asks for none', async () => {
    const before = broker.count('POST /v1/ssh/sign');
    const result = await login('--no-certificate', '--json');
    expect(result.exitCode).toBe(0);
    expect(JSON.parse(result.stdout)).toMatchObject({ certificate: null });
    expect(broker.count('POST /v1/ssh/sign')).toBe(before);
  });

  test('a second login ends the session before it', async () => {
    await login();
    const first = [...broker.tokens].at(-1);
    await login();
    expect(broker.tokens.has(first ?? '')).toBe(false);
  });

  test('a throttled login says how long to wait', async () => {
    broker.override('POST /v1/login', () => ({
      ...problem(429, 'identity.throttled', 'Too many tries.'),
      headers: { 'retry-after': '17' },
    }));
    const result = await login();
    expect(result.exitCode).toBe(1);
    expect(result.stderr).toContain('Wait 17 s');
  });

  test('clocks that are apart are both shown', async () => {
    const details = { brokerTime: '2026-11-23T16:00:00Z', clientTime: '2026-11-23T16:12:30Z' };
    broker.override('POST /v1/login', () =>
      problem(401, 'identity.clock_skew', 'The clocks differ.', { details }),
    );
    const result = await login();
    expect(result.exitCode).toBe(1);
    expect(result.stderr).toContain('750 s ahead of');
    expect(result.stderr).toMatch(/this computer\s+2026-11-23T16:12:30Z/);
    expect(result.stderr).toMatch(/the broker\s+2026-11-23T16:00:00Z/);
  });
});

describe('status and logout', () => {
  test('status without a login exits 4, with one 0', async () => {
    const none = await run(['status', '--json']);
    expect(none.exitCode).toBe(4);
    expect(JSON.parse(none.stdout)).toMatchObject({ session: { state: 'none' }, certificate: null });
    await login();
    const live = await run(['status', '--json']);
    expect(live.exitCode).toBe(0);
    expect(JSON.parse(live.stdout)).toMatchObject({
      session: { state: 'live', person: { login: 'alice' } },
      certificate: { state: 'live', principals: ['alice'] },
      agent: { reachable: false },
    });
  });

  test('status tells a session that the broker forgot', async () => {
    await login();
    broker.override('GET /v1/session', () => problem(401, 'identity.session_revoked', 'It was revoked.'));
    expect((await run(['status'])).exitCode).toBe(4);
  });

  test('status waits once for a broker that hangs, and says what it knows', async () => {
    const gone = await startBrokerStub();
    const own = makeClientHome(gone);
    await runCli(['login', '--user', 'alice', '--password-stdin'], { env: own.env, stdin: gone.password });
    await gone.stop();
    // Takes connections and never says a word.
    const sockets: Socket[] = [];
    const silent = createServer((socket) => sockets.push(socket));
    silent.listen(Number(new URL(gone.url).port), '127.0.0.1');
    await once(silent, 'listening');
    try {
      const result = await runCli(['status', '--json'], { env: own.env });
      expect(result.exitCode).toBe(3);
      expect(JSON.parse(result.stdout)).toMatchObject({
        session: { state: 'unchecked' },
        certificate: { state: 'live' },
      });
      expect(sockets).toHaveLength(1);
    } finally {
      for (const socket of sockets) socket.destroy();
      silent.close();
      own.remove();
    }
  });

  test('a session of one broker is not sent to another', async () => {
    await login();
    const other = await startBrokerStub();
    try {
      const env = { ...home.env, SALLYPORT_URL: other.url };
      const result = await runCli(['sign', home.path('id_ed25519.pub'), '--json'], { env });
      expect(result.exitCode).toBe(4);
      expect(codeOf(result)).toBe('client.not_logged_in');
      expect(other.requests).toEqual([]);
    } finally {
      await other.stop();
    }
  });

  test('an expired session exits 4 without asking the broker', async () => {
    await login();
    const before = broker.requests.length;
    const result = await run(['sign', home.path('id_ed25519.pub')], { nowMs: () => Date.now() + 86_400_000 });
    expect(result.exitCode).toBe(4);
    expect(result.stderr).toMatch(/ended at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\./);
    expect(broker.requests.length).toBe(before);
  });

  test('a session file that others can read is refused, and logout removes it all the same', async () => {
    await login();
    chmodSync(home.path('session.json'), 0o644);
    const result = await run(['sign', home.path('id_ed25519.pub'), '--json']);
    expect(codeOf(result)).toBe('client.loose_permissions');
    await run(['logout']);
    expect(existsSync(home.path('session.json'))).toBe(false);
  });

  test.each(['{', '{}', '[]', '"x"', '{"broker":1}'])('a damaged session file (%s) says so', async (text) => {
    await login();
    writeFileSync(home.path('session.json'), text);
    expect(codeOf(await run(['sign', home.path('id_ed25519.pub'), '--json']))).toBe(
      'client.bad_session_file',
    );
    expect((await login()).exitCode).toBe(0);
  });

  test('logout ends the session at the broker and removes key, certificate and session here', async () => {
    await login();
    const result = await run(['logout']);
    expect(result.exitCode).toBe(0);
    expect(broker.count('DELETE /v1/session')).toBeGreaterThan(0);
    for (const name of [
      'session.json',
      'id_ed25519',
      'id_ed25519.pub',
      'id_ed25519-cert.pub',
      'certificate.json',
    ])
      expect([name, existsSync(home.path(name))]).toEqual([name, false]);
    const again = await run(['logout', '--json']);
    expect(again.exitCode).toBe(0);
    expect(JSON.parse(again.stdout)).toEqual({ wasLoggedIn: false });
  });

  test('with the broker away, logout does the local part, says so and exits 3', async () => {
    const gone = await startBrokerStub();
    const own = makeClientHome(gone);
    try {
      await runCli(['login', '--user', 'alice', '--password-stdin'], { env: own.env, stdin: gone.password });
      await gone.stop();
      const result = await runCli(['logout'], { env: own.env });
      expect(result.exitCode).toBe(3);
      expect(result.stderr).toContain('was not told');
      expect(existsSync(own.path('session.json'))).toBe(false);
      expect(existsSync(own.path('id_ed25519'))).toBe(false);
    } finally {
      own.remove();
    }
  });
});
