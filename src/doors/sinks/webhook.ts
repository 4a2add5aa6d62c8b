import { createHmac } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import type { Sink, StoredEntry } from '../../broker/index.ts';
import { CodedError, type Clock } from '../../kernel/index.ts';
import { connectionFault, silenceMs, silent, type Stage } from './far-end.ts';

/** Where signed requests go. */
export interface WebhookAddress {
  /** `https:`. */
  readonly url: URL;
  /** PEM of the only authorities that may vouch for the server; without it, those that Node trusts. */
  readonly ca?: string;
  /** Key of the HMAC. Asked for each request, like `authorization`, so that a new one needs no restart. */
  readonly secret: () => Buffer;
  /** Value of an Authorization header, for far ends that want one. */
  readonly authorization?: () => string;
  readonly version: string;
  readonly clock: Clock;
}

export interface WebhookSinkOptions extends WebhookAddress {
  readonly name: string;
  readonly format: string;
  /** One line of text for each entry, or one JSON array of them. */
  readonly body: 'lines' | 'array';
  readonly contentType: string;
  /** One line without its end; JSON where the body is an array. */
  readonly line: (entry: StoredEntry) => string;
  /** Name of the log. */
  readonly origin: string;
}

const maxAnswerBytes = 64 * 1024;

/**
 * POSTs batches of entries over HTTPS. `Sallyport-Signature: t=SECONDS,v1=HEX` is HMAC-SHA256 over `SECONDS.BODY`; the idempotency key
 * names the log and the first and last entry, since a batch that is sent again may have grown. A status of 2xx means that the far end
 * has them. Redirects are not followed: nobody else than the configured address is given the log.
 */
export function createWebhookSink(options: WebhookSinkOptions): Sink {
  const { name, format, body, line } = options;
  return {
    name,
    kind: 'webhook',
    format,
    async deliver(entries, signal) {
      const lines = entries.map((entry) => line(entry));
      const text = body === 'array' ? `[${lines.join(',')}]` : `${lines.join('\n')}\n`;
      const range = `${entries[0]?.index}-${entries.at(-1)?.index}`;
      const { contentType, origin } = options;
      await postSigned(options, { bytes: Buffer.from(text), contentType, key: `${origin}:${range}` }, signal);
    },
    async close() {
      // No connection outlives its batch.
    },
  };
}

interface Answer {
  readonly status: number;
  readonly retryAfter: string | undefined;
}

interface Body {
  readonly bytes: Buffer;
  readonly contentType: string;
  /** The idempotency key: what is sent again has the same. */
  readonly key: string;
}

/** @throws CodedError `sinks.…` unless the answer is 2xx; `details.retryAfterSeconds` where it says so */
export async function postSigned(to: WebhookAddress, body: Body, signal: AbortSignal): Promise<void> {
  const answer = await post(to, body, signal);
  if (answer.status < 200 || answer.status > 299) throw refusal(answer, to);
}

function post(to: WebhookAddress, body: Body, signal: AbortSignal): Promise<Answer> {
  const { url, ca } = to;
  const progress: { stage: Stage } = { stage: 'nothing' };
  return new Promise<Answer>((resolve, reject) => {
    signal.throwIfAborted();
    const asked = request(
      url,
      {
        method: 'POST',
        headers: headersOf(to, body),
        agent: false,
        minVersion: 'TLSv1.2',
        // Also where the environment says otherwise.
        rejectUnauthorized: true,
        ...(ca === undefined ? {} : { ca }),
      },
      (response) => {
        resolve({ status: response.statusCode ?? 0, retryAfter: response.headers['retry-after'] });
        leave(response);
      },
    );
    const stop = (): void => void asked.destroy(silent());
    signal.addEventListener('abort', stop, { once: true });
    asked.setTimeout(silenceMs, stop);
    asked.on('socket', (socket) => {
      socket.once('connect', () => (progress.stage = 'socket'));
      socket.once('secureConnect', () => (progress.stage = 'tls'));
    });
    asked.on('error', (error) => reject(connectionFault(error, url.host, progress.stage)));
    asked.on('close', () => {
      signal.removeEventListener('abort', stop);
      reject(connectionFault(undefined, url.host, progress.stage));
    });
    asked.end(body.bytes);
  });
}

function headersOf(
  { secret, authorization, version, clock }: WebhookAddress,
  { bytes, contentType, key }: Body,
): Record<string, string | number> {
  const seconds = Math.floor(clock.nowMs() / 1000);
  const mac = createHmac('sha256', secret()).update(`${seconds}.`).update(bytes).digest('hex');
  return {
    'Content-Type': contentType,
    'Content-Length': bytes.length,
    'User-Agent': `sallyport/${version}`,
    'Idempotency-Key': key,
    'Sallyport-Signature': `t=${seconds},v1=${mac}`,
    ...(authorization === undefined ? {} : { Authorization: authorization() }),
  };
}

/** The status is all that counts; the rest of an answer is read so far as it is short, and never waited for. */
function leave(response: IncomingMessage): void {
  let left = maxAnswerBytes;
  response.on('error', () => undefined);
  response.on('data', (chunk: Buffer) => {
    left -= chunk.length;
    if (left < 0) response.destroy();
  });
}

function refusal({ status, retryAfter }: Answer, { url, clock }: WebhookAddress): CodedError {
  const isBusy = status === 429 || status === 503;
  const isRedirect = status >= 300 && status < 400;
  const seconds = isBusy ? secondsOf(retryAfter, clock.nowMs()) : undefined;
  return new CodedError(
    isBusy ? 'sinks.busy' : 'sinks.refused',
    `${url.host} answers ${status}${isRedirect ? ', and redirects are not followed' : ''}.`,
    {
      next: isRedirect
        ? 'Configure the address that takes the entries itself.'
        : 'Look into the messages of the far end; the entries are sent again.',
      details: { status, ...(seconds === undefined ? {} : { retryAfterSeconds: seconds }) },
    },
  );
}

/** RFC 9110 section 10.2.3: seconds, or a date. */
function secondsOf(retryAfter: string | undefined, nowMs: number): number | undefined {
  if (retryAfter === undefined) return undefined;
  if (/^\d{1,9}$/.test(retryAfter)) return Number(retryAfter);
  // Date.parse takes more than dates of HTTP.
  const timeMs = /^[A-Z][a-z]{2}, /.test(retryAfter) ? Date.parse(retryAfter) : Number.NaN;
  return Number.isNaN(timeMs) ? undefined : Math.max(0, Math.ceil((timeMs - nowMs) / 1000));
}
