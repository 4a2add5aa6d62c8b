import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface FakeAgent {
  readonly socketPath: string;
  stop(): Promise<void>;
}

/** Something that listens where an agent should and does `onData` with each chunk it receives. */
export async function startFakeAgent(onData: (socket: Socket, chunk: Buffer) => void): Promise<FakeAgent> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-agent-'));
  const socketPath = join(folder, 'agent.sock');
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('data', (chunk: Buffer) => onData(socket, chunk));
    socket.on('error', () => sockets.delete(socket)); // the client under test may leave at any moment
  });
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  return {
    socketPath,
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
