import { generateKeyPairSync, randomBytes, sign, X509Certificate } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Server } from 'node:https';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { JWK } from 'jose';
import { calculateJwkThumbprint, EmbeddedJWK, jwtVerify } from 'jose';
import { sha256, toRfc3339 } from '../../src/kernel/index.ts';
import {
  createCertificateEncoder,
  encodeKrl,
  encodeSignature,
  encodeSshsig,
  encodeSshsigToBeSigned,
  fingerprint,
  formatCertificate,
  formatPublicKey,
  parsePublicKey,
  publicKeyFromKeyObject,
  serialRuns,
} from '../../src/ssh/index.ts';
import { createCertificate } from '../../src/x509/index.ts';
import { answerFault, requestFault } from './broker-contract.ts';

/*
 * A MOCK of the broker's HTTP API, for what the real one cannot be made to do: lie, break off, send hostile text. Questions and
 * answers are held against the schemas that the real broker serves: `stop` throws when one of them does not fit, unless the
 * answer says that it lies. DPoP proofs are checked with jose, which shares no code with the client. What client and broker
 * do together is shown in test/flows with the real broker.
 */

export interface Recorded {
  readonly method: string;
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly headers: IncomingMessage['headers'];
  readonly body: unknown;
}

export interface StubAnswer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Text and bytes go out as they are, anything else as JSON. */
  readonly body?: unknown;
  /** Cut the connection after the body instead of ending it. */
  readonly breakOff?: boolean;
  /** Breaks the contract of the broker on purpose. */
  readonly lies?: boolean;
}

/** Of `POST /v1/ssh/sign`, as far as the stub looks at it. */
export interface SignBody {
  readonly publicKey: string;
  readonly principals?: readonly string[];
  readonly extensions?: readonly string[];
  readonly ttlSeconds?: number;
}

export type StubRoute = (asked: Recorded) => StubAnswer | Promise<StubAnswer>;

export interface BrokerStub {
  readonly url: string;
  readonly caPem: string;
  readonly requests: readonly Recorded[];
  /** What it takes as the only password of everybody. */
  readonly password: string;
  /** Life of the certificates to come, 8 h at first. */
  certificateSeconds: number;
  /** Answers one `METHOD /path` in another way, until `undefined` is given. */
  override(route: string, answer: StubRoute | undefined): void;
  /** The list as published, and a signature over it by the list key. */
  krl(serials: readonly bigint[], version: bigint): { readonly bytes: Buffer; readonly signature: string };
  /** What it answers to a request for a certificate, so that an override can answer to another one. */
  sign(asked: SignBody, login: string): StubAnswer;
  /** Tokens that it still takes. */
  readonly tokens: ReadonlySet<string>;
  count(route: string): number;
  /** @throws Error naming the questions and answers that broke the contract of the broker. */
  stop(): Promise<void>;
}

export interface StubOptions {
  readonly names?: readonly string[];
  readonly notAfterMs?: number;
  readonly port?: number;
}

