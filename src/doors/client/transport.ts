import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import type { CodedError } from '../../kernel/index.ts';
import { badAnswer } from './answer.ts';
import { unreachable } from './failures.ts';

export interface Timeouts {
  /** To a finished TLS handshake. */
  readonly connectMs: number;
  /** Without a byte from the broker. */
  readonly idleMs: number;
}

export interface TransportOptions {
  readonly origin: string;
  /** PEM; these alone are trusted when given. */
  readonly ca: string | undefined;
  readonly timeouts: Timeouts;
  readonly userAgent: string;
}

export interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** The body as it arrives; whoever asked must read it or destroy it. */
  readonly body: IncomingMessage;
}

/** HTTPS to one broker over kept-alive connections. */
export interface Transport {
  /** Resolves when status and headers are there. @throws CodedError, one for which `isUnreachable` is true. */
  send(asked: HttpRequest): Promise<HttpAnswer>;
  close(): void;
}

/** TLS 1.2 or newer, at most four connections, no redirects. Idle connections end with `close`. */
export function createTransport(options: TransportOptions): Transport {
  const agent = new Agent({
    keepAlive: true,
    maxSockets: 4,
    minVersion: 'TLSv1.2',
    // Said outright, so that NODE_TLS_REJECT_UNAUTHORIZED=0 in somebody's environment changes nothing.
    rejectUnauthorized: true,
    ...(options.ca === undefined ? {} : { ca: options.ca }),
  });
  return {
    send: (asked) => send(agent, options, asked),
    close: () => agent.destroy(),
  };
}

function send(agent: Agent, options: TransportOptions, asked: HttpRequest): Promise<HttpAnswer> {
  return new Promise((resolve, reject: (error: CodedError) => void) => {
    const outgoing = request(asked.url, {
      agent,
      method: asked.method,
      headers: {
        'user-agent': options.userAgent,
        ...asked.headers,
        ...(asked.body === undefined ? {} : { 'content-length': Buffer.byteLength(asked.body) }),
      },
    });
    const timeout = (): void => {
      outgoing.destroy(Object.assign(new Error('timeout'), { code: 'ETIMEDOUT' }));
    };
    const connecting = setTimeout(timeout, options.timeouts.connectMs);
    outgoing.on('socket', (socket) => {
      if (socket.connecting) socket.once('secureConnect', () => clearTimeout(connecting));
      else clearTimeout(connecting);
    });
    outgoing.setTimeout(options.timeouts.idleMs, timeout);
    outgoing.on('close', () => clearTimeout(connecting));
    outgoing.on('error', (error) => reject(unreachable(options.origin, error)));
    outgoing.on('response', (body) => {
      resolve({ status: body.statusCode ?? 0, headers: body.headers, body });
    });
    outgoing.end(asked.body);
  });
}

/**
 * Collects a body of at most `maxBytes`.
 * @throws CodedError `client.bad_answer` when it is longer, an unreachable one when the connection breaks off.
 */
export async function collect(answer: HttpAnswer, origin: string, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of bodyChunks(answer, origin)) {
    sizeBytes += chunk.length;
    if (sizeBytes > maxBytes) {
      answer.body.destroy();
      throw badAnswer(`it is longer than ${maxBytes} bytes`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** The body piece by piece, with connection faults told as such: a body that breaks off is never taken for a whole one. */
export async function* bodyChunks(answer: HttpAnswer, origin: string): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of answer.body) yield chunk as Buffer;
  } catch (error) {
    throw unreachable(origin, error);
  }
}
