import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Witness } from './add-checkpoint.ts';
import { maxRequestBytes } from './request.ts';

export interface WitnessDoorOptions {
  readonly witness: Witness;
  readonly host: string;
  /** 0 takes a free port. */
  readonly port: number;
  /** PEM; undefined: plain HTTP, which only a loopback address may have. */
  readonly tls: { readonly certificate: string; readonly key: string } | undefined;
  /** Told what failed on our side. */
  readonly failed: (error: unknown) => void;
}

export interface WitnessDoor {
  readonly port: number;
  /** Lets what is under way finish, for a second at most. */
  close(): Promise<void>;
}

const path = '/add-checkpoint';
const plainText = 'text/plain; charset=utf-8';

/** Opens the one route of a witness. @throws the error of `listen` */
export async function openWitnessDoor(options: WitnessDoorOptions): Promise<WitnessDoor> {
  const { witness, host, port, tls, failed } = options;
  const limits = {
    headersTimeout: 5000,
    requestTimeout: 10_000,
    keepAliveTimeout: 65_000,
    maxHeaderSize: 8 * 1024,
    connectionsCheckingInterval: 1000,
  };
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    respond(witness, request, response).catch((error: unknown) => {
      failed(error);
      // Nothing was cosigned. What was under way is asked anew by the log.
      if (!response.headersSent) send(response, 500, plainText, 'The witness failed to do this.\n');
      else response.destroy();
    });
  };
  const server =
    tls === undefined
      ? createHttpServer(limits, answer)
      : createHttpsServer({ ...limits, cert: tls.certificate, key: tls.key, minVersion: 'TLSv1.2' }, answer);
  server.maxConnections = 256;
  server.setTimeout(120_000);
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
        const cut = setTimeout(() => server.closeAllConnections(), 1000);
        server.close(() => {
          clearTimeout(cut);
          resolve();
        });
        server.closeIdleConnections();
      }),
  };
}

async function respond(witness: Witness, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.url !== path) return send(response, 404, plainText, `There is nothing here but ${path}.\n`);
  if (request.method !== 'POST') {
    response.setHeader('allow', 'POST');
    return send(response, 405, plainText, 'Checkpoints come by POST.\n');
  }
  const body = await readBody(request);
  if (body === undefined) {
    response.setHeader('connection', 'close');
    return send(response, 413, plainText, `A request has at most ${maxRequestBytes} bytes.\n`);
  }
  const answer = witness.addCheckpoint(body);
  send(response, answer.status, answer.contentType, answer.body);
}

/** @returns undefined when there is more of it than a request may have */
async function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length;
    if (sizeBytes > maxRequestBytes) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function send(response: ServerResponse, status: number, contentType: string, body: string): void {
  response.writeHead(status, {
    'content-type': contentType,
    'content-length': Buffer.byteLength(body),
    'x-content-type-options': 'nosniff',
  });
  response.end(body);
}
