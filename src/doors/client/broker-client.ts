import { setTimeout as delay } from 'node:timers/promises';
import type { Clock, RandomBytes } from '../../kernel/index.ts';
import { CodedError, isCodedError } from '../../kernel/index.ts';
import type { Answer } from './answer.ts';
import { badAnswer, parseAnswer } from './answer.ts';
import type * as contract from './contract.ts';
import * as read from './contract.ts';
import { readDecided, readDepartures, readPersonPage } from './departures.ts';
import type { DecidedAnswer, DeparturesAnswer, PersonPage } from './departures.ts';
import { readProblem } from './failures.ts';
import { hostCalls, type HostCalls } from './host-calls.ts';
import { loginCalls, type LoginCalls } from './login-calls.ts';
import { probeCalls, type ProbeCalls } from './probe-calls.ts';
import type { ProofKey } from './proof.ts';
import { signProof } from './proof.ts';
import { createTlsClient, type TlsClient } from './tls-client.ts';
import type { HttpAnswer, Timeouts, Transport } from './transport.ts';
import { bodyChunks, collect, createTransport } from './transport.ts';

/** What proves a session: its token, and the key that the token is bound to. */
export interface SessionProof {
  readonly token: string;
  readonly proofKey: ProofKey;
}

export interface BrokerClientOptions {
  /** `https://host:port`, as `parseBrokerUrl` returns it. */
  readonly origin: string;
  readonly ca: string | undefined;
  readonly clock: Clock;
  readonly random: RandomBytes;
  /** E.g. `sallyport/0.1.0`. */
  readonly userAgent: string;
  readonly session?: SessionProof;
  /** 5 s to connect and 30 s without a byte, unless said otherwise. */
  readonly timeouts?: Partial<Timeouts>;
}

/** Filters of a question; undefined ones are left out. */
export type Query = Readonly<Record<string, string | undefined>>;

/**
 * The broker's API, typed. Every method throws the broker's refusal with the broker's own code; when the broker cannot be
 * talked to, an error for which `isUnreachable` is true; `client.bad_answer` for an answer that breaks the contract.
 */
export interface BrokerClient extends HostCalls, LoginCalls, ProbeCalls, TlsClient {
  login(
    asked: { readonly login: string; readonly password: string; readonly directory?: string },
    proofKey: ProofKey,
  ): Promise<contract.LoginAnswer>;
  session(): Promise<contract.SessionAnswer>;
  logout(): Promise<void>;
  /** @param publicKey one line. */
  sign(publicKey: string, asked: contract.SignRequest): Promise<contract.SignAnswer>;
  authority(): Promise<contract.AuthorityAnswer>;
  /** The revocation list as published, with its armoured SSHSIG. */
  krl(): Promise<Buffer>;
  krlSignature(): Promise<string>;
  explain(query: Query): Promise<contract.Explanation & { readonly raw: unknown }>;
  revoke(asked: {
    readonly target: contract.RevocationTarget;
    readonly reason: string;
    readonly reasonCode?: contract.RevocationCode | undefined;
    readonly lock: boolean;
    readonly apply: boolean;
  }): Promise<contract.RevokeAnswer>;
  setLock(
    action: 'lock' | 'unlock',
    asked: { readonly person: string; readonly reason: string },
  ): Promise<contract.LockAnswer>;
  issued(query: Query): Promise<contract.Page<contract.Credential>>;
  departures(): Promise<DeparturesAnswer>;
  decideDepartures(asked: {
    readonly review: string;
    readonly decision: 'approve' | 'reject';
    readonly reason: string;
  }): Promise<DecidedAnswer>;
  person(person: string): Promise<PersonPage>;
  releasePrincipal(asked: {
    readonly principal: string;
    readonly reason: string;
  }): Promise<{ readonly principal: string; readonly ownerId: string }>;
  searchLog(query: Query): Promise<contract.Page<contract.LogEntry>>;
  whoCould(query: Query): Promise<contract.Page<contract.Credential>>;
  explainCertificate(serial: string): Promise<contract.ExplainedCertificate>;
  /** The receipt, `c2sp.org/tlog-proof@v1`. */
  proof(serial: string): Promise<string>;
  /** The bundle piece by piece; it throws where the connection breaks off. */
  exportLog(query: Query): Promise<AsyncGenerator<Buffer>>;
  checkpoint(): Promise<string>;
  sinks(): Promise<readonly contract.SinkAnswer[]>;
  close(): void;
}

