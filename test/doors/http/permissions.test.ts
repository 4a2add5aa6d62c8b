import { randomBytes } from 'node:crypto';
import { appendFileSync } from 'node:fs';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { allRoutes, createMetrics, openHttpDoor, type HttpDoor } from '../../../src/doors/http/index.ts';
import { generateProofKey, type ProofKey } from '../../../src/doors/client/index.ts';
import { loadTls } from '../../../src/main/load.ts';
import { loadConfig } from '../../../src/main/config.ts';
import {
  alice,
  auditor as reader,
  bob,
  boss,
  makeBrokerFolder,
  startBrokerIn,
  type TestBroker,
} from '../../support/broker.ts';
import { newProtocolHost } from '../../support/protocol-host.ts';
import { addTlsAuthority } from '../../support/tls-authority.ts';
import { newRenewal } from '../../support/tls-renewal.ts';
import { ask, newPublicKey, proofFor, type HttpAnswer } from './support.ts';

const auditor = { ...reader, groups: ['auditors', 'users'] };
const dora = { login: 'dora', groups: ['users'], password: 'canary-dora-4Gf6Ty' };
const table = allRoutes({ metrics: createMetrics(), version: 'test', metricsAllowed: () => true });
type Route = (typeof table)[number];

let skewMs = 0;
const clock = { nowMs: () => Date.now() + skewMs };
let broker: TestBroker;
/** The same rooms behind a door at which nobody is an operator. */
let strict: HttpDoor;

interface Held {
  readonly token: string;
  readonly proofKey: ProofKey;
}
const held: Record<string, Held> = {};

beforeAll(async () => {
  const made = await makeBrokerFolder({ people: [boss, alice, bob, auditor, dora] });
  await addTlsAuthority(made);
  appendFileSync(made.policyFile, '\nhost-groups:\n  other:\n    end-sessions: off\n');
  broker = await startBrokerIn(made, { clock });
  held['expired'] = await broker.loggedIn(alice);
  skewMs += 6 * 3_600_000;
  held['revoked'] = await broker.loggedIn(bob);
  held['user'] = await broker.loggedIn(alice);
  held['auditor'] = await broker.loggedIn(auditor);
  const admin = await broker.loggedIn(boss);
  held['admin'] = admin;
  await admin.revoke({ target: { kind: 'person', value: 'bob' }, reason: 'left', lock: false, apply: true });
  // The first session is dead from now on; it may be swept out as soon as somebody logs in.
  skewMs += 7 * 3_600_000;
  strict = await openHttpDoor({
    rooms: broker.running.rooms,
    metrics: createMetrics(),
    log: pino({ level: 'silent' }),
    version: 'test',
    host: '127.0.0.1',
    port: 0,
    tls: loadTls(loadConfig(broker.configFile)),
    metricsAllowed: () => false,
  });
});
afterAll(async () => {
  await strict.close();
  await broker.stop();
});

let reviewId = 'd-00000000';
let serialOfAlice = 0n;
const ofAlice = (): string => `?serial=${serialOfAlice}`;
async function issueToAlice(): Promise<void> {
  ({ serial: serialOfAlice } = await (await broker.loggedIn(alice)).sign(newPublicKey(), {}));
}

const tokenAsked = {
  names: ['*.example.com'],
  addresses: [],
  group: 'default',
  maxUses: 1,
  lifeSeconds: 600,
};
let responseId = '';
let countOfResponses = 0;
let machine = newProtocolHost({ clock });
let tokenOfHost = { id: '', token: '' };
let countOfHosts = 0;
const nameOfHost = (): string => `h${countOfHosts}.example.com`;
async function newToken(): Promise<void> {
  tokenOfHost = await (await broker.loggedIn(boss)).newHostToken(tokenAsked);
  machine = newProtocolHost({ clock });
  countOfHosts += 1;
}
async function newHost(): Promise<void> {
  await newToken();
  await machine.enrol(broker, tokenOfHost.token, [nameOfHost()]);
}
let renewal: object = {};
async function prepareRenewal(): Promise<void> {
  renewal = await newRenewal(await broker.loggedIn(boss), new Date(clock.nowMs()).toISOString());
}

/** A request that succeeds for whoever may make it. A new route belongs in here, or these tests fail. */
const samples: Readonly<
  Record<
    string,
    {
      query?: string | (() => string);
      body?: () => object;
      text?: () => string;
      prepare?: () => Promise<void>;
    }
  >
