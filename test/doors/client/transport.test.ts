import { createServer as createHttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { writeFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { BrokerClient } from '../../../src/doors/client/index.ts';
import {
  createBrokerClient,
  generateProofKey,
  isNotLoggedIn,
  isUnreachable,
} from '../../../src/doors/client/index.ts';
import { CodedError, systemClock, systemRandom } from '../../../src/kernel/index.ts';
import type { BrokerStub } from '../../support/broker-stub.ts';
import { problem, startBrokerStub } from '../../support/broker-stub.ts';
import { makeClientHome, runCli } from '../../support/fake-terminal.ts';

let broker: BrokerStub;
beforeAll(async () => {
  broker = await startBrokerStub();
});
afterAll(() => broker.stop());

const open: BrokerClient[] = [];
afterEach(() => {
  for (const client of open.splice(0)) client.close();
  for (const route of ['GET /v1/ca', 'GET /v1/krl', 'POST /v1/login']) broker.override(route, undefined);
});

function clientOf(
  origin: string,
  ca: string | undefined,
  timeouts = { connectMs: 1500, idleMs: 1500 },
): BrokerClient {
  const client = createBrokerClient({
    origin,
    ca,
    timeouts,
    clock: systemClock,
    random: systemRandom,
    userAgent: 'test',
  });
  open.push(client);
  return client;
}

async function faultOf(work: Promise<unknown>): Promise<CodedError> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof CodedError)) throw new Error(`no coded error but ${String(error)}`);
  return error;
}

async function listening(server: ReturnType<typeof createServer>): Promise<number> {
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return (server.address() as AddressInfo).port;
}

describe('a broker that cannot be reached', () => {
  test('connection refused', async () => {
    const server = createServer();
    const port = await listening(server);
    await new Promise((resolve) => {
      server.close(resolve);
    });
    const error = await faultOf(clientOf(`https://127.0.0.1:${port}`, broker.caPem).authority());
    expect(error.code).toBe('client.connection_refused');
    expect(isUnreachable(error)).toBe(true);
    expect(error.next).toContain('SALLYPORT_URL');
  });

  test('a name that does not exist', async () => {
    const error = await faultOf(clientOf('https://no-such-host.invalid', broker.caPem).authority());
    expect(error.code).toBe('client.name_not_found');
    expect(isUnreachable(error)).toBe(true);
  });

  test('a port that takes the connection and says nothing', async () => {
    const server = createServer(() => undefined);
    const port = await listening(server);
    const origin = `https://127.0.0.1:${port}`;
    const error = await faultOf(
      clientOf(origin, broker.caPem, { connectMs: 100, idleMs: 60_000 }).authority(),
    );
    expect(error.code).toBe('client.timeout');
    server.close();
  });

  test('an answer that never comes', async () => {
    broker.override('GET /v1/ca', () => new Promise(() => undefined));
    const error = await faultOf(
      clientOf(broker.url, broker.caPem, { connectMs: 5000, idleMs: 200 }).authority(),
    );
    expect(error.code).toBe('client.timeout');
  });

  test('plain HTTP on the port', async () => {
    const server = createHttpServer((_request, response) => void response.end('hello'));
    const port = await listening(server);
    const error = await faultOf(clientOf(`https://127.0.0.1:${port}`, broker.caPem).authority());
    expect(['client.not_tls', 'client.connection_lost']).toContain(error.code);
    expect(isUnreachable(error)).toBe(true);
    server.close();
  });
});

