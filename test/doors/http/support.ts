import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { request, type RequestOptions } from 'node:https';
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';
import { connect, type TLSSocket } from 'node:tls';
import { signProof, type ProofKey } from '../../../src/doors/client/index.ts';
import { systemClock, systemRandom, type Clock } from '../../../src/kernel/index.ts';
import { formatPublicKey, publicKeyFromKeyObject } from '../../../src/ssh/index.ts';
import type { BrokerFolder } from '../../support/broker.ts';

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** The body as JSON; throws where it is none. */
  json(): Record<string, unknown>;
  /** `code` of a problem document, `allowed` for a success. */
  readonly code: string;
}

export interface Question {
  readonly method?: string;
  /** Path with query. */
  readonly path: string;
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: string | Buffer;
}

type Where = Pick<BrokerFolder, 'caFile' | 'url'> & { readonly port: number };

/** One request on a connection of its own, whatever the client of the product would think of it. */
export function ask(where: Where, question: Question): Promise<HttpAnswer> {
  const options: RequestOptions = {
    host: '127.0.0.1',
    port: where.port,
    ca: readFileSync(where.caFile),
    agent: false,
    method: question.method ?? 'GET',
    path: question.path,
    headers: question.headers ?? {},
  };
  return new Promise((resolve, reject) => {
    const sent = request(options, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const body = Buffer.concat(chunks);
        const json = (): Record<string, unknown> =>
          JSON.parse(body.toString('utf8')) as Record<string, unknown>;
        const status = response.statusCode ?? 0;
        const isProblem = response.headers['content-type']?.startsWith('application/problem+json') === true;
        const code = isProblem && body.length > 0 ? String(json()['code']) : String(status);
        resolve({ status, headers: response.headers, body, json, code: status < 300 ? 'allowed' : code });
      });
    });
    sent.on('error', reject);
    sent.end(question.body);
  });
}

/** A DPoP proof for one request to the broker. */
export function proofFor(
  where: Pick<Where, 'url'>,
  key: ProofKey,
  about: { readonly method: string; readonly path: string; readonly token?: string },
  clock: Clock = systemClock,
): string {
  return signProof(key, {
    method: about.method,
    url: new URL(about.path, where.url),
    nowMs: clock.nowMs(),
    random: systemRandom,
    ...(about.token === undefined ? {} : { token: about.token }),
  });
}

/** A TLS connection for bytes that no HTTP library would send. */
export function rawConnection(where: Where): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port: where.port, ca: readFileSync(where.caFile) }, () =>
      resolve(socket),
    );
    socket.once('error', reject);
  });
}

/** Everything that comes until the other side ends. */
export async function readToEnd(socket: TLSSocket): Promise<string> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of socket) chunks.push(chunk as Buffer);
  } catch {
    // A reset is an end too: what came before it is the answer.
  }
  return Buffer.concat(chunks).toString('latin1');
}

export function newPublicKey(): string {
  return formatPublicKey(publicKeyFromKeyObject(generateKeyPairSync('ed25519').publicKey), 'test');
}
