import { Agent as HttpAgent, type IncomingMessage, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { WitnessAnswer, WitnessClient, WitnessRequest } from '../../broker/index.ts';
import { CodedError, printable } from '../../kernel/index.ts';
import { unreachable } from './failures.ts';

export interface HttpWitnessOptions {
  /** Submission prefix: `https://…`, or `http://` on this machine. */
  readonly url: string;
  /** PEM of the authorities that may vouch for it; undefined: those that Node trusts. */
  readonly ca: string | undefined;
  /** For the whole of one request. */
  readonly timeoutMs?: number;
}

export interface HttpWitness extends WitnessClient {
  /** Ends idle connections. */
  close(): void;
}

const usualTimeoutMs = 5000;
const maxAnswerBytes = 16 * 1024;

/** @throws CodedError `witness.bad_url` */
export function createWitnessClient({
  url,
  ca,
  timeoutMs = usualTimeoutMs,
}: HttpWitnessOptions): HttpWitness {
  const target = parseUrl(url);
  const settings = { keepAlive: true, maxSockets: 1 } as const;
  const secure = target.protocol === 'https:';
  const agent = secure
    ? new HttpsAgent({
        ...settings,
        minVersion: 'TLSv1.2',
        // Said outright, so that NODE_TLS_REJECT_UNAUTHORIZED=0 in somebody's environment changes nothing.
        rejectUnauthorized: true,
        ...(ca === undefined ? {} : { ca }),
      })
    : new HttpAgent(settings);
  return {
    async addCheckpoint(asked, signal) {
      const body = encode(asked);
      const stop = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
      const answer = await new Promise<IncomingMessage>((resolve, reject) => {
        const headers = { 'content-type': 'text/plain; charset=utf-8', 'content-length': body.length };
        const options = { agent, method: 'POST', headers, signal: stop } as const;
        const outgoing = secure ? httpsRequest(target, options) : httpRequest(target, options);
        outgoing.once('response', resolve);
        outgoing.on('error', (error) => reject(unreachable(target, error)));
        outgoing.end(body);
      });
      return read(answer, await collect(answer, target));
    },
    close: () => agent.destroy(),
  };
}

function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isHere = ['127.0.0.1', '[::1]', 'localhost'].includes(url?.hostname ?? '');
  const allowed = url?.protocol === 'https:' || (url?.protocol === 'http:' && isHere);
  if (url === undefined || !allowed || url.username !== '' || url.search !== '' || url.hash !== '') {
    throw new CodedError(
      'witness.bad_url',
      `“${printable(text, 200)}” is not where a witness can be asked.`,
      {
        next: 'Give https://host[:port][/prefix]; http:// only for this machine itself.',
      },
    );
  }
  return new URL(`${url.href.replace(/\/$/, '')}/add-checkpoint`);
}

function encode({ old, proof, note }: WitnessRequest): Buffer {
  const lines = proof.map((hash) => `${hash.toString('base64')}\n`).join('');
  return Buffer.from(`old ${old}\n${lines}\n${note}`);
}

async function collect(answer: IncomingMessage, target: URL): Promise<string> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  try {
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      sizeBytes += chunk.length;
      if (sizeBytes > maxAnswerBytes) throw badAnswer('it is too long');
      chunks.push(chunk);
    }
  } catch (error) {
    throw error instanceof CodedError ? error : unreachable(target, error);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function read({ statusCode, headers }: IncomingMessage, body: string): WitnessAnswer {
  if (statusCode === 200) return { kind: 'cosigned', lines: body };
  if (statusCode === 409 && headers['content-type'] === 'text/x.tlog.size') {
    const size = /^(0|[1-9]\d{0,14})\n$/.exec(body)?.[1];
    if (size === undefined) throw badAnswer('its size is malformed');
    return { kind: 'size', size: BigInt(size) };
  }
  throw new CodedError(
    'witness.refused',
    `The witness refused the checkpoint (${statusCode}): ${printable(body.trim(), 200)}`,
    {
      next: 'Ask whoever runs the witness: with 403 and 404 it does not know the log’s key; with 409 and 422 it has seen another history.',
      details: { status: statusCode ?? 0 },
    },
  );
}

function badAnswer(why: string): CodedError {
  return new CodedError('witness.bad_answer', `The witness answered with something else: ${why}.`, {
    next: 'Check the address in the policy file.',
  });
}