> = {
  'post /v1/login': { body: () => ({ login: 'dora', password: dora.password }) },
  'get /v1/session': {},
  'delete /v1/session': {},
  'post /v1/ssh/sign': { body: () => ({ publicKey: newPublicKey() }) },
  'get /v1/ca': {},
  'post /v1/tls/issue': { body: () => ({ profile: 'signon', newKey: { type: 'ecdsa-p256' } }) },
  'post /v1/tls/renew': { body: () => renewal, prepare: prepareRenewal },
  'get /v1/tls/certificates': { query: '?limit=5' },
  'get /v1/tls/authority': {},
  'get /v1/krl': {},
  'get /v1/krl.sig': {},
  'get /v1/hosts/enrol.sh': {},
  'post /v1/hosts/enrol': {
    text: () => machine.enrolment(tokenOfHost.token, [nameOfHost()]),
    prepare: newToken,
  },
  'post /v1/hosts/renew': { text: () => machine.renewal(), prepare: newHost },
  'post /v1/hosts/sync': { text: () => machine.syncing(), prepare: newHost },
  'post /v1/hosts/report': { text: () => machine.reporting(1n, []), prepare: newHost },
  'get /v1/audit/logins': {},
  'post /v1/audit/explain-line': {
    body: () => ({
      line: 'Accepted password for a from 192.0.2.7 port 1 ssh2',
      at: new Date(clock.nowMs()).toISOString(),
    }),
  },
  'get /v1/admin/responses': {},
  'post /v1/admin/responses/decide': {
    body: () => ({ id: responseId, approve: false }),
    async prepare() {
      countOfResponses += 1;
      responseId = `q-${String(countOfResponses).padStart(16, '0')}`;
      const nowMs = clock.nowMs();
      const host = { hostId: 'h-1', hostName: 'web1', quarantine: 'edr', verdict: 'unknown_serial' };
      const request = { id: responseId, ...host, entryIndex: 0n, state: 'waiting' } as const;
      const requested = [{ ...request, createdMs: nowMs, changedMs: nowMs, approvals: [] }];
      await broker.running.rooms.store.commit({ responses: { requested }, entries: [] });
    },
  },
  'get /v1/admin/hosts': {},
  'get /v1/admin/hosts/one': { query: () => `?host=${machine.id}`, prepare: newHost },
  'post /v1/admin/hosts/approve': {
    body: () => ({ host: machine.id, fingerprint: machine.identity.fingerprint }),
    async prepare() {
      await newToken();
      await machine.enrol(broker, undefined, [nameOfHost()]);
    },
  },
  'post /v1/admin/hosts/retire': {
    body: () => ({ host: machine.id, reason: 'test', apply: true }),
    prepare: newHost,
  },
  'post /v1/admin/hosts/move': {
    body: () => ({ host: machine.id, group: 'other', reason: 'test' }),
    prepare: newHost,
  },
  'post /v1/admin/hosts/resolve': {
    body: () => ({ host: machine.id, reason: 'test' }),
    async prepare() {
      await newHost();
      await machine.sync(broker);
      machine.step -= 1n;
      await machine.sync(broker);
    },
  },
  'post /v1/admin/hosts/tokens': { body: () => tokenAsked },
  'get /v1/admin/hosts/tokens': {},
  'post /v1/admin/hosts/tokens/drop': { body: () => ({ id: tokenOfHost.id }), prepare: newToken },
  'get /v1/policy/explain': {},
  'post /v1/admin/revoke': {
    body: () => ({ target: { kind: 'person', value: 'dora' }, reason: 'test', apply: true }),
  },
  'post /v1/probes': { body: () => ({ hosts: [{ host: 'prod', ports: [], findings: [] }] }) },
  'post /v1/admin/lock': { body: () => ({ person: 'dora', reason: 'test' }) },
  'post /v1/admin/unlock': { body: () => ({ person: 'dora', reason: 'test' }) },
  'get /v1/admin/issued': { query: '?limit=5' },
  'get /v1/admin/departures': {},
  'post /v1/admin/departures': {
    body: () => ({ review: reviewId, decision: 'reject', reason: 'test' }),
    async prepare() {
      const { store, clock } = broker.running.rooms;
      const openedMs = clock.nowMs();
      const rest = { directory: 'corp', openedMs, state: 'waiting', limit: 'people', atLarge: 9 } as const;
      reviewId = `d-${randomBytes(4).toString('hex')}`;
      await store.commit({ departureReview: { id: reviewId, ...rest, people: [] }, entries: [] });
    },
  },
  'get /v1/admin/person': { query: '?person=dora' },
  'post /v1/admin/principals/release': {
    body: () => ({ principal: 'dora', reason: 'test' }),
    async prepare() {
      await (await broker.loggedIn(dora)).sign(newPublicKey(), {});
      // A name is free for release only when no live certificate bears it any more.
      const target = { kind: 'person', value: 'dora' } as const;
      await (await broker.loggedIn(boss)).revoke({ target, reason: 'test', lock: false, apply: true });
    },
  },
  'get /v1/audit/search': { query: '?limit=5' },
  'get /v1/audit/who-could': { query: '?principal=alice&at=2026-11-23T00:00:00Z' },
  'get /v1/audit/explain': { query: ofAlice, prepare: issueToAlice },
  'get /v1/audit/proof': { query: ofAlice, prepare: issueToAlice },
  'get /v1/audit/export': {},
  'get /v1/audit/sinks': {},
  'get /v1/audit/checkpoint': {},
  'get /healthz': {},
  'get /readyz': {},
  'get /metrics': {},
  'get /v1/openapi.json': {},
};

