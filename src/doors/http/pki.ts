import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { answerOcsp, authoritiesOf, crlAsLdif, rootCrlAsLdif, type TlsRoom } from '../../broker/index.ts';
import { sha256 } from '../../kernel/index.ts';

interface Served {
  readonly contentType: string;
  readonly bytes: Buffer;
  /** Until when it may be kept; undefined: as long as nothing says otherwise. */
  readonly untilMs?: number;
  readonly fromMs?: number;
}

const longestKeptSeconds = 3600;

/**
 * What the certificates themselves point to: lists, issuers. Public, and the same with and without TLS: everything in it is signed.
 * @returns undefined when there is nothing at the path
 */
export function findPki(tls: TlsRoom, path: string): Served | undefined {
  const [, name, ending] = /^\/pki\/([a-z0-9-]{1,40})\.(crl|cer|pem|der|ldif)$/.exec(path) ?? [];
  if (name === undefined || ending === undefined) return undefined;
  if (name === 'root') return servedRoot(tls, ending);
  const isDelta = name.endsWith('-delta');
  const bare = isDelta ? name.slice(0, -'-delta'.length) : name;
  const authority = authoritiesOf(tls).find(({ issuer }) => issuer.name === bare);
  if (authority === undefined) return undefined;
  if (ending === 'cer') return isDelta ? undefined : certificate(authority.issuer.certificate);
  const current = authority.crl.current;
  if (current === undefined) return undefined;
  if (ending === 'ldif') {
    if (isDelta) return undefined;
    return ldif(crlAsLdif(authority.issuer, current.full, tls.ldapBase));
  }
  const times = { fromMs: current.publishedMs, untilMs: current.nextUpdateMs };
  return list(isDelta ? current.delta : current.full, ending, times);
}

function servedRoot(tls: TlsRoom, ending: string): Served | undefined {
  const { root, rootCrl } = tls;
  if (ending === 'ldif') return ldif(rootCrlAsLdif(tls));
  return ending === 'cer' ? certificate(root) : list(rootCrl, ending, {});
}

const certificate = (bytes: Buffer): Served => ({ contentType: 'application/pkix-cert', bytes });

const ldif = (text: string): Served => ({
  contentType: 'text/plain; charset=utf-8',
  bytes: Buffer.from(text),
});

/** RFC 5280 section 4.2.1.13: `.crl` over HTTP is DER. */
function list(der: Buffer, ending: string, times: Pick<Served, 'fromMs' | 'untilMs'>): Served | undefined {
  if (ending === 'crl' || ending === 'der')
    return { contentType: 'application/pkix-crl', bytes: der, ...times };
  if (ending !== 'pem') return undefined;
  const lines = der.toString('base64').replaceAll(/.{64}(?!$)/g, '$&\n');
  const pem = `-----BEGIN X509 CRL-----\n${lines}\n-----END X509 CRL-----\n`;
  return { contentType: 'application/x-pem-file', bytes: Buffer.from(pem), ...times };
}

/** Answers what `findPki` finds; false when there is nothing at the path, and nothing was written. */
export async function answerPki(
  tls: TlsRoom,
  request: IncomingMessage,
  response: ServerResponse,
  nowMs: number,
): Promise<boolean> {
  const path = (request.url ?? '').split('?', 1)[0] ?? '';
  if (path === '/ocsp' || path.startsWith('/ocsp/')) return sendOcsp(tls, request, response, path);
  if (request.method !== 'GET' && request.method !== 'HEAD') return false;
  const found = findPki(tls, path);
  if (found === undefined) return false;
  const { bytes, contentType, fromMs, untilMs } = found;
  const etag = `"${sha256(bytes).toString('hex').slice(0, 32)}"`;
  // Short, although the list is good for longer: a revocation must not wait for a cache that could have asked.
  const maxAge =
    untilMs === undefined
      ? longestKeptSeconds
      : Math.max(0, Math.min(60, Math.floor((untilMs - nowMs) / 1000)));
  response.setHeader('ETag', etag);
  response.setHeader('Cache-Control', `public, max-age=${maxAge}, must-revalidate`);
  if (fromMs !== undefined) response.setHeader('Last-Modified', new Date(fromMs).toUTCString());
  if (
    (request.headers['if-none-match'] ?? '').split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag)
  ) {
    response.writeHead(304).end();
    return true;
  }
  response.writeHead(200, { 'Content-Type': contentType, 'Content-Length': bytes.length });
  response.end(request.method === 'HEAD' ? undefined : bytes);
  return true;
}

const maxOcspBytes = 4096;

/** RFC 6960 appendix A.1: POST with the request as it is, or GET with it in base64 behind the address. */
async function sendOcsp(
  tls: TlsRoom,
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
): Promise<boolean> {
  const isPost = request.method === 'POST';
  if (!isPost && request.method !== 'GET' && request.method !== 'HEAD') return false;
  const asked = isPost ? await readBytes(request) : decodePath(path);
  const responders = authoritiesOf(tls).map(({ ocsp }) => ocsp);
  const { bytes, untilMs } = await answerOcsp(responders, asked);
  // RFC 5019 section 6.2, but short: a revocation must not wait for a cache that could have asked.
  response.setHeader(
    'Cache-Control',
    isPost || untilMs === undefined ? 'no-store' : 'public, max-age=60, must-revalidate',
  );
  response.writeHead(200, { 'Content-Type': 'application/ocsp-response', 'Content-Length': bytes.length });
  response.end(request.method === 'HEAD' ? undefined : bytes);
  return true;
}

function decodePath(path: string): Buffer {
  try {
    return Buffer.from(decodeURIComponent(path.slice('/ocsp/'.length)), 'base64');
  } catch {
    // A percent sign that begins no octet: then it is no request, and the answer says so.
    return Buffer.alloc(0);
  }
}

/** The body, or nothing of it when it is longer than any request need be. */
async function readBytes(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  let sizeBytes = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    sizeBytes += part.length;
    if (sizeBytes > maxOcspBytes) return Buffer.alloc(0);
    parts.push(part);
  }
  return Buffer.concat(parts);
}

export interface PkiDoor {
  readonly port: number;
  close(): Promise<void>;
}

/** A listener without TLS for those who check certificates, and nothing else. @throws the error of `listen` */
export async function openPkiDoor(
  tls: TlsRoom,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<PkiDoor> {
  const listener: RequestListener = (request, response) => {
    response.setHeader('X-Content-Type-Options', 'nosniff');
    answerPki(tls, request, response, Date.now()).then(
      (answered) =>
        answered || response.writeHead(404, { 'Content-Type': 'text/plain' }).end('Nothing is here.\n'),
      () => (response.headersSent ? response.destroy() : response.writeHead(500).end()),
    );
  };
  const server: Server = createServer(
    { headersTimeout: 10_000, requestTimeout: 20_000, keepAliveTimeout: 5000, maxHeaderSize: 8192 },
    listener,
  );
  server.maxHeadersCount = 64;
  server.setTimeout(30_000);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