describe('TLS', () => {
  test('an authority that is not trusted is refused, and the variable that mends it is named', async () => {
    const error = await faultOf(clientOf(broker.url, undefined).authority());
    expect(error.code).toBe('client.certificate_not_trusted');
    expect(error.next).toContain('SALLYPORT_CA_FILE');
    expect(isUnreachable(error)).toBe(true);
  });

  test('another authority with the same name is refused', async () => {
    const other = await startBrokerStub();
    const error = await faultOf(clientOf(broker.url, other.caPem).authority());
    expect(error.code).toBe('client.certificate_not_trusted');
    await other.stop();
  });

  test('NODE_TLS_REJECT_UNAUTHORIZED=0 changes nothing', async () => {
    process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';
    try {
      const error = await faultOf(clientOf(broker.url, undefined).authority());
      expect(error.code).toBe('client.certificate_not_trusted');
    } finally {
      delete process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
    }
  });

  test('a certificate for another name is refused', async () => {
    const other = await startBrokerStub({ names: ['elsewhere.example'] });
    const error = await faultOf(clientOf(other.url, other.caPem).authority());
    expect(error.code).toBe('client.certificate_wrong_name');
    expect(isUnreachable(error)).toBe(true);
    await other.stop();
  });

  test('an expired certificate is refused', async () => {
    const other = await startBrokerStub({ notAfterMs: Date.now() - 3_600_000 });
    const error = await faultOf(clientOf(other.url, other.caPem).authority());
    expect(error.code).toBe('client.certificate_expired');
    await other.stop();
  });

  test.each([
    ['http://broker.example', 'client.bad_url'],
    ['broker.example:8443', 'client.bad_url'],
    ['https://user:secret@broker.example', 'client.bad_url'],
    ['https://broker.example/api', 'client.bad_url'],
    ['https://broker.example?x=1', 'client.bad_url'],
    ['ftp://broker.example', 'client.bad_url'],
    ['', 'client.no_broker'],
  ])('SALLYPORT_URL=%s is a usage fault', async (url, code) => {
    const home = makeClientHome();
    const result = await runCli(['ca', 'show', '--json'], { env: { ...home.env, SALLYPORT_URL: url } });
    expect(result.exitCode).toBe(2);
    expect((JSON.parse(result.stdout) as { error: { code: string } }).error.code).toBe(code);
    expect(result.stdout).not.toContain('secret');
    home.remove();
  });

  test.each([
    ['missing', undefined],
    ['empty', ''],
    ['no PEM', 'hello'],
    ['a key', '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n'],
    ['broken inside', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'],
  ])('a CA file that is %s is a usage fault', async (_title, content) => {
    const home = makeClientHome(broker);
    const file = `${home.folder}/other.pem`;
    if (content !== undefined) writeFileSync(file, content);
    const result = await runCli(['ca', 'show', '--json'], { env: { ...home.env, SALLYPORT_CA_FILE: file } });
    expect(result.exitCode).toBe(2);
    expect((JSON.parse(result.stdout) as { error: { code: string } }).error.code).toBe('client.bad_ca_file');
    home.remove();
  });
});

describe('answers', () => {
  const login = (): Promise<unknown> =>
    clientOf(broker.url, broker.caPem).login({ login: 'alice', password: 'x' }, generateProofKey());

  test.each([
    ['no JSON', { body: '<html>' }],
    ['an empty body', { body: '' }],
    ['a list', { body: [] }],
    ['null', { body: 'null' }],
    ['fields missing', { body: { token: 'x'.repeat(40) } }],
    [
      'a token with a line break',
      { body: { token: `${'x'.repeat(40)}\nEvil: 1`, expiresAt: '2030-01-01T00:00:00Z' } },
    ],
    ['a token that is a number', { body: { token: 5 } }],
    ['an expiry without a zone', { body: { token: 'x'.repeat(40), expiresAt: '2030-01-01T00:00:00' } }],
    ['a redirect', { status: 302, headers: { location: 'https://evil.example/' } }],
    ['a proxy’s error page', { status: 502, body: '<html>Bad gateway</html>' }],
    ['a problem whose code is no code', { status: 403, body: { code: 'Bad Code\u001B[2J', detail: 'x' } }],
    ['deep nesting', { body: '['.repeat(100_000) }],
    ['more than it should be', { body: `{"token":"${'x'.repeat(65 * 1024 * 1024)}"}` }],
  ])('%s is refused as client.bad_answer', async (_title, answer) => {
    broker.override('POST /v1/login', () => ({ ...answer, lies: true }));
    expect((await faultOf(login())).code).toBe('client.bad_answer');
  });

  test('a body that breaks off is never taken for a whole one', async () => {
    broker.override('GET /v1/krl', () => ({
      headers: { 'content-length': '1000' },
      body: 'SSHKRL\n\0',
      breakOff: true,
    }));
    const error = await faultOf(clientOf(broker.url, broker.caPem).krl());
    expect(error.code).toBe('client.connection_lost');
  });

  test('a refusal keeps the broker’s code, and its text cannot steer a terminal', async () => {
    broker.override('POST /v1/login', () =>
      problem(403, 'policy.no_profile', 'red \u001B[31m bell \u0007 rtl \u202E c1 \u009B2J', {
        next: 'a\nb',
        details: { refusals: [{ code: 'policy.x', message: '\u001B]0;title\u0007' }] },
      }),
    );
    const error = await faultOf(login());
    expect(error.code).toBe('policy.no_profile');
    const steering = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;
    expect(error.message).not.toMatch(steering);
    expect(error.next).not.toMatch(steering);
    expect(JSON.stringify(error.details)).not.toMatch(steering);
  });

  test.each(['identity.session_expired', 'identity.session_revoked', 'identity.session_unknown'])(
    '%s counts as not logged in',
    async (code) => {
      broker.override('POST /v1/login', () => problem(401, code, 'Over.'));
      expect(isNotLoggedIn(await faultOf(login()))).toBe(true);
    },
  );

  test('an endless refusal is cut', async () => {
    broker.override('POST /v1/login', () => problem(403, 'policy.x', 'x'.repeat(1_000_000)));
    expect((await faultOf(login())).code).toBe('client.bad_answer');
    broker.override('POST /v1/login', () => problem(403, 'policy.x', 'x'.repeat(100_000)));
    expect((await faultOf(login())).message.length).toBeLessThan(1100);
  });
});