const kib = 1024;
const maxJsonBytes = 64 * kib * kib;
const maxKrlBytes = 64 * kib * kib;

/** A client of one broker. It connects with the first question, keeps connections alive, and must be closed. */
export function createBrokerClient(options: BrokerClientOptions): BrokerClient {
  const transport = createTransport({
    origin: options.origin,
    ca: options.ca,
    userAgent: options.userAgent,
    timeouts: { connectMs: 5000, idleMs: 30_000, ...options.timeouts },
  });
  const call = caller(options, transport);
  const json = async (asked: Asked, what: string): Promise<Answer> => {
    const body = await collect(await call(asked), options.origin, maxJsonBytes);
    return parseAnswer(body.toString('utf8'), what);
  };
  const bytes = async (path: string, maxBytes: number): Promise<Buffer> =>
    collect(await call({ method: 'GET', path, open: true }), options.origin, maxBytes);
  return {
    ...hostCalls(json),
    ...loginCalls(json),
    ...probeCalls(json),
    ...createTlsClient(json),
    login: async (asked, proofKey) =>
      read.readLogin(await json({ method: 'POST', path: '/v1/login', body: asked, proofKey }, 'login')),
    session: async () => read.readSession(await json({ method: 'GET', path: '/v1/session' }, 'session')),
    logout: async () => {
      await collect(await call({ method: 'DELETE', path: '/v1/session' }), options.origin, kib);
    },
    sign: async (publicKey, asked) =>
      read.readSigned(
        await json({ method: 'POST', path: '/v1/ssh/sign', body: { publicKey, ...asked } }, 'certificate'),
      ),
    authority: async () =>
      read.readAuthority(await json({ method: 'GET', path: '/v1/ca', open: true }, 'authority')),
    krl: () => bytes('/v1/krl', maxKrlBytes),
    krlSignature: async () => (await bytes('/v1/krl.sig', 16 * kib)).toString('latin1'),
    explain: async (query) => {
      const answer = await json({ method: 'GET', path: '/v1/policy/explain', query }, 'explanation');
      return { ...read.readExplanation(answer), raw: answer.raw };
    },
    revoke: async (asked) =>
      read.readRevoked(await json({ method: 'POST', path: '/v1/admin/revoke', body: asked }, 'revocation')),
    setLock: async (action, asked) =>
      read.readLock(await json({ method: 'POST', path: `/v1/admin/${action}`, body: asked }, 'lock')),
    issued: async (query) => {
      const answer = await json({ method: 'GET', path: '/v1/admin/issued', query }, 'list of credentials');
      return page(answer, 'credentials', read.readCredential);
    },
    departures: async () =>
      readDepartures(await json({ method: 'GET', path: '/v1/admin/departures' }, 'list of departures')),
    decideDepartures: async (asked) =>
      readDecided(await json({ method: 'POST', path: '/v1/admin/departures', body: asked }, 'decision')),
    person: async (person) =>
      readPersonPage(await json({ method: 'GET', path: '/v1/admin/person', query: { person } }, 'person')),
    releasePrincipal: async (asked) => {
      const path = '/v1/admin/principals/release';
      const answer = await json({ method: 'POST', path, body: asked }, 'released principal');
      return {
        principal: answer.text('principal', 200),
        ownerId: answer.object('owner').text('id', 200),
      };
    },
    searchLog: async (query) => {
      const answer = await json({ method: 'GET', path: '/v1/audit/search', query }, 'list of entries');
      return page(answer, 'entries', read.readLogEntry);
    },
    whoCould: async (query) => {
      const answer = await json({ method: 'GET', path: '/v1/audit/who-could', query }, 'list of credentials');
      return page(answer, 'credentials', read.readCredential);
    },
    explainCertificate: async (serial) =>
      read.readExplainedCertificate(
        await json({ method: 'GET', path: '/v1/audit/explain', query: { serial } }, 'explanation'),
      ),
    proof: async (serial) => {
      const answer = await call({ method: 'GET', path: '/v1/audit/proof', query: { serial } });
      return (await collect(answer, options.origin, 512 * kib)).toString('utf8');
    },
    exportLog: async (query) =>
      bodyChunks(await call({ method: 'GET', path: '/v1/audit/export', query }), options.origin),
    checkpoint: async () => (await bytes('/v1/audit/checkpoint', 64 * kib)).toString('utf8'),
    sinks: async () => {
      const answer = await json({ method: 'GET', path: '/v1/audit/sinks' }, 'list of sinks');
      return answer.objects('sinks', 100).map(read.readSink);
    },
    close: () => transport.close(),
  };
}

