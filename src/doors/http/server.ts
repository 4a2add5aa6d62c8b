import { createServer, type Server } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Logger } from 'pino';
import type { Rooms } from '../../broker/index.ts';
import { createApp } from './app.ts';
import type { Metrics } from './metrics.ts';

export interface HttpDoorOptions {
  readonly rooms: Rooms;
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly version: string;
  readonly host: string;
  /** 0 takes a free port. */
  readonly port: number;
  /** PEM. */
  readonly tls: { readonly certificate: string; readonly key: string };
  /** Addresses that may read /metrics, and the details of /readyz, without a session. */
  readonly metricsAllowed: (address: string) => boolean;
  readonly deadlines?: Partial<Deadlines>;
}

/** How long slow hands may take at each stage, in milliseconds. */
export interface Deadlines {
  readonly handshake: number;
  readonly headers: number;
  /** Headers and body together. */
  readonly request: number;
  /** Without a byte in either direction, also while an answer is being read. */
  readonly silence: number;
}

const usualDeadlines: Deadlines = { handshake: 10_000, headers: 10_000, request: 30_000, silence: 120_000 };

export interface HttpDoor {
  readonly port: number;
  /** New connections use these from now on. */
  replaceCertificate(tls: { readonly certificate: string; readonly key: string }): void;
  /** Takes no new connection, lets requests under way finish, and cuts off what is left after `graceMs`. */
  close(graceMs?: number): Promise<void>;
}

/** Opens the door. @throws the error of `listen`, e.g. EADDRINUSE */
export async function openHttpDoor(options: HttpDoorOptions): Promise<HttpDoor> {
  const { certificate, key } = options.tls;
  const deadlines = { ...usualDeadlines, ...options.deadlines };
  const server = createServer(
    {
      cert: certificate,
      key,
      minVersion: 'TLSv1.2',
      honorCipherOrder: true,
      handshakeTimeout: deadlines.handshake,
      headersTimeout: deadlines.headers,
      requestTimeout: deadlines.request,
      keepAliveTimeout: 65_000,
      maxHeaderSize: 16 * 1024,
      connectionsCheckingInterval: Math.min(2000, deadlines.headers),
    },
    createApp(options),
  );
  server.maxHeadersCount = 64;
  server.setTimeout(deadlines.silence);
  const connections = trackConnections(server);
  await listen(server, options.host, options.port);
  return {
    port: (server.address() as AddressInfo).port,
    replaceCertificate: (tls) =>
      server.setSecureContext({ cert: tls.certificate, key: tls.key, minVersion: 'TLSv1.2' }),
    close: (graceMs = 10_000) => close(server, connections, graceMs),
  };
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

interface Connections {
  /** Ends what serves no request now, and everything else as soon as its answer is out. */
  endIdle(): void;
}

/** Node's own `closeIdleConnections` leaves alone whoever has connected and asked nothing yet. */
function trackConnections(server: Server): Connections {
  const underWay = new Map<Socket, number>();
  const handshaking = new Map<string, Socket>();
  let ending = false;
  const nameOf = (socket: Socket): string => `${socket.remoteAddress} ${socket.remotePort}`;

  server.on('connection', (socket: Socket) => {
    const name = nameOf(socket);
    handshaking.set(name, socket);
    socket.once('close', () => handshaking.delete(name));
  });
  server.on('secureConnection', (socket) => {
    handshaking.delete(nameOf(socket));
    underWay.set(socket, 0);
    socket.once('close', () => underWay.delete(socket));
  });
  server.on('request', ({ socket }, response) => {
    underWay.set(socket, (underWay.get(socket) ?? 0) + 1);
    response.once('close', () => {
      const left = (underWay.get(socket) ?? 1) - 1;
      if (ending && left === 0) socket.end();
      else if (underWay.has(socket)) underWay.set(socket, left);
    });
  });
  return {
    endIdle() {
      ending = true;
      for (const socket of handshaking.values()) socket.destroy();
      for (const [socket, requests] of underWay) if (requests === 0) socket.destroy();
    },
  };
}

function close(server: Server, connections: Connections, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const cut = setTimeout(() => server.closeAllConnections(), graceMs);
    server.close(() => {
      clearTimeout(cut);
      resolve();
    });
    connections.endIdle();
  });
}
