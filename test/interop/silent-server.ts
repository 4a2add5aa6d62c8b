import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

/** A listener that accepts connections and never says a word; counts them. */
export interface SilentServer {
  readonly port: number;
  connections(): number;
  close(): void;
}

export async function silentServer(): Promise<SilentServer> {
  const held: Socket[] = [];
  const server = createServer((socket) => {
    held.push(socket);
    socket.on('error', () => {}).resume();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    connections: () => held.length,
    close: () => {
      for (const socket of held) socket.destroy();
      server.close();
    },
  };
}

/** What `work` gives, and how long it took. */
export async function timed<T>(work: () => Promise<T>): Promise<{ readonly result: T; readonly ms: number }> {
  const startMs = performance.now();
  const result = await work();
  return { result, ms: performance.now() - startMs };
}
