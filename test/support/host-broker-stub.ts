import { generateKeyPairSync, randomBytes, sign, X509Certificate, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { join } from 'node:path';
import { sha256 } from '../../src/kernel/index.ts';
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
  parseSshsig,
  publicKeyFromKeyObject,
  serialRuns,
  verifySshsig,
  type PublicKey,
} from '../../src/ssh/index.ts';
import { createCertificate } from '../../src/x509/index.ts';

/*
 * A MOCK of the broker as a host sees it, for what the real one cannot be made to do: lie, send an old bundle, break off, or
 * answer a thousand times in a minute. Signatures of the host are checked with src/ssh. What host and broker do together is
 * shown in test/flows with the real broker.
 */

const scriptFile = join(import.meta.dirname, '..', '..', 'host', 'sallyport-host.sh');

export interface KeyPair {
  readonly publicKey: PublicKey;
  readonly privateKey: KeyObject;
}

export function newKeyPair(): KeyPair {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  return { publicKey: publicKeyFromKeyObject(publicKey), privateKey };
}

/** What a bundle says; the rest is the stub's. */
export interface BundleWish {
  readonly version: number;
  readonly revoked: readonly bigint[];
  readonly principals: readonly (readonly [account: string, name: string])[];
  readonly endSessions: 'off' | 'report' | 'on';
  readonly whenStale: 'warn' | 'close';
  readonly freshSeconds: number;
}

export interface HostBrokerStub {
  readonly url: string;
  readonly caPem: string;
  readonly userCa: KeyPair;
  readonly hostCa: KeyPair;
  readonly bundleKey: KeyPair;
  /** Documents that came in, with a good signature, oldest first. */
  readonly documents: readonly string[];
  /** Items of all reports, without the repeated ones. */
  readonly reported: readonly string[];
  readonly token: string;
  /** Changes what the next bundle says, gives it a higher version, and wakes who waits. */
  publish(change?: Partial<BundleWish>): void;
  /** Resolves when a host waits for news. */
  waited(): Promise<void>;
  /** The bundle for a host, as it would go out; with another key, another host or another wish when asked. */
  bundleFor(host: string, change?: Partial<BundleWish>, key?: KeyPair): string;
  /** Answers `/v1/hosts/…` in another way, until `undefined` is given. */
  override(route: string, answer: ((document: string) => { status: number; body: string }) | undefined): void;
  /** The script as it is served. */
  script(): string;
  stop(): Promise<void>;
}

interface Waiting {
  readonly have: number;
  readonly host: string;
  answer(): void;
}