interface Credential {
  /** Headers for one request; every proof is fresh. */
  readonly headers: (method: string, path: string) => Record<string, string>;
  /** What a route for sessions answers: a code, or the role that the session has. */
  readonly gives: { readonly code: string } | { readonly role: 'user' | 'auditor' | 'admin' };
}

function session(name: string): Held {
  const found = held[name];
  if (found === undefined) throw new Error(`no session ${name}`);
  return found;
}

function dpop(name: string, change: { key?: string; token?: string; method?: string; path?: string } = {}) {
  return (method: string, path: string): Record<string, string> => {
    const token = change.token ?? session(name).token;
    const about = { method: change.method ?? method, path: change.path ?? path, token };
    const dpopHeader = proofFor(broker, session(change.key ?? name).proofKey, about, clock);
    return { authorization: `DPoP ${token}`, dpop: dpopHeader };
  };
}

const without = (header: string, from: Credential['headers']): Credential['headers'] => {
  return (method, path) =>
    Object.fromEntries(Object.entries(from(method, path)).filter(([name]) => name !== header));
};

const credentials: Readonly<Record<string, Credential>> = {
  nothing: { headers: () => ({}), gives: { code: 'http.unauthenticated' } },
  'a proof alone': {
    headers: without('authorization', dpop('admin')),
    gives: { code: 'http.unauthenticated' },
  },
  'text that is no token': {
    headers: () => ({ authorization: 'DPoP !' }),
    gives: { code: 'http.unauthenticated' },
  },
  'a basic password': {
    headers: () => ({ authorization: `Basic ${Buffer.from('boss:x').toString('base64')}` }),
    gives: { code: 'http.unauthenticated' },
  },
  'an admin’s token as Bearer': {
    headers: (method, path) => ({
      ...dpop('admin')(method, path),
      authorization: `Bearer ${session('admin').token}`,
    }),
    gives: { code: 'http.unauthenticated' },
  },
  'a token nobody gave out': {
    headers: dpop('admin', { token: `sp1_${'A'.repeat(43)}` }),
    gives: { code: 'identity.session_unknown' },
  },
  'an admin’s token without a proof': {
    headers: without('dpop', dpop('admin')),
    gives: { code: 'identity.dpop_missing' },
  },
  'an admin’s token with a user’s key': {
    headers: dpop('admin', { key: 'user' }),
    gives: { code: 'identity.session_wrong_key' },
  },
  'an admin’s token with a proof for a user’s token': {
    headers: (method, path) => ({
      authorization: `DPoP ${session('admin').token}`,
      dpop: dpop('user')(method, path)['dpop'] ?? '',
    }),
    gives: { code: 'identity.dpop_invalid' },
  },
  'an admin’s proof for another path': {
    headers: dpop('admin', { path: '/v1/elsewhere' }),
    gives: { code: 'identity.dpop_wrong_url' },
  },
  'an admin’s proof for another method': {
    headers: dpop('admin', { method: 'PUT' }),
    gives: { code: 'identity.dpop_invalid' },
  },
  'a revoked session': { headers: dpop('revoked'), gives: { code: 'identity.session_unknown' } },
  'a user': { headers: dpop('user'), gives: { role: 'user' } },
  'an auditor': { headers: dpop('auditor'), gives: { role: 'auditor' } },
  'an admin': { headers: dpop('admin'), gives: { role: 'admin' } },
};

const rolesFor: Readonly<Record<string, readonly string[]>> = {
  session: ['user', 'auditor', 'admin'],
  admin: ['admin'],
  'admin-or-auditor': ['admin', 'auditor'],
};

/** The whole meaning of a permission, written down a second time. */
function expected({ permission }: Route, { gives }: Credential): string {
  if (permission === 'public' || permission === 'operator') return 'allowed';
  if ('code' in gives) return gives.code;
  return rolesFor[permission]?.includes(gives.role) === true ? 'allowed' : 'http.not_permitted';
}

