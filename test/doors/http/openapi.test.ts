import { appendFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { PersonId } from '../../../src/kernel/index.ts';
import { allRoutes, createMetrics } from '../../../src/doors/http/index.ts';
import { generateProofKey } from '../../../src/doors/client/index.ts';
import { alice, boss, makeBrokerFolder, startBrokerIn, type TestBroker } from '../../support/broker.ts';
import { newProtocolHost } from '../../support/protocol-host.ts';
import { addTlsAuthority } from '../../support/tls-authority.ts';
import { newRenewal } from '../../support/tls-renewal.ts';
import { ask, newPublicKey, proofFor, type HttpAnswer } from './support.ts';

interface Content {
  readonly schema?: Record<string, unknown>;
}
interface Operation {
  readonly summary: string;
  readonly security: readonly object[];
  readonly 'x-permission': string;
  readonly parameters?: readonly { name: string; in: string; required: boolean; schema: object }[];
  readonly requestBody?: { required: boolean; content: Record<string, Content> };
  readonly responses: Record<string, { description: string; content?: Record<string, Content> }>;
}
interface Document {
  readonly openapi: string;
  readonly info: Record<string, unknown>;
  readonly paths: Record<string, Record<string, Operation>>;
  readonly components: { schemas: Record<string, object>; securitySchemes: Record<string, object> };
}

const table = allRoutes({ metrics: createMetrics(), version: 'test', metricsAllowed: () => true });
let broker: TestBroker;
let document: Document;
beforeAll(async () => {
  const directories = 'sinks: [{name: copy, kind: file, format: json, path: data}]';
  const made = await makeBrokerFolder({ people: [boss, alice], directories });
  await addTlsAuthority(made);
  appendFileSync(made.policyFile, '\nhost-groups:\n  other:\n    end-sessions: off\n');
  broker = await startBrokerIn(made);
  document = (await ask(broker, { path: '/v1/openapi.json' })).json() as unknown as Document;
});
afterAll(() => broker.stop());

function operation(method: string, path: string): Operation {
  const found = document.paths[path]?.[method];
  if (found === undefined) throw new Error(`the document has no ${method} ${path}`);
  return found;
}

/** Every object below, with where it stands. */
function* walk(value: unknown, at: string): Generator<[string, Record<string, unknown>]> {
  if (typeof value !== 'object' || value === null) return;
  if (!Array.isArray(value)) yield [at, value as Record<string, unknown>];
  for (const [key, child] of Object.entries(value)) yield* walk(child, `${at}/${key}`);
}

describe('the OpenAPI document', () => {
  it('is one, of version 3.1', () => {
    expect(document.openapi).toBe('3.1.0');
    expect(document.info).toMatchObject({
      title: 'Sallyport',
      version: 'test',
      license: { identifier: 'Apache-2.0' },
    });
    expect(Object.keys(document).sort()).toEqual(['components', 'info', 'openapi', 'paths']);
  });

  it('names every route, its permission and its answers', () => {
    const named = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method} ${path}`),
    );
    expect(named.sort()).toEqual(table.map(({ method, path }) => `${method} ${path}`).sort());
    for (const { method, path, permission, answers, body, text } of table) {
      const found = operation(method, path);
      expect(found['x-permission']).toBe(permission);
      expect(found.security.length > 0).toBe(permission !== 'public' && permission !== 'operator');
      expect(found.summary).toMatch(/\.$/);
      expect(Object.keys(found.responses)).toEqual(
        expect.arrayContaining([String(answers.status), ...(answers.others ?? []).map(String), 'default']),
      );
      expect(found.requestBody?.required).toBe(body === undefined && text === undefined ? undefined : true);
    }
  });

  it('holds together: references lead somewhere, required fields exist, schemas are schemas', () => {
    let references = 0;
    for (const [at, value] of walk(document, '#')) {
      const { $ref, required, properties } = value;
      if (typeof $ref === 'string') {
        references += 1;
        expect(document.components.schemas[$ref.replace('#/components/schemas/', '')], at).toBeDefined();
      }
      if (Array.isArray(required) && typeof properties === 'object' && properties !== null) {
        for (const name of required as string[]) expect(Object.keys(properties), at).toContain(name);
      }
      expect(value, at).not.toHaveProperty('$schema');
    }
    expect(references).toBe(table.length);
  });

  it('closes every request body to unknown fields', () => {
    const bodies = table.filter(({ body }) => body !== undefined);
    expect(bodies.length).toBeGreaterThan(4);
    for (const { method, path } of bodies) {
      const schema = operation(method, path).requestBody?.content['application/json']?.schema;
      expect(schema).toMatchObject({ type: 'object', additionalProperties: false });
    }
  });

  it('describes what the broker really answers', async () => {
    const client = await broker.loggedIn(boss);
    const user = await broker.loggedIn(alice);
    const { serial } = await user.sign(newPublicKey(), {});
    const tokenAsked = {
      names: ['h.example.com'],
      addresses: [],
      group: 'default',
      maxUses: 1,
      lifeSeconds: 600,
    };
    const { store } = broker.running.rooms;
    const review = {
      id: 'd-0123abcd',
      directory: 'builtin',
      // Ahead of time: a look at the directory would withdraw it, as nobody has lost anything.
      openedMs: Date.now() + 3_600_000,
      state: 'waiting',
    } as const;
    const people = [
      { personId: (await user.session()).person.id as PersonId, reasonCode: 'x.y', credentials: [], tls: [] },
    ];
    const departureReview = { ...review, limit: 'people', atLarge: 9, people } as const;
    const line = `Accepted publickey for alice from 192.0.2.7 port 1 ssh2: RSA-CERT SHA256:${'x'.repeat(43)} ID x (serial ${serial}) CA RSA ${broker.running.rooms.issuer.caFingerprint}`;
    const host = { hostId: 'h-1', hostName: 'web1', quarantine: 'edr', verdict: 'mismatch', entryIndex: 0n };
    const times = { createdMs: Date.now(), changedMs: Date.now() };
    const requested = {
      id: 'q-0123456789abcdef',
      ...host,
      ...times,
      state: 'waiting',
      approvals: [],
    } as const;
    await store.commit({ departureReview, responses: { requested: [requested] }, entries: [] });
    const { id: tokenId, token } = await client.newHostToken(tokenAsked);
    const [waiting, cloned] = [newProtocolHost(), newProtocolHost()];
    await waiting.enrol(broker, undefined, ['w.example.com']);
    await cloned.enrol(broker, token, ['h.example.com']);
    await cloned.sync(broker);
    cloned.step -= 1n;
    await cloned.sync(broker);
    const asked = async (method: string, path: string, body?: object): Promise<HttpAnswer> => {
      const [bare = path] = path.split('?');
      const verb = method.toUpperCase();
      const login = path === '/v1/login';
      const proof = login
        ? proofFor(broker, generateProofKey(), { method: verb, path: bare })
        : proofFor(broker, client.proofKey, { method: verb, path: bare, token: client.token });
      const headers = {
        dpop: proof,
        ...(login ? {} : { authorization: `DPoP ${client.token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      };
      return ask(broker, {
        method: verb,
        path,
        headers,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
    };
    const questions: [method: string, path: string, body?: object][] = [
      ['get', '/healthz'],
      ['get', '/readyz'],
      ['get', '/v1/ca'],
      ['get', '/v1/session'],
      ['post', '/v1/login', { login: 'boss', password: boss.password }],
      ['post', '/v1/ssh/sign', { publicKey: newPublicKey() }],
      ['post', '/v1/tls/issue', { profile: 'ibmi', newKey: { type: 'ecdsa-p256' }, names: ['as400'] }],
      ['post', '/v1/tls/issue', { profile: 'ibmi' }],
      ['post', '/v1/tls/renew', await newRenewal(client, new Date().toISOString())],
      ['get', '/v1/tls/certificates?limit=1'],
      ['get', '/v1/tls/authority'],
      ['get', '/v1/policy/explain'],
      ['get', '/v1/policy/explain?person=nobody-here'],
      ['get', '/v1/policy/explain?person=alice&profile=nosuch'],
      [
        'post',
        '/v1/admin/revoke',
        { target: { kind: 'serial', value: String(serial) }, reason: 'x', apply: false },
      ],
      [
        'post',
        '/v1/admin/revoke',
        { target: { kind: 'person', value: 'alice' }, reason: 'x', lock: true, apply: true },
      ],
      ['post', '/v1/admin/unlock', { person: 'alice', reason: 'x' }],
      ['post', '/v1/admin/lock', { person: 'alice', reason: 'x' }],
      ['get', '/v1/admin/issued?limit=1'],
      ['get', '/v1/admin/issued'],
      ['get', '/v1/admin/departures'],
      ['post', '/v1/admin/departures', { review: 'd-0123abcd', decision: 'approve', reason: 'x' }],
      ['post', '/v1/admin/departures', { review: 'd-ffffffff', decision: 'approve', reason: 'x' }],
      ['get', '/v1/admin/person?person=alice'],
      ['get', '/v1/admin/person?person=nobody'],
      ['get', '/v1/audit/search?limit=2'],
      ['get', '/v1/audit/search'],
      ['get', '/v1/audit/who-could?principal=alice&at=2026-11-23T00:00:00Z'],
      ['get', '/v1/audit/who-could?principal=alice'],
      ['get', '/v1/audit/sinks'],
      ['get', '/v1/audit/explain?serial=1'],
      ['get', '/v1/audit/explain?serial=x'],
      ['get', '/v1/audit/logins'],
      ['post', '/v1/audit/explain-line', { line, at: '2026-11-30T08:00:00Z' }],
      ['post', '/v1/audit/explain-line', { line: 'x', at: '2026-11-30T08:00:00Z' }],
      ['get', '/v1/admin/responses'],
      ['post', '/v1/admin/responses/decide', { id: requested.id, approve: false }],
      ['post', '/v1/admin/responses/decide', { id: 'q-1', approve: false }],
      ['post', '/v1/admin/hosts/tokens', { names: ['*.example.com'] }],
      ['get', '/v1/admin/hosts/tokens'],
      ['get', '/v1/admin/hosts'],
      ['get', `/v1/admin/hosts/one?host=${waiting.id}`],
      ['post', '/v1/admin/hosts/approve', { host: waiting.id, fingerprint: waiting.identity.fingerprint }],
      ['post', '/v1/admin/hosts/move', { host: waiting.id, group: 'other', reason: 'x' }],
      ['post', '/v1/admin/hosts/move', { host: waiting.id, group: 'nowhere', reason: 'x' }],
      ['post', '/v1/admin/hosts/resolve', { host: cloned.id, reason: 'x' }],
      ['post', '/v1/admin/hosts/retire', { host: cloned.id, reason: 'x', apply: true }],
      ['post', '/v1/admin/hosts/retire', { host: 'nobody', reason: 'x' }],
      ['post', '/v1/admin/hosts/tokens/drop', { id: tokenId }],
      ['post', '/v1/probes', { hosts: [{ host: 'prod', ports: [], findings: [] }] }],
      ['post', '/v1/admin/principals/release', { principal: 'alice', reason: 'x' }],
      ['post', '/v1/admin/principals/release', { principal: 'nobody', reason: 'x' }],
    ];
    const seen = new Set<string>();
    for (const [method, path, body] of questions) {
      const [bare = path] = path.split('?');
      const answer = await asked(method, path, body);
      const { responses } = operation(method, bare);
      const described = responses[String(answer.status)] ?? responses['default'];
      const [type = ''] = String(answer.headers['content-type']).split(';');
      const content = described?.content?.[type]?.schema;
      const schema = content?.['$ref'] === undefined ? content : document.components.schemas['Problem'];
      if (schema === undefined)
        throw new Error(`${method} ${path} answered ${answer.status} ${type}, undescribed`);
      const verdict = z
        .fromJSONSchema(schema as Parameters<typeof z.fromJSONSchema>[0])
        .safeParse(answer.json());
      expect([method, path, verdict.success, verdict.error?.issues]).toEqual([method, path, true, undefined]);
      if (answer.status < 300) seen.add(`${method} ${bare}`);
    }
    // Every route that answers with JSON was tried.
    const withJson = table
      .filter(({ answers }) => answers.json !== undefined)
      .map((r) => `${r.method} ${r.path}`);
    expect([...seen].sort()).toEqual(withJson.sort());
  });
});