export async function startHostBrokerStub(): Promise<HostBrokerStub> {
  const [userCa, hostCa, bundleKey] = [newKeyPair(), newKeyPair(), newKeyPair()];
  const tls = makeTls();
  const token = `tok-${randomBytes(12).toString('hex')}`;
  const documents: string[] = [];
  const reported = new Map<string, string>();
  const hosts = new Map<string, string>();
  const waiting = new Set<Waiting>();
  const listeners: (() => void)[] = [];
  const overrides = new Map<string, (document: string) => { status: number; body: string }>();
  let url = '';
  let wish: BundleWish = {
    version: 1,
    revoked: [],
    principals: [],
    endSessions: 'off',
    whenStale: 'warn',
    freshSeconds: 3600,
  };

  const bundleFor: HostBrokerStub['bundleFor'] = (host, change = {}, key = bundleKey) =>
    signed(key, bundleDocument({ ...wish, ...change }, { url, host, userCa, hostCa }));

  function certify(line: string): string {
    const encoder = createCertificateEncoder(hostCa.publicKey, 'ed25519');
    const now = BigInt(Math.floor(Date.now() / 1000));
    const toBeSigned = encoder.encodeToBeSigned({
      key: parsePublicKey(line),
      nonce: randomBytes(32),
      serial: 1n,
      kind: 'host',
      keyId: 'host',
      principals: ['localhost', '127.0.0.1'],
      validAfter: now - 60n,
      validBefore: now + 86_400n,
      criticalOptions: new Map(),
      extensions: new Map(),
    });
    return formatCertificate(encoder.finish(toBeSigned, sign(null, toBeSigned, hostCa.privateKey)));
  }

  function answerTo(action: string, document: string, response: ServerResponse): void {
    const words = (word: string): string[] => wordsOf(document, word);
    const reply = (status: number, body = ''): void => {
      if (!response.writableEnded) response.writeHead(status, { 'content-type': 'text/plain' }).end(body);
    };
    const certificates = (): string =>
      words('hostkey')
        .map((line) => `certificate ${certify(line)}\n`)
        .join('');
    const given = overrides.get(action)?.(document);
    if (given !== undefined) return reply(given.status, given.body);
    switch (action) {
      case 'enrol': {
        if (words('token')[0] !== token)
          return reply(403, 'error hosts.bad_token\ndetail The token is not good.\nnext Ask for another.\n');
        const [identity = ''] = words('identity');
        const host = `h-${sha256(identity)
          .toString('hex')
          .replaceAll(/[0189]/g, 'z')
          .slice(0, 26)}`;
        hosts.set(host, identity);
        return reply(
          200,
          `sallyport-host-answer 1\nstatus enrolled\nhost ${host}\ngroup web\nbundle-key ${formatPublicKey(bundleKey.publicKey)}\n` +
            `fingerprint ${fingerprint(parsePublicKey(identity).blob)}\n${certificates()}`,
        );
      }
      case 'renew':
        return reply(200, `sallyport-host-answer 1\n${certificates()}`);
      case 'report': {
        const boot = words('boot')[0];
        const items = document.split('\n').filter((line) => /^(?:login|session|alert|gap) /.test(line));
        for (const item of items) reported.set(`${boot} ${item.split(' ')[1]}`, item);
        const last = Math.max(0, ...items.map((item) => Number(item.split(' ')[1])));
        return reply(200, `sallyport-host-answer 1\nnext ${last + 1}\n`);
      }
      default: {
        const host = words('host')[0] ?? '';
        const have = Number(words('have')[0]);
        if (have < wish.version) return reply(200, bundleFor(host));
        const waitMs = Number(words('wait')[0]) * 1000;
        const entry = { have, host, answer: () => reply(200, bundleFor(host)) };
        const timer = setTimeout(() => {
          waiting.delete(entry);
          reply(204);
        }, waitMs);
        waiting.add(entry);
        for (const hear of listeners.splice(0)) hear();
        response.on('close', () => {
          clearTimeout(timer);
          waiting.delete(entry);
        });
      }
    }
  }

  const script = (): string =>
    readFileSync(scriptFile, 'utf8')
      .replace("broker_url=''", () => `broker_url='${url}'`)
      .replace("broker_bundle_key=''", () => `broker_bundle_key='${formatPublicKey(bundleKey.publicKey)}'`)
      .replace("broker_ca_pem=''", () => `broker_ca_pem='${tls.caPem.trim()}'`);

  const sockets = new Set<Socket>();
  const server = createServer({ key: tls.keyPem, cert: tls.certificatePem }, (request, response) => {
    const action = (request.url ?? '').replace('/v1/hosts/', '');
    if (action === 'enrol.sh') {
      response.end(script());
      return;
    }
    void readBody(request).then((body) => {
      const document = checkedDocument(body, (host) => hosts.get(host));
      if (document === undefined) {
        response.writeHead(400).end('error hosts.bad_signature\ndetail A signature is not good.\n');
        return;
      }
      documents.push(document);
      answerTo(action, document, response);
    });
  });
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    caPem: tls.caPem,
    userCa,
    hostCa,
    bundleKey,
    documents,
    get reported() {
      return [...reported.values()];
    },
    token,
    publish(change = {}) {
      wish = { ...wish, ...change, version: change.version ?? wish.version + 1 };
      for (const entry of waiting) entry.answer();
    },
    waited: () =>
      new Promise((resolve) => {
        if (waiting.size > 0) resolve();
        else listeners.push(resolve);
      }),
    bundleFor,
    override(route, answer) {
      if (answer === undefined) overrides.delete(route);
      else overrides.set(route, answer);
    },
    script,
    async stop() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

interface Estate {
  readonly url: string;
  readonly host: string;
  readonly userCa: KeyPair;
  readonly hostCa: KeyPair;
}

function bundleDocument(wish: BundleWish, estate: Estate): string {
  const krl = encodeKrl({
    version: BigInt(wish.version),
    generatedSeconds: 1_700_000_000n,
    comment: '',
    certificates: [{ caKey: estate.userCa.publicKey.blob, serials: serialRuns(wish.revoked), keyIds: [] }],
    keys: [],
    sha256: [],
  });
  const at = (seconds: number): string =>
    `${new Date(Date.now() + seconds * 1000).toISOString().slice(0, 19)}Z`;
  return [
    'sallyport-bundle 1',
    `broker ${estate.url}`,
    `host ${estate.host}`,
    'group web',
    `version ${wish.version}`,
    `issued ${at(0)}`,
    `fresh-until ${at(wish.freshSeconds)}`,
    `when-stale ${wish.whenStale}`,
    `end-sessions ${wish.endSessions}`,
    `userca ${formatPublicKey(estate.userCa.publicKey)}`,
    `hostca ${formatPublicKey(estate.hostCa.publicKey)}`,
    ...wish.principals.map(([account, name]) => `principal ${account} ${name}`),
    `krl ${wish.version} ${krl.length} ${sha256(krl).toString('hex')}`,
    ...(krl.toString('base64').match(/.{1,76}/g) ?? []),
    'end-krl',
    'end',
    '',
  ].join('\n');
}

/** The document and the signature block of a key behind it. */
export function signed(key: KeyPair, document: string, namespace = 'trust-bundle@sallyport'): string {
  const raw = sign(null, encodeSshsigToBeSigned(namespace, Buffer.from(document)), key.privateKey);
  return document + encodeSshsig(key.publicKey, namespace, encodeSignature('ed25519', raw));
}

const wordsOf = (document: string, word: string): string[] =>
  document
    .split('\n')
    .filter((line) => line.startsWith(`${word} `))
    .map((line) => line.slice(word.length + 1));

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('latin1');
}

