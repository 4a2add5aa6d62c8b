import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { Worker } from 'node:worker_threads';

/** A port that takes no connection and refuses none: what is sent there vanishes, as behind a firewall that drops. */
export interface BlackHole {
  readonly port: number;
  close(): Promise<void>;
}

// Listens, says where, and never runs again: nobody accepts.
const listener = `
const { createServer } = require('node:net');
const { parentPort } = require('node:worker_threads');
const server = createServer().listen({ host: '127.0.0.1', port: 0, backlog: 1 }, () => {
  parentPort.postMessage(server.address().port);
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
});
`;

/**
 * Linux drops every SYN for a listener whose queue of finished connections is longer than its backlog (`tcp_conn_request` in
 * net/ipv4/tcp_input.c): with a backlog of one, two connections fill it.
 */
export async function blackHole(): Promise<BlackHole> {
  const worker = new Worker(listener, { eval: true });
  const [port] = (await once(worker, 'message')) as [number];
  const fillers: Socket[] = [];
  for (let filler = 0; filler < 2; filler += 1) {
    const socket = connect(port, '127.0.0.1').on('error', () => undefined);
    fillers.push(socket);
    await once(socket, 'connect');
  }
  return {
    port,
    async close() {
      for (const socket of fillers) socket.destroy();
      await worker.terminate();
    },
  };
}
