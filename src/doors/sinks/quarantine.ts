import { spawn } from 'node:child_process';
import type { Quarantine, SignedRequest } from '../../broker/index.ts';
import { CodedError, printable } from '../../kernel/index.ts';
import { postSigned, type WebhookAddress } from './webhook.ts';

const patienceMs = 30_000;
const maxSaidBytes = 4096;

/** What is handed over: the document, a line end, and the armoured signature over the document. */
function handedOver({ document, signature }: SignedRequest): Buffer {
  return Buffer.from(`${document}\n${signature}`);
}

/**
 * Hands requests to a command of the operator: on its standard input, and nothing of them on its command line. It runs without our
 * environment, and has taken the request when it exits with 0 within 30 seconds.
 * @param command program and arguments; the program by its full path
 */
export function quarantineByCommand(name: string, command: readonly string[]): Quarantine {
  const [program = '', ...args] = command;
  return {
    name,
    send: (request) =>
      new Promise((resolve, reject) => {
        const environment = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LANG: 'C.UTF-8' };
        const child = spawn(program, args, {
          env: environment,
          stdio: ['pipe', 'ignore', 'pipe'],
          timeout: patienceMs,
        });
        let said = '';
        child.stderr.setEncoding('utf8').on('data', (part: string) => {
          if (said.length < maxSaidBytes) said += part;
        });
        child.once('error', (error) =>
          reject(refused(name, `it cannot be started (${error.message})`, error)),
        );
        child.once('close', (status, signal) => {
          if (status === 0) return resolve();
          const how = status === null ? `it was ended by ${signal}` : `it exits with ${status}`;
          const words = said.trim();
          reject(refused(name, words === '' ? how : `${how}: ${printable(words, 200)}`));
        });
        // A program that reads nothing says so by how it exits.
        child.stdin.on('error', () => undefined).end(handedOver(request));
      }),
  };
}

/** Hands requests to a webhook, signed with HMAC as a sink signs its entries. */
export function quarantineByWebhook(name: string, to: WebhookAddress): Quarantine {
  return {
    name,
    async send(request) {
      const body = { bytes: handedOver(request), contentType: 'text/plain; charset=utf-8', key: request.id };
      try {
        await postSigned(to, body, AbortSignal.timeout(patienceMs));
      } catch (error) {
        if (error instanceof CodedError) throw refused(name, error.message.replace(/\.$/, ''), error);
        throw error;
      }
    },
  };
}

function refused(name: string, why: string, cause?: unknown): CodedError {
  return new CodedError('responses.refused', `The quarantine “${name}” did not take the request: ${why}.`, {
    next: 'Look into what runs there; then act on the host by hand.',
    cause,
  });
}
