import { Agent as PlainAgent, request as requestPlain } from 'node:http';
import { Agent as TlsAgent, request as requestTls } from 'node:https';

/** One request, made ready beforehand. Without a body it is a GET, with one a POST. */
export interface LoadRequest {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface LoadOptions {
  readonly port: number;
  /** PEM of the authority that vouches for the server; without it the connections are plain HTTP. */
  readonly ca?: string;
  readonly connections: number;
  /** The status that every answer must have. */
  readonly expected: number;
}

export interface HttpLoad {
  /**
   * Sends all of them, always as many at once as there are connections, and gives the milliseconds each took.
   * @throws Error with the answer when one has another status than is expected
   */
  send(requests: readonly LoadRequest[]): Promise<readonly number[]>;
  close(): void;
}

/** Keep-alive connections to one server, opened as they are first needed. */
export function openLoad({ port, ca, connections, expected }: LoadOptions): HttpLoad {
  const usual = { keepAlive: true, maxSockets: connections };
  const agent = ca === undefined ? new PlainAgent(usual) : new TlsAgent({ ...usual, ca });
  const send = ca === undefined ? requestPlain : requestTls;
  const ask = (again: LoadRequest): Promise<number> =>
    new Promise((resolve, reject) => {
      const { path, headers, body } = again;
      const method = body === undefined ? 'GET' : 'POST';
      const start = performance.now();
      const asked = send({ agent, host: '127.0.0.1', port, method, path, headers }, (response) => {
        const parts: Buffer[] = [];
        response.on('data', (part: Buffer) => parts.push(part));
        response.on('error', reject);
        response.on('end', () => {
          if (response.statusCode === expected) resolve(performance.now() - start);
          else
            reject(
              new Error(`${path} answered ${response.statusCode}: ${Buffer.concat(parts).toString('utf8')}`),
            );
        });
      });
      // A kept connection that the server closed at this very moment: the request was not served, ask again.
      asked.on('error', (error) => {
        if (asked.reusedSocket) void ask(again).then(resolve, reject);
        else reject(error);
      });
      asked.end(body);
    });
  return {
    async send(requests) {
      const waiting = requests.values();
      const times: number[] = [];
      const worker = async (): Promise<void> => {
        for (const next of waiting) times.push(await ask(next));
      };
      await Promise.all(Array.from({ length: connections }, worker));
      return times;
    },
    close: () => agent.destroy(),
  };
}