export async function startBrokerStub(options: StubOptions = {}): Promise<BrokerStub> {
  const tls = makeTls(options);
  const ca = makeKey();
  const list = makeKey();
  const password = randomBytes(12).toString('base64url');
  const requests: Recorded[] = [];
  const faults: string[] = [];
  const overrides = new Map<string, StubRoute>();
  const sessions = new Map<string, { readonly thumbprint: string; readonly login: string }>();
  let nextSerial = 1n;

  const makeKrl: BrokerStub['krl'] = (serials, version) => {
    const certificates = [{ caKey: ca.public.blob, serials: serialRuns(serials), keyIds: [] }];
    const bytes = encodeKrl({
      version,
      generatedSeconds: 1_700_000_000n,
      comment: '',
      certificates,
      keys: [],
      sha256: [],
    });
    const raw = sign(null, encodeSshsigToBeSigned('sallyport-krl', bytes), list.private);
    return {
      bytes,
      signature: encodeSshsig(list.public, 'sallyport-krl', encodeSignature('ed25519', raw)),
    };
  };
  const signCertificate: BrokerStub['sign'] = (body, login) => {
    const encoder = createCertificateEncoder(ca.public, 'ed25519');
    const now = BigInt(Math.floor(Date.now() / 1000));
    const life = BigInt(body.ttlSeconds ?? stub.certificateSeconds);
    const serial = nextSerial++;
    const fields = {
      key: parsePublicKey(body.publicKey),
      nonce: randomBytes(32),
      serial,
      kind: 'user' as const,
      keyId: `key-${serial}`,
      principals: body.principals ?? [login],
      validAfter: now - 60n,
      validBefore: now + life,
      criticalOptions: new Map<string, string>(),
      extensions: new Map((body.extensions ?? ['permit-pty']).map((name) => [name, ''])),
    };
    const toBeSigned = encoder.encodeToBeSigned(fields);
    const certificate = encoder.finish(toBeSigned, sign(null, toBeSigned, ca.private));
    return {
      status: 201,
      body: {
        certificate: formatCertificate(certificate, fields.keyId),
        serial: String(serial),
        keyId: fields.keyId,
        profile: 'users',
        principals: fields.principals,
        validAfter: toRfc3339(Number(fields.validAfter) * 1000),
        validBefore: toRfc3339(Number(fields.validBefore) * 1000),
        criticalOptions: {},
        extensions: Object.fromEntries(fields.extensions),
        caFingerprint: fingerprint(ca.public.blob),
      },
    };
  };
  const firstKrl = makeKrl([], 1n);
  const expiresAt = (): string => toRfc3339(Date.now() + 12 * 3_600_000);
  const person = (login: string): object => ({
    id: `corp:${login}`,
    login,
    directory: 'corp',
    displayName: `The ${login}`,
  });

  const stub: BrokerStub = {
    url: '',
    caPem: tls.caPem,
    requests,
    password,
    certificateSeconds: 8 * 3600,
    override(route, answer) {
      if (answer === undefined) overrides.delete(route);
      else overrides.set(route, answer);
    },
    krl: makeKrl,
    sign: signCertificate,
    get tokens() {
      return new Set(sessions.keys());
    },
    count: (route) => requests.filter(({ method, path }) => `${method} ${path}` === route).length,
    async stop() {
      await stop(server, sockets);
      if (faults.length > 0) throw new Error(`the contract of the broker is broken:\n${faults.join('\n')}`);
    },
  };

  const routes: Readonly<Record<string, (asked: Recorded, login: string) => StubAnswer>> = {
    'GET /v1/session': (_asked, login) => ({
      body: {
        person: person(login),
        roles: ['user'],
        createdAt: toRfc3339(Date.now()),
        expiresAt: expiresAt(),
      },
    }),
    'DELETE /v1/session': (asked) => {
      sessions.delete(tokenOf(asked) ?? '');
      return { status: 204 };
    },
    'POST /v1/ssh/sign': (asked, login) => signCertificate(asked.body as SignBody, login),
  };
  const open: Readonly<Record<string, () => StubAnswer>> = {
    'GET /v1/ca': () => ({
      body: {
        sshUserCa: { ...named(ca), algorithm: 'ed25519' },
        sshHostCa: { ...named(list), algorithm: 'ed25519' },
        listKey: named(list),
        log: {
          origin: 'broker.example/log',
          verifierKey: 'broker.example/log+0123abcd+AQIDBA==',
          quorum: null,
        },
      },
    }),
    'GET /v1/krl': () => ({ body: firstKrl.bytes }),
    'GET /v1/krl.sig': () => ({ body: firstKrl.signature }),
    'GET /v1/audit/checkpoint': () => ({
      body: 'broker.example/log\n3\nAAAA\n\n— broker.example/log BBBB\n',
    }),
  };

  /** The answer, after both sides were held against the contract. */
  async function held(asked: Recorded): Promise<StubAnswer> {
    const given = await answer(asked);
    const fault = requestFault(asked) ?? (given.lies === true ? undefined : answerFault(asked, given));
    if (fault !== undefined) faults.push(fault);
    return given;
  }

  async function answer(asked: Recorded): Promise<StubAnswer> {
    const route = `${asked.method} ${asked.path}`;
    const other = overrides.get(route);
    if (other !== undefined) return other(asked);
    const publicAnswer = open[route];
    if (publicAnswer !== undefined) return publicAnswer();
    const proof = await readProof(asked, stub.url);
    if (proof === undefined) return problem(401, 'identity.proof_invalid', 'The proof is not good.');
    if (route === 'POST /v1/login') return logIn(asked, proof.thumbprint);
    const session = sessions.get(tokenOf(asked) ?? '');
    if (session === undefined || session.thumbprint !== proof.thumbprint)
      return problem(401, 'identity.session_unknown', 'There is no such session.');
    return routes[route]?.(asked, session.login) ?? problem(404, 'http.not_found', 'No such thing.');
  }

  function logIn(asked: Recorded, thumbprint: string): StubAnswer {
    const body = asked.body as { login: string; password: string };
    if (body.password !== password)
      return problem(401, 'identity.login_refused', 'User name or password is wrong.');
    const token = randomBytes(32).toString('base64url');
    sessions.set(token, { thumbprint, login: body.login });
    return {
      status: 201,
      body: { token, expiresAt: expiresAt(), person: person(body.login), roles: ['user'] },
    };
  }

  const sockets = new Set<Duplex>();
  const server = createServer({ key: tls.keyPem, cert: tls.certificatePem }, (request, response) => {
    void record(request)
      .then((asked) => {
        requests.push(asked);
        return held(asked);
      })
      .then((given) => write(response, given));
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => {
    server.listen(options.port ?? 0, '127.0.0.1', resolve);
  });
  return Object.assign(stub, { url: `https://127.0.0.1:${(server.address() as AddressInfo).port}` });
}

/** A problem document as the broker writes it. */
export function problem(status: number, code: string, detail: string, more: object = {}): StubAnswer {
  return {
    status,
    headers: { 'content-type': 'application/problem+json' },
    body: { type: 'about:blank', title: 'Refused', status, code, detail, requestId: 'req-1', ...more },
  };
}

function makeKey(): {
  private: ReturnType<typeof generateKeyPairSync>['privateKey'] & object;
  public: ReturnType<typeof publicKeyFromKeyObject>;
} {
  const pair = generateKeyPairSync('ed25519');
  return { private: pair.privateKey, public: publicKeyFromKeyObject(pair.publicKey) };
}

function named(key: ReturnType<typeof makeKey>): object {
  return { publicKey: formatPublicKey(key.public), fingerprint: fingerprint(key.public.blob) };
}

function makeTls(options: StubOptions): { caPem: string; certificatePem: string; keyPem: string } {
  const ca = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const server = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const notBeforeMs = Date.now() - 86_400_000 * 2;
  const notAfterMs = options.notAfterMs ?? Date.now() + 86_400_000;
  const random = (sizeBytes: number): Buffer => randomBytes(sizeBytes);
  const caPem = createCertificate(
    {
      commonName: 'Stub CA',
      publicKey: ca.publicKey,
      notBeforeMs,
      notAfterMs: Date.now() + 86_400_000,
      purpose: { kind: 'ca' },
    },
    ca.privateKey,
    { random },
  );
  const certificatePem = createCertificate(
    {
      commonName: 'stub',
      publicKey: server.publicKey,
      notBeforeMs,
      notAfterMs,
      purpose: { kind: 'tls-server', names: options.names ?? ['127.0.0.1', 'localhost'] },
    },
    ca.privateKey,
    { issuer: new X509Certificate(caPem), random },
  );
  const keyPem = server.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
  return { caPem, certificatePem, keyPem };
}

async function record(request: IncomingMessage): Promise<Recorded> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString('utf8');
  const url = new URL(request.url ?? '/', 'https://stub');
  return {
    method: request.method ?? '',
    path: url.pathname,
    query: Object.fromEntries(url.searchParams),
    headers: request.headers,
    body: text === '' ? undefined : (JSON.parse(text) as unknown),
  };
}