/** The document, when the identity and every host key that it names have signed it, in that order. */
function checkedDocument(body: string, identityOf: (host: string) => string | undefined): string | undefined {
  const begin = body.indexOf('-----BEGIN SSH SIGNATURE-----');
  const document = body.slice(0, begin);
  const blocks = body.slice(begin).split(/(?<=-----END SSH SIGNATURE-----\n)/);
  const identity = wordsOf(document, 'identity')[0] ?? identityOf(wordsOf(document, 'host')[0] ?? '');
  if (identity === undefined) return undefined;
  const keys = [identity, ...wordsOf(document, 'hostkey')].map((line) => parsePublicKey(line));
  const good =
    blocks.length === keys.length &&
    keys.every((key, index) => {
      const block = blocks[index] ?? '';
      parseSshsig(block);
      const expected = { namespace: 'host-request@sallyport', trustedKeys: [key] };
      return verifySshsig(block, Buffer.from(document, 'latin1'), expected).outcome === 'valid';
    });
  return good ? document : undefined;
}

function makeTls(): { caPem: string; certificatePem: string; keyPem: string } {
  const ca = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const server = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const [notBeforeMs, notAfterMs] = [Date.now() - 3_600_000, Date.now() + 86_400_000];
  const random = (sizeBytes: number): Buffer => randomBytes(sizeBytes);
  const caPem = createCertificate(
    { commonName: 'Stub CA', publicKey: ca.publicKey, notBeforeMs, notAfterMs, purpose: { kind: 'ca' } },
    ca.privateKey,
    { random },
  );
  const certificatePem = createCertificate(
    {
      commonName: 'stub',
      publicKey: server.publicKey,
      notBeforeMs,
      notAfterMs,
      purpose: { kind: 'tls-server', names: ['127.0.0.1', 'localhost'] },
    },
    ca.privateKey,
    { issuer: new X509Certificate(caPem), random },
  );
  return {
    caPem,
    certificatePem,
    keyPem: server.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
  };
}
