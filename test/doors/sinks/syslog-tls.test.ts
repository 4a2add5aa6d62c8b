import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer as createTcpServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer, type TLSSocket, type TlsOptions } from 'node:tls';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import type { Sink, StoredEntry } from '../../../src/broker/index.ts';
import { createSyslogSink, type SyslogSinkOptions } from '../../../src/doors/sinks/index.ts';
import { codeOf } from '../../support/code-of.ts';
import { readFrames } from '../../support/line-readers.ts';
import { freePort } from '../../support/free-port.ts';
import { describeWithPeers } from '../../support/peers.ts';
import { makeSinkTls, type Holder, type SinkTls } from '../../support/sink-tls.ts';
import { entry } from '../../contract/store-fixture.ts';
import { storedEntries } from './stored.ts';

const all = storedEntries(Array.from({ length: 20 }, () => entry()));
const some = (from: number, to: number): readonly StoredEntry[] => all.slice(from, to);
const never = new AbortController().signal;
const named = (from: number, to: number): string[] => some(from, to).map(({ index }) => `é message ${index}`);

describeWithPeers(['openssl'], 'syslog over TLS', () => {
  let folder: string;
  let tls: SinkTls;
  let nowMs = 0;
  const open: Server[] = [];
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'sallyport-sink-'));
    tls = makeSinkTls(folder);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  afterEach(() => {
    for (const server of open.splice(0)) server.close();
  });

  interface Receiver {
    readonly port: number;
    /** All bytes of each connection, in the order in which they began. */
    readonly connections: Buffer[];
    stop(): Promise<void>;
  }
  /** A MOCK of a receiver: it reads everything and closes when the sender has, or does what `serve` does instead. */
  async function receiver(
    options: TlsOptions & { readonly holder?: Holder; readonly at?: number } = {},
    serve?: (socket: TLSSocket, raw: Socket) => void,
  ): Promise<Receiver> {
    const { holder = 'server', at = 0, ...over } = options;
    const connections: Buffer[] = [];
    let raw: Socket | undefined;
    const server = createServer(
      {
        cert: tls.pem(tls.certificateFile(holder)),
        key: tls.pem(tls.keyFile(holder)),
        ca: tls.pem(tls.caFile),
        requestCert: true,
        rejectUnauthorized: true,
        ...over,
      },
      (socket) => {
        const nth = connections.push(Buffer.alloc(0)) - 1;
        socket.on('error', () => undefined);
        if (serve !== undefined && raw !== undefined) return serve(socket, raw);
        socket.on('data', (chunk) => {
          connections[nth] = Buffer.concat([connections[nth] ?? Buffer.alloc(0), chunk]);
        });
        return undefined;
      },
    );
    server.on('tlsClientError', () => undefined);
    server.on('connection', (socket: Socket) => (raw = socket.on('error', () => undefined)));
    server.listen(at, '127.0.0.1');
    await once(server, 'listening');
    open.push(server);
    const stop = async (): Promise<void> => {
      server.close();
      await once(server, 'close');
    };
    return { port: (server.address() as AddressInfo).port, connections, stop };
  }

  const sinkFor = (port: number, over: Partial<SyslogSinkOptions> = {}, holder: Holder = 'client'): Sink =>
    createSyslogSink({
      name: 'siem',
      format: 'rfc5424',
      host: '127.0.0.1',
      port,
      tls: () => ({
        ca: tls.pem(tls.caFile),
        certificate: tls.pem(tls.certificateFile(holder)),
        key: tls.pem(tls.keyFile(holder)),
      }),
      message: ({ index }) => `é message ${index}`,
      clock: { nowMs: () => nowMs },
      ...over,
    });

  it('frames messages by their length in octets, a connection for each batch', async () => {
    const { port, connections } = await receiver();
    const sink = sinkFor(port);
    await sink.deliver(some(0, 3), never);
    await sink.deliver(some(3, 4), never);
    expect(connections.map(readFrames)).toEqual([named(0, 3), named(3, 4)]);
    expect(connections[1]?.toString()).toBe('12 é message 3');
  });

  it.each(['TLSv1.2', 'TLSv1.3'] as const)('delivers over %s', async (version) => {
    const { port, connections } = await receiver({ minVersion: version, maxVersion: version });
    await sinkFor(port).deliver(some(0, 20), never);
    expect(connections.map(readFrames)).toEqual([named(0, 20)]);
  });

  it('sends a batch that does not fit into any buffer at once', async () => {
    const { port, connections } = await receiver();
    await sinkFor(port, { message: ({ index }) => `${index} ${'x'.repeat(100_000)}` }).deliver(all, never);
    expect(readFrames(connections[0] ?? Buffer.alloc(0)).length).toBe(20);
  });

  it('takes a server by the name that was configured for it', async () => {
    const { port, connections } = await receiver({ holder: 'elsewhere' });
    await sinkFor(port, { serverName: 'elsewhere.example.com' }).deliver(some(0, 1), never);
    expect(connections.length).toBe(1);
  });

  it.each<[string, TlsOptions & { readonly holder?: Holder }, Holder, string]>([
    ['a server of another authority', { holder: 'stranger' }, 'client', 'sinks.untrusted'],
    ['a server of another name', { holder: 'elsewhere' }, 'client', 'sinks.untrusted'],
    ['old TLS', { maxVersion: 'TLSv1.1', minVersion: 'TLSv1' }, 'client', 'sinks.refused'],
  ])('sends nothing to %s', async (_, options, holder, code) => {
    const { port, connections } = await receiver(options);
    expect(await codeOf(sinkFor(port, {}, holder).deliver(some(0, 1), never))).toBe(code);
    expect(connections).toEqual([]);
  });

  it.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'knows that a receiver did not accept its certificate over %s, though with 1.3 it seems connected first',
    async (version) => {
      const { port, connections } = await receiver({ minVersion: version, maxVersion: version });
      expect(await codeOf(sinkFor(port, {}, 'stranger').deliver(some(0, 1), never))).toMatch(
        /^sinks\.(?:refused|broken_off)$/,
      );
      expect(connections).toEqual([]);
    },
  );

  it.each<[string, (socket: TLSSocket, raw: Socket) => void]>([
    ['ends the connection at once', (socket) => void socket.end()],
    ['cuts it off at once', (socket) => void socket.destroy()],
    ['cuts it off with the first bytes', (socket) => void socket.once('data', () => socket.destroy())],
    [
      'resets it when all was sent',
      (socket, raw) => void socket.once('end', () => raw.resetAndDestroy()).resume(),
    ],
  ])('takes nothing for delivered when the receiver %s', async (_, serve) => {
    const { port } = await receiver({}, serve);
    const large = sinkFor(port, { message: () => 'x'.repeat(2_000_000) });
    expect(await codeOf(large.deliver(some(0, 3), never))).toBe('sinks.broken_off');
    const small = sinkFor(port);
    expect(await codeOf(small.deliver(some(0, 1), never))).toBe('sinks.broken_off');
  });

  it('says that nobody listens', async () => {
    expect(await codeOf(sinkFor(await freePort()).deliver(some(0, 1), never))).toBe('sinks.unreachable');
  });

  it.each<[string, () => Promise<number>]>([
    [
      'does not shake hands',
      async () => {
        const server = createTcpServer(() => undefined).listen(0, '127.0.0.1');
        await once(server, 'listening');
        open.push(server);
        return (server.address() as AddressInfo).port;
      },
    ],
    ['does not read', async () => (await receiver({}, (socket) => void socket.pause())).port],
  ])('lets go of a receiver that %s when it is told to', async (_, start) => {
    const port = await start();
    const late = new AbortController();
    const sink = sinkFor(port, { message: () => 'x'.repeat(10_000_000) });
    const delivered = codeOf(sink.deliver(some(0, 5), late.signal));
    late.abort();
    expect(await delivered).toMatch(/^sinks\.(?:unreachable|broken_off)$/);
    await expect(sink.deliver(some(0, 1), late.signal)).rejects.toThrow();
  });

  it('sends again what it sent within ten seconds before it lost a receiver, which may have read and not kept it', async () => {
    const first = await receiver();
    const sink = sinkFor(first.port);
    nowMs = 1_000_000;
    await sink.deliver(some(0, 2), never);
    nowMs += 6000;
    await sink.deliver(some(2, 4), never);
    nowMs += 5000;
    await first.stop();
    expect(await codeOf(sink.deliver(some(4, 6), never))).toBe('sinks.unreachable');
    nowMs += 3_600_000;
    expect(await codeOf(sink.deliver(some(4, 6), never))).toBe('sinks.unreachable');
    const second = await receiver({ at: first.port });
    await sink.deliver(some(4, 7), never);
    expect(second.connections.map(readFrames)).toEqual([named(2, 7)]);
    await sink.deliver(some(7, 8), never);
    expect(readFrames(second.connections[1] ?? Buffer.alloc(0))).toEqual(named(7, 8));
  });
});