async function attempt(route: Route, credential: Credential, port = broker.port): Promise<HttpAnswer> {
  const sample = samples[`${route.method} ${route.path}`] ?? {};
  const method = route.method.toUpperCase();
  const headers = { ...credential.headers(method, route.path) };
  if (route.path === '/v1/login') {
    headers['dpop'] = proofFor(broker, generateProofKey(), { method, path: route.path }, clock);
  }
  if (route.body !== undefined) headers['content-type'] = 'application/json';
  if (route.text !== undefined) headers['content-type'] = 'text/plain';
  const text = sample.text?.() ?? (sample.body === undefined ? undefined : JSON.stringify(sample.body()));
  const body = text === undefined ? {} : { body: text };
  const query = typeof sample.query === 'function' ? sample.query() : sample.query;
  const path = `${route.path}${query ?? ''}`;
  return ask({ ...broker, port }, { method, path, headers, ...body });
}

const logSize = async (): Promise<bigint> => (await broker.running.rooms.store.logHead()).size;

describe('every route with every kind of credential', () => {
  it('has a sample for each route of the table, and a route for each sample', () => {
    expect(Object.keys(samples).sort()).toEqual(table.map(({ method, path }) => `${method} ${path}`).sort());
    expect(new Set(table.map(({ permission }) => permission))).toEqual(
      new Set(['public', 'operator', 'session', 'admin', 'admin-or-auditor']),
    );
  });

  it('refuses an expired session', async () => {
    const expired = { headers: dpop('expired'), gives: { code: 'identity.session_expired' } };
    for (const route of table.filter(({ permission }) => permission !== 'public')) {
      expect([route.path, (await attempt(route, expired)).code]).toEqual([
        route.path,
        expected(route, expired),
      ]);
    }
  });

  for (const route of table) {
    it(`${route.method.toUpperCase()} ${route.path}: ${route.permission}`, async () => {
      const answers: Record<string, string> = {};
      const wanted: Record<string, string> = {};
      for (const [name, credential] of Object.entries(credentials)) {
        const want = expected(route, credential);
        wanted[name] = want;
        if (want === 'allowed') await samples[`${route.method} ${route.path}`]?.prepare?.();
        const before = await logSize();
        const answer = await attempt(route, credential);
        answers[name] = answer.code;
        if (answer.code === 'allowed') expect(answer.status).toBe(route.answers.status);
        else {
          expect(answer.status, name).toBe(want === 'http.not_permitted' ? 403 : 401);
          // A refusal did nothing but say so in the log, where somebody with a live session tried what is not theirs.
          const told = ['http.not_permitted', 'identity.session_wrong_key'].includes(want) ? 1n : 0n;
          expect((await logSize()) - before, name).toBe(told);
        }
        if (route.method === 'delete' && answer.code === 'allowed') await renew(name);
      }
      expect(answers).toEqual(wanted);
    });
  }

  it('answers HEAD with the permission of GET', async () => {
    for (const route of table.filter(({ method }) => method === 'get')) {
      const refused = await ask(broker, { method: 'HEAD', path: route.path });
      const open = route.permission === 'public' || route.permission === 'operator';
      expect([route.path, refused.status, refused.body.length]).toEqual([route.path, open ? 200 : 401, 0]);
    }
  });

  it('keeps metrics, and the details of readiness, from addresses that are not the operator’s', async () => {
    const [metrics] = table.filter(({ permission }) => permission === 'operator');
    if (metrics === undefined) throw new Error('no route for operators');
    for (const credential of Object.values(credentials)) {
      expect((await attempt(metrics, credential, strict.port)).code).toBe('http.not_permitted');
    }
    const outside = await ask({ ...broker, port: strict.port }, { path: '/readyz' });
    expect(outside.status).toBe(200);
    expect(outside.body.toString()).not.toContain('detail');
    const inside = await ask(broker, { path: '/readyz' });
    expect(inside.body.toString()).toContain('detail');
  });

  it('takes each proof once', async () => {
    const headers = dpop('user')('GET', '/v1/session');
    expect((await ask(broker, { path: '/v1/session', headers })).code).toBe('allowed');
    expect((await ask(broker, { path: '/v1/session', headers })).code).toBe('identity.dpop_replayed');
  });
});

/** Logging out worked: the next route needs the session again. */
async function renew(credential: string): Promise<void> {
  const people = {
    'a user': ['user', alice],
    'an auditor': ['auditor', auditor],
    'an admin': ['admin', boss],
  } as const;
  const [name, person] = people[credential as keyof typeof people];
  held[name] = await broker.loggedIn(person);
}
