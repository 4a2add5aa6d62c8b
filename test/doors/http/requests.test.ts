import { createConnection } from 'node:net';
import { Agent, request } from 'node:https';
import { readFileSync, writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { connect, type TLSSocket } from 'node:tls';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generateProofKey } from '../../../src/doors/client/index.ts';
import { createMetrics, openHttpDoor, type Deadlines, type HttpDoor } from '../../../src/doors/http/index.ts';
import { loadTls } from '../../../src/main/load.ts';
import { loadConfig } from '../../../src/main/config.ts';
import { boss, startTestBroker, type LoggedInClient, type TestBroker } from '../../support/broker.ts';
import { ask, proofFor, rawConnection, readToEnd, type HttpAnswer } from './support.ts';

let broker: TestBroker;
let admin: LoggedInClient;
beforeAll(async () => {
  broker = await startTestBroker({ people: [boss] });
  admin = await broker.loggedIn(boss);
});
afterAll(() => broker.stop());

const json = { 'content-type': 'application/json' };
const login = (body: string | Buffer, headers: Record<string, string> = json): Promise<HttpAnswer> =>
  ask(broker, { method: 'POST', path: '/v1/login', headers, body });
const valid = JSON.stringify({ login: 'boss', password: 'wrong-password-here' });

function signedIn(method: string, path: string): Record<string, string> {
  return {
    authorization: `DPoP ${admin.token}`,
    dpop: proofFor(broker, admin.proofKey, { method, path, token: admin.token }),
  };
}
const asAdmin = (path: string, body?: object): Promise<HttpAnswer> => {
  const method = body === undefined ? 'GET' : 'POST';
  const headers = { ...signedIn(method, path.split('?')[0] ?? ''), ...(body === undefined ? {} : json) };
  return ask(broker, {
    method,
    path,
    headers,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
};

/** Every refusal is a whole problem document, and tells nothing of how the broker is made. */
function expectProblem(answer: HttpAnswer, status: number, code: string): void {
  expect([answer.status, answer.code]).toEqual([status, code]);
  expect(answer.headers['content-type']).toBe('application/problem+json; charset=utf-8');
  const problem = answer.json();
  expect(problem).toMatchObject({
    type: 'about:blank',
    status,
    code,
    requestId: answer.headers['x-request-id'],
  });
  for (const field of ['title', 'detail', 'next']) expect(problem[field]).toMatch(/^.{5,}/);
  expect(answer.body.toString()).not.toMatch(/ at .+:\d+|node_modules|\/src\/|\/tmp\/|\.ts\b|SQLITE|Error:/);
  expectSafeHeaders(answer);
}

function expectSafeHeaders({ headers }: HttpAnswer): void {
  expect(headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/);
  expect(headers['x-content-type-options']).toBe('nosniff');
  expect(headers['content-security-policy']).toBe("default-src 'none'; frame-ancestors 'none'");
  expect(headers['cache-control']).toMatch(/^no-(store|cache)$/);
  expect(headers['x-powered-by']).toBeUndefined();
  expect(headers.server).toBeUndefined();
}

describe('paths and methods', () => {
  it.each([
    '/',
    '/v1',
    '/v1/',
    '/v1/login/',
    '/V1/login',
    '//v1/ca',
    '/v1/ca/../krl',
    '/v1/%63a',
    '/%',
    '/v1/ca%00',
    '/index.html',
    '/.git/config',
  ])('knows nothing at %s', async (path) => {
    expectProblem(await ask(broker, { path }), 404, 'http.not_found');
  });

  it.each([
    ['GET', '/v1/login', 'POST'],
    ['PUT', '/v1/login', 'POST'],
    ['OPTIONS', '/v1/login', 'POST'],
    ['POST', '/v1/krl', 'GET, HEAD'],
    ['DELETE', '/v1/ca', 'GET, HEAD'],
    ['PATCH', '/v1/session', 'GET, HEAD, DELETE'],
    ['POST', '/healthz', 'GET, HEAD'],
  ])('refuses %s %s and says what it takes', async (method, path, allowed) => {
    const answer = await ask(broker, { method, path });
    expectProblem(answer, 405, 'http.method_not_allowed');
    expect(answer.headers.allow).toBe(allowed);
  });

  it('takes no method override', async () => {
    const answer = await ask(broker, {
      method: 'POST',
      path: '/v1/session',
      headers: { ...signedIn('DELETE', '/v1/session'), 'x-http-method-override': 'DELETE' },
    });
    expectProblem(answer, 405, 'http.method_not_allowed');
  });

  it('gives every answer the same safe headers', async () => {
    for (const path of [
      '/healthz',
      '/readyz',
      '/v1/ca',
      '/v1/krl',
      '/v1/audit/checkpoint',
      '/v1/openapi.json',
    ]) {
      const answer = await ask(broker, { path });
      expect([path, answer.status]).toEqual([path, 200]);
      expectSafeHeaders(answer);
    }
  });
});

describe('bodies', () => {
  it('takes 64 KiB and not one byte more', async () => {
    const filled = (sizeBytes: number): string => valid.padEnd(sizeBytes, ' ');
    expectProblem(await login(filled(64 * 1024)), 401, 'identity.dpop_missing');
    expectProblem(await login(filled(64 * 1024 + 1)), 413, 'http.too_large');
    const chunked = await ask(broker, {
      method: 'POST',
      path: '/v1/login',
      headers: { ...json, 'transfer-encoding': 'chunked' },
      body: filled(64 * 1024 + 1),
    });
    expectProblem(chunked, 413, 'http.too_large');
  });

  it.each([
    'text/plain',
    'application/x-www-form-urlencoded',
    'application/jsonp',
    'application/json, text/plain',
    'application/json; charset=utf-16',
    'application/json; charset="iso-8859-1"',
    '',
  ])('refuses the content type “%s”', async (type) => {
    const headers: Record<string, string> = type === '' ? {} : { 'content-type': type };
    expectProblem(await login(valid, headers), 415, 'http.unsupported_media_type');
  });

  it.each(['application/json; charset=utf-8', 'APPLICATION/JSON', 'application/json;charset="UTF-8"'])(
    'takes the content type “%s”',
    async (type) => {
      expectProblem(await login(valid, { 'content-type': type }), 401, 'identity.dpop_missing');
    },
  );

  it.each(['gzip', 'deflate', 'br', 'zstd'])('refuses a body compressed with %s', async (encoding) => {
    const answer = await login(gzipSync(valid), { ...json, 'content-encoding': encoding });
    expectProblem(answer, 415, 'http.unsupported_media_type');
  });

  it.each([
    ['nothing', ''],
    ['half of it', valid.slice(0, 20)],
    ['two of them', `${valid}${valid}`],
    ['a number', '1'],
    ['null', 'null'],
    ['a list', '[]'],
    ['a very deep list', '['.repeat(60_000)],
    ['a very deep and complete list', `${'['.repeat(30_000)}${']'.repeat(30_000)}`],
    ['a deep object', `${'{"login":'.repeat(5000)}1${'}'.repeat(5000)}`],
    ['an unknown field', '{"login":"a","password":"b","admin":true}'],
    ['a misspelt field', '{"Login":"a","password":"b"}'],
    ['__proto__', '{"login":"a","password":"b","__proto__":{"roles":["admin"]}}'],
    ['constructor', '{"login":"a","password":"b","constructor":{"prototype":{}}}'],
    ['an empty login', '{"login":"","password":"b"}'],
    ['an empty password', '{"login":"a","password":""}'],
    ['a password that is a number', '{"login":"a","password":1}'],
    ['a login that is a list', '{"login":["a"],"password":"b"}'],
    ['a password of 1025 characters', JSON.stringify({ login: 'a', password: 'x'.repeat(1025) })],
    ['a login of 257 characters', JSON.stringify({ login: 'x'.repeat(257), password: 'b' })],
  ])('refuses %s', async (_what, body) => {
    const answer = await login(body);
    expectProblem(answer, 400, 'http.bad_request');
    expect(answer.body.length).toBeLessThan(4096);
  });

  it('refuses bytes that are not UTF-8, which would all become the same password', async () => {
    const body = Buffer.concat([
      Buffer.from('{"login":"a","password":"'),
      Buffer.of(0xff),
      Buffer.from('"}'),
    ]);
    expectProblem(await login(body), 415, 'http.unsupported_media_type');
  });

  it('never repeats what was typed', async () => {
    const secret = 'canary-typed-into-the-wrong-field';
    const answers = await Promise.all([
      login(JSON.stringify({ login: 'boss', password: [secret] })),
      login(JSON.stringify({ login: { [secret]: secret }, password: 'x' })),
      login(`{"login":"boss","password":"${secret}"`),
    ]);
    for (const answer of answers) {
      expectProblem(answer, 400, 'http.bad_request');
      expect(answer.body.toString()).not.toContain(secret);
    }
    expect(broker.log()).not.toContain(secret);
  });

  it('asks who is there before it reads a body', async () => {
    const answer = await ask(broker, {
      method: 'POST',
      path: '/v1/ssh/sign',
      headers: json,
      body: 'not JSON',
    });
    expectProblem(answer, 401, 'http.unauthenticated');
  });
});

describe('questions', () => {
  it.each([
    '/v1/admin/issued?limit=0',
    '/v1/admin/issued?limit=1001',
    '/v1/admin/issued?limit=ten',
    '/v1/admin/issued?limit=1&limit=2',
    '/v1/admin/issued?live=yes',
    '/v1/admin/issued?after=-1',
    '/v1/admin/issued?after=1e3',
    `/v1/admin/issued?after=${1n << 63n}`,
    '/v1/admin/issued?after=123456789012345678901',
    '/v1/admin/issued?nonsense=1',
    '/v1/admin/issued?__proto__=1',
    '/v1/audit/search?from=yesterday',
    '/v1/audit/search?from=2026-11-23',
    '/v1/audit/search?from=2026-11-23T10:00:00',
    '/v1/audit/search?from=2026-02-30T10:00:00Z',
    '/v1/audit/search?outcome=maybe',
    '/v1/audit/export?from=2&to=1',
    '/v1/audit/export?from=0&to=999999',
    '/v1/audit/export?from=0x1',
    '/v1/policy/explain?at=now',
    '/v1/session?x=1',
  ])('refuses %s', async (path) => {
    const answer = await asAdmin(path);
    expectProblem(
      answer,
      400,
      path.includes('export?from=2') || path.includes('to=9') ? 'accounting.bad_range' : 'http.bad_request',
    );
  });

  it.each(['0', 'x', '-1', '0x', String(1n << 64n), '1,2', '1 OR 1=1'])(
    'takes no serial “%s”',
    async (serial) => {
      const path = `/v1/audit/search?serial=${encodeURIComponent(serial)}`;
      expectProblem(await asAdmin(path), 400, 'kernel.bad_serial');
    },
  );

  it.each([
    ['serial', String((1n << 64n) - 1n), 404, 'revocation.unknown_target'],
    ['serial', String(1n << 63n), 404, 'revocation.unknown_target'],
    ['serial', '0', 400, 'kernel.bad_serial'],
    ['person', '"; DROP TABLE person; --', 404, 'revocation.unknown_target'],
    ['key', 'SHA256:short', 400, 'revocation.bad_target'],
    ['key', 'not a key', 400, 'ssh.unreadable_key'],
    ['key_id', 'a b', 400, 'kernel.bad_key_id'],
    ['before', 'yesterday', 400, 'revocation.bad_target'],
    ['before', '2999-01-01T00:00:00Z', 400, 'revocation.bad_target'],
  ])('answers a revocation by %s “%s” with %i %s', async (kind, value, status, code) => {
    const answer = await asAdmin('/v1/admin/revoke', { target: { kind, value }, reason: 'x', apply: true });
    expectProblem(answer, status, code);
  });

  it('keeps an admin from locking themselves out', async () => {
    const target = { kind: 'person', value: 'boss' };
    const answer = await asAdmin('/v1/admin/revoke', { target, reason: 'x', lock: true, apply: true });
    expectProblem(answer, 409, 'revocation.own_lock');
    expectProblem(
      await asAdmin('/v1/admin/lock', { person: 'boss', reason: 'x' }),
      409,
      'revocation.own_lock',
    );
    expect((await asAdmin('/v1/session')).status).toBe(200);
  });

  it('finds nothing from the far end of the numbers', async () => {
    const far = (1n << 63n) - 1n;
    const issued = await asAdmin(`/v1/admin/issued?after=${far}`);
    expect(issued.json()['credentials']).toEqual([]);
    const found = await asAdmin(`/v1/audit/search?after=${far}&limit=1`);
    expect(found.json()['entries']).toHaveLength(1);
  });
});

describe('headers', () => {
  it('takes neither of two tokens and neither of two proofs', async () => {
    const { authorization, dpop } = signedIn('GET', '/v1/session');
    const twice = async (headers: Record<string, string | string[]>): Promise<HttpAnswer> =>
      ask(broker, { path: '/v1/session', headers });
    const value = [authorization ?? '', authorization ?? ''];
    expectProblem(await twice({ authorization: value, dpop: dpop ?? '' }), 401, 'http.unauthenticated');
    const proofs = [dpop ?? '', signedIn('GET', '/v1/session')['dpop'] ?? ''];
    expectProblem(await twice({ authorization: value[0] ?? '', dpop: proofs }), 401, 'identity.dpop_missing');
  });

  it('says how to log in with every 401', async () => {
    const answer = await ask(broker, { path: '/v1/session' });
    expect(answer.headers['www-authenticate']).toMatch(/^DPoP /);
  });

  it('ignores where a header says the client is', async () => {
    await ask(broker, {
      path: '/v1/session',
      headers: { 'x-forwarded-for': '198.51.100.7', forwarded: 'for=198.51.100.7' },
    });
    await login(valid, { ...json, 'x-forwarded-for': '198.51.100.7' });
    const found = await asAdmin('/v1/audit/search?limit=50');
    expect(found.body.toString()).not.toContain('198.51.100.7');
  });

  it.each([
    [
      'headers over 16 KiB',
      `GET /healthz HTTP/1.1\r\nHost: x\r\nX-Fill: ${'a'.repeat(17 * 1024)}\r\n\r\n`,
      '431',
    ],
    [
      'two lengths',
      'POST /v1/login HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}',
      '400',
    ],
    [
      'a length and chunks',
      'POST /v1/login HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      '400',
    ],
    ['no host', 'GET /healthz HTTP/1.1\r\n\r\n', '400'],
    ['a header with a line break', 'GET /healthz HTTP/1.1\r\nHost: x\r\nX: a\rb\r\n\r\n', '400'],
    ['no HTTP', '\u0000\u0001\u0002\r\n\r\n', '400'],
  ])('closes the connection on %s', async (_what, bytes, status) => {
    const socket = await rawConnection(broker);
    socket.write(bytes, 'latin1');
    expect((await readToEnd(socket)).split(' ')[1]).toBe(status);
  });

  it('refuses TLS 1.1', async () => {
    const failed = await new Promise<string>((resolve) => {
      const socket = connect(
        {
          host: '127.0.0.1',
          port: broker.port,
          ca: readFileSync(broker.caFile),
          minVersion: 'TLSv1.1',
          maxVersion: 'TLSv1.1',
        },
        () => resolve('connected'),
      );
      socket.once('error', (error: NodeJS.ErrnoException) => resolve(String(error.code)));
    });
    expect(failed).toMatch(/^ERR_SSL_/);
  });
});

describe('lists', () => {
  it.each(['/v1/krl', '/v1/krl.sig'])('serves %s with an ETag, and 304 to whoever has it', async (path) => {
    const first = await ask(broker, { path });
    const etag = String(first.headers.etag);
    expect(etag).toMatch(/^"[0-9a-f]{64}(-sig)?"$/);
    expect(first.body.length).toBeGreaterThan(40);
    for (const known of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
      const again = await ask(broker, { path, headers: { 'if-none-match': known } });
      expect([known, again.status, again.body.length, again.headers.etag]).toEqual([known, 304, 0, etag]);
    }
    const stale = await ask(broker, { path, headers: { 'if-none-match': '"other"' } });
    expect([stale.status, stale.body.equals(first.body)]).toEqual([200, true]);
  });
});

describe('slow hands', () => {
  const doors: HttpDoor[] = [];
  afterAll(() => Promise.all(doors.map((door) => door.close(0))));
  const hasty = async (deadlines: Partial<Deadlines>): Promise<HttpDoor> => {
    const door = await openHttpDoor({
      rooms: broker.running.rooms,
      metrics: createMetrics(),
      log: pino({ level: 'silent' }),
      version: 'test',
      host: '127.0.0.1',
      port: 0,
      tls: loadTls(loadConfig(broker.configFile)),
      metricsAllowed: () => false,
      deadlines,
    });
    doors.push(door);
    return door;
  };
  const connectTo = (door: HttpDoor): Promise<TLSSocket> => rawConnection({ ...broker, port: door.port });

  it('cuts off headers that do not come', async () => {
    const socket = await connectTo(await hasty({ headers: 100, request: 200 }));
    socket.write('GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ');
    expect(await readToEnd(socket)).toMatch(/^HTTP\/1\.1 408 /);
  });

  it('cuts off a body that does not come', async () => {
    const socket = await connectTo(await hasty({ headers: 100, request: 200 }));
    socket.write(
      'POST /v1/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{',
    );
    expect(await readToEnd(socket)).toMatch(/^HTTP\/1\.1 408 /);
  });

  it('cuts off a handshake that does not come', async () => {
    const door = await hasty({ handshake: 100 });
    const socket = createConnection({ host: '127.0.0.1', port: door.port });
    const closed = new Promise((resolve) => socket.once('close', () => resolve('closed')));
    socket.on('error', () => undefined);
    expect(await closed).toBe('closed');
  });

  it('cuts off whoever says nothing at all', async () => {
    const socket = await connectTo(await hasty({ silence: 100 }));
    expect(await readToEnd(socket)).toBe('');
  });
});

describe('the door while it closes', () => {
  it('finishes a request under way, takes no new one, and does not wait for idle connections', async () => {
    const own = await startTestBroker({ people: [boss] });
    const agent = new Agent({ keepAlive: true, ca: readFileSync(own.caFile) });
    const idle = await rawConnection(own);
    const idleEnd = readToEnd(idle);
    const body = JSON.stringify({ login: 'boss', password: 'wrong-password-here' });
    let stopped: Promise<void> | undefined;
    const answered = await new Promise<{ status: number; connection: string | undefined }>(
      (resolve, reject) => {
        const sent = request(
          `${own.url}/v1/login`,
          {
            method: 'POST',
            agent,
            headers: { ...json, expect: '100-continue', 'content-length': Buffer.byteLength(body) },
          },
          (response) => {
            response.resume();
            response.once('end', () =>
              resolve({ status: response.statusCode ?? 0, connection: response.headers.connection }),
            );
          },
        );
        sent.once('error', reject);
        sent.flushHeaders();
        // The broker has read the headers, and begins to stop; the body comes after that.
        sent.once('continue', () => {
          stopped = own.running.stop();
          sent.end(body);
        });
      },
    );
    const startedMs = performance.now();
    await stopped;
    expect(answered.status).toBe(401);
    expect(performance.now() - startedMs).toBeLessThan(5000);
    await idleEnd;
    await expect(ask(own, { path: '/healthz' })).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    agent.destroy();
    own.remove();
  });
});

describe('/readyz', () => {
  it('names each dependency, and says 503 when nobody could log in', async () => {
    const own = await startTestBroker({ people: [boss] });
    await own.loggedIn(boss);
    const ready = await ask(own, { path: '/readyz' });
    expect([ready.status, ready.json()['status']]).toEqual([200, 'ready']);
    const names = (ready.json()['dependencies'] as { name: string; state: string }[]).map(
      ({ name, state }) => `${name} ${state}`,
    );
    expect(names).toEqual(['store up', 'krl up', 'directory:builtin up']);

    writeFileSync(own.peopleFile, 'broken');
    // The directory looks at its file at most once a second, and in the background.
    let unready = ready;
    while (unready.status === 200) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      unready = await ask(own, { path: '/readyz' });
    }
    expect([unready.status, unready.json()['status']]).toEqual([503, 'not_ready']);
    expect(unready.body.toString()).toContain('"name":"directory:builtin","state":"down"');
    expect((await ask(own, { path: '/healthz' })).status).toBe(200);
    expect((await ask(own, { path: '/v1/krl' })).status).toBe(200);

    await own.running.rooms.store.close();
    const dead = await ask(own, { path: '/readyz' });
    expect(dead.status).toBe(503);
    expect(dead.body.toString()).toContain('"name":"store","state":"down"');
    const dpop = proofFor(own, generateProofKey(), { method: 'POST', path: '/v1/login' });
    const refused = await ask(own, {
      method: 'POST',
      path: '/v1/login',
      headers: { ...json, dpop },
      body: valid,
    });
    expectProblem(refused, 503, 'store.unavailable');
    expect(refused.headers['retry-after']).toBe('1');
    await own.running.stop().catch(() => undefined);
    own.remove();
  });
});