function tokenOf(asked: Recorded): string | undefined {
  return /^DPoP (\S+)$/.exec(asked.headers.authorization ?? '')?.[1];
}

/** RFC 9449 section 4.3, by jose. */
async function readProof(asked: Recorded, origin: string): Promise<{ thumbprint: string } | undefined> {
  const jwt = asked.headers['dpop'];
  if (typeof jwt !== 'string') return undefined;
  try {
    const { payload, protectedHeader } = await jwtVerify(jwt, EmbeddedJWK, {
      typ: 'dpop+jwt',
      algorithms: ['ES256'],
      maxTokenAge: 60,
      requiredClaims: ['jti', 'iat', 'htm', 'htu'],
    });
    const token = tokenOf(asked);
    const ath = token === undefined ? undefined : sha256(token).toString('base64url');
    const fits =
      payload['htm'] === asked.method &&
      payload['htu'] === `${origin}${asked.path}` &&
      payload['ath'] === ath;
    return fits ? { thumbprint: await calculateJwkThumbprint(protectedHeader.jwk as JWK) } : undefined;
  } catch {
    // jose throws for every proof that is not good.
    return undefined;
  }
}

function write(response: ServerResponse, { status = 200, headers = {}, body, breakOff }: StubAnswer): void {
  const raw = typeof body === 'string' || Buffer.isBuffer(body);
  const bytes = body === undefined ? Buffer.alloc(0) : Buffer.from(raw ? body : JSON.stringify(body));
  response.writeHead(status, {
    'content-type': raw ? 'application/octet-stream' : 'application/json',
    ...headers,
  });
  if (breakOff === true) response.write(bytes, () => response.destroy());
  else response.end(bytes);
}

async function stop(server: Server, sockets: ReadonlySet<Duplex>): Promise<void> {
  const closed = new Promise((resolve) => {
    server.close(resolve);
  });
  for (const socket of sockets) socket.destroy();
  await closed;
}
