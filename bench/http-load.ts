import { Agent, request } from 'node:https';

/** One request, made ready beforehand. */
export interface LoadRequest {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface HttpLoad {
  /**
   * POSTs all of them, always as many at once as there are connections, and gives the milliseconds each took.
   * @throws Error with the answer when one is not 201
   */
  send(requests: readonly LoadRequest[]): Promise<readonly number[]>;
  close(): void;
}

/** Keep-alive connections to one HTTPS server, opened as they are first needed. */
export function openLoad(options: { port: number; ca: string; connections: number }): HttpLoad {
  const { port, ca, connections } = options;
  const agent = new Agent({ keepAlive: true, maxSockets: connections, ca });
  const post = (again: LoadRequest): Promise<number> =>
    new Promise((resolve, reject) => {
      const { path, headers, body } = again;
      const start = performance.now();
      const asked = request({ agent, host: '127.0.0.1', port, method: 'POST', path, headers }, (response) => {
        const parts: Buffer[] = [];
        response.on('data', (part: Buffer) => parts.push(part));
        response.on('error', reject);
        response.on('end', () => {
          if (response.statusCode === 201) resolve(performance.now() - start);
          else
            reject(
              new Error(`${path} answered ${response.statusCode}: ${Buffer.concat(parts).toString('utf8')}`),
            );
        });
      });
      // A kept connection that the server closed at this very moment: the request was not served, ask again.
      asked.on('error', (error) => {
        if (asked.reusedSocket) void post(again).then(resolve, reject);
        else reject(error);
      });
      asked.end(body);
    });
  return {
    async send(requests) {
      const waiting = requests.values();
      const times: number[] = [];
      const worker = async (): Promise<void> => {
        for (const next of waiting) times.push(await post(next));
      };
      await Promise.all(Array.from({ length: connections }, worker));
      return times;
    },
    close: () => agent.destroy(),
  };
}