function page<Item>(answer: Answer, name: string, readItem: (item: Answer) => Item): contract.Page<Item> {
  return { items: answer.objects(name).map(readItem), next: answer.optionalText('next', 1000) };
}

/** One question of this client. */
/** One question. */
export interface Asked {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  readonly query?: Query;
  readonly body?: unknown;
  /** A public address: no session is sent. */
  readonly open?: boolean;
  /** At login, before there is a session. */
  readonly proofKey?: ProofKey;
}

/** A broker or its database that has just started takes only proofs that were made since, to the second. */
const freshProofMs = 1100;

/**
 * Sends one question with its proof, and turns every answer that is not a success into an error. A proof that is from before the
 * broker’s memory was refused before anything was done: a fresh one is sent once.
 */
function caller(options: BrokerClientOptions, transport: Transport): (asked: Asked) => Promise<HttpAnswer> {
  const ask = asker(options, transport);
  return (asked) =>
    ask(asked).catch(async (error: unknown) => {
      if (!isCodedError(error, 'identity.dpop_forgotten')) throw error;
      await delay(freshProofMs);
      return ask(asked);
    });
}

function asker(options: BrokerClientOptions, transport: Transport): (asked: Asked) => Promise<HttpAnswer> {
  return async (asked) => {
    const url = new URL(asked.path, options.origin);
    for (const [name, value] of Object.entries(asked.query ?? {}))
      if (value !== undefined) url.searchParams.set(name, value);
    const headers: Record<string, string> = {
      accept: 'application/json, application/problem+json, */*;q=0.1',
      ...(asked.body === undefined ? {} : { 'content-type': 'application/json' }),
      ...authorisation(options, asked, url),
    };
    const body = asked.body === undefined ? {} : { body: JSON.stringify(asked.body) };
    const answer = await transport.send({ method: asked.method, url, headers, ...body });
    if (answer.status >= 200 && answer.status < 300) return answer;
    const text = (await collect(answer, options.origin, 256 * kib)).toString('utf8');
    if (answer.status >= 300 && answer.status < 400) throw badAnswer('it points to another address');
    throw readProblem(answer.status, text, answer.headers['retry-after']);
  };
}

function authorisation(options: BrokerClientOptions, asked: Asked, url: URL): Record<string, string> {
  const proof = { method: asked.method, url, nowMs: options.clock.nowMs(), random: options.random };
  if (asked.proofKey !== undefined) return { dpop: signProof(asked.proofKey, proof) };
  if (asked.open === true) return {};
  const session = options.session;
  if (session === undefined)
    throw new CodedError('client.not_logged_in', 'You are not logged in.', {
      next: 'Run `sallyport login`.',
    });
  return {
    authorization: `DPoP ${session.token}`,
    dpop: signProof(session.proofKey, { ...proof, token: session.token }),
  };
}
