import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { LogDelivery, type Sink, type StoredEntry } from '../../../src/broker/index.ts';
import { createWebhookSink, type WebhookSinkOptions } from '../../../src/doors/sinks/index.ts';
import { isCodedError, systemClock, systemRandom, systemStopwatch } from '../../../src/kernel/index.ts';
import { codeOf } from '../../support/code-of.ts';
import { freePort } from '../../support/free-port.ts';
import { describeWithPeers } from '../../support/peers.ts';
import { makeSinkTls, type Holder, type SinkTls } from '../../support/sink-tls.ts';
import { entries, entry, implementations, start } from '../../contract/store-fixture.ts';
import { storedEntries } from './stored.ts';

const all = storedEntries(Array.from({ length: 20 }, () => entry()));
const some = (from: number, to: number): readonly StoredEntry[] => all.slice(from, to);
const never = new AbortController().signal;
const secret = Buffer.from('a secret that only two know');

interface Posted {
  readonly method: string | undefined;
  readonly path: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

describeWithPeers(['openssl'], 'a webhook', () => {
  let folder: string;
  let tls: SinkTls;
  const open: Server[] = [];
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'sallyport-sink-'));
    tls = makeSinkTls(folder);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  afterEach(() => {
    for (const server of open.splice(0)) {
      server.close();
      server.closeAllConnections();
    }
  });

  /** A real HTTPS server of our own, that keeps what it gets and answers as it is told. */
  async function farEnd(
    answer: (response: ServerResponse, request: IncomingMessage) => void = (response) => response.end(),
    holder: Holder = 'server',
  ): Promise<{ readonly port: number; readonly posted: Posted[] }> {
    const posted: Posted[] = [];
    const server = createServer(
      { cert: tls.pem(tls.certificateFile(holder)), key: tls.pem(tls.keyFile(holder)) },
      (request, response) => {
        let body = '';
        request.setEncoding('utf8');
        request.on('data', (chunk: string) => (body += chunk));
        request.on('end', () => {
          const { method, url: path, headers } = request;
          posted.push({ method, path, headers, body });
          answer(response, request);
        });
      },
    );
    server.on('tlsClientError', () => undefined);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    open.push(server);
    return { port: (server.address() as AddressInfo).port, posted };
  }

  const sinkFor = (port: number, over: Partial<WebhookSinkOptions> = {}): Sink =>
    createWebhookSink({
      name: 'hook',
      format: 'json',
      url: new URL(`https://127.0.0.1:${port}/in?x=1`),
      ca: tls.pem(tls.caFile),
      secret: () => secret,
      body: 'lines',
      contentType: 'application/x-ndjson',
      line: ({ index }) => `{"n":${index},"t":"é"}`,
      origin: 'broker.example.com/accounting/1',
      version: '0.1.0',
      clock: { nowMs: () => start },
      ...over,
    });
  const failure = async (work: Promise<unknown>): Promise<{ code: string; after: unknown }> => {
    try {
      await work;
    } catch (error) {
      if (isCodedError(error)) return { code: error.code, after: error.details['retryAfterSeconds'] };
      throw error;
    }
    return { code: 'accepted', after: undefined };
  };

  it('posts lines with a signature over time and body, and a key for this very batch', async () => {
    const { port, posted } = await farEnd();
    await sinkFor(port).deliver(some(3, 6), never);
    const [{ method, path, headers, body }] = posted as [Posted];
    expect([method, path]).toEqual(['POST', '/in?x=1']);
    expect(body).toBe('{"n":3,"t":"é"}\n{"n":4,"t":"é"}\n{"n":5,"t":"é"}\n');
    expect(headers).toMatchObject({
      'content-type': 'application/x-ndjson',
      'content-length': String(Buffer.byteLength(body)),
      'user-agent': 'sallyport/0.1.0',
      'idempotency-key': 'broker.example.com/accounting/1:3-5',
    });
    expect(headers).not.toHaveProperty('authorization');
    // As docs/operations/sinks.md tells the far end to check it.
    const [, seconds = '', mac = ''] =
      /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(headers['sallyport-signature'])) ?? [];
    expect(Number(seconds)).toBe(start / 1000);
    expect(createHmac('sha256', secret).update(`${seconds}.${body}`).digest('hex')).toBe(mac);
  });

  it('posts one array where it is told to, and an authorization where there is one', async () => {
    const { port, posted } = await farEnd();
    const over = {
      body: 'array',
      contentType: 'application/json',
      authorization: () => 'Splunk abc',
    } as const;
    await sinkFor(port, over).deliver(some(0, 2), never);
    expect(JSON.parse(posted[0]?.body ?? '')).toEqual([
      { n: 0, t: 'é' },
      { n: 1, t: 'é' },
    ]);
    expect(posted[0]?.headers).toMatchObject({
      authorization: 'Splunk abc',
      'content-type': 'application/json',
    });
  });

  it.each([200, 201, 202, 204])('takes %d for delivered', async (status) => {
    const { port } = await farEnd((response) => response.writeHead(status).end());
    expect(await codeOf(sinkFor(port).deliver(some(0, 1), never))).toBe('accepted');
  });

  it.each([
    [301, 'sinks.refused'],
    [302, 'sinks.refused'],
    [307, 'sinks.refused'],
    [308, 'sinks.refused'],
    [400, 'sinks.refused'],
    [401, 'sinks.refused'],
    [404, 'sinks.refused'],
    [413, 'sinks.refused'],
    [429, 'sinks.busy'],
    [500, 'sinks.refused'],
    [503, 'sinks.busy'],
  ])('takes %d for a failure, and follows nothing', async (status, code) => {
    const elsewhere = await farEnd();
    const { port } = await farEnd((response) =>
      response.writeHead(status, { Location: `https://127.0.0.1:${elsewhere.port}/` }).end('no'),
    );
    expect(await codeOf(sinkFor(port).deliver(some(0, 1), never))).toBe(code);
    expect(elsewhere.posted).toEqual([]);
  });

  it.each([
    ['7', 7],
    [new Date(start + 90_000).toUTCString(), 90],
    [new Date(start - 90_000).toUTCString(), 0],
    ['soon', undefined],
    ['-1', undefined],
    ['99999999999999', undefined],
  ])('understands Retry-After: %s', async (value, seconds) => {
    const { port } = await farEnd((response) => response.writeHead(503, { 'Retry-After': value }).end());
    expect(await failure(sinkFor(port).deliver(some(0, 1), never))).toEqual({
      code: 'sinks.busy',
      after: seconds,
    });
  });

  it('does not let other answers than 429 and 503 say when', async () => {
    const { port } = await farEnd((response) => response.writeHead(500, { 'Retry-After': '500' }).end());
    expect((await failure(sinkFor(port).deliver(some(0, 1), never))).after).toBeUndefined();
  });

  it.each<[string, Holder, (t: SinkTls) => string]>([
    ['another authority', 'stranger', (t) => t.caFile],
    ['another name', 'elsewhere', (t) => t.caFile],
    ['an authority that is not the one configured', 'server', (t) => t.strangerCaFile],
  ])('sends nothing to a server of %s', async (_, holder, ca) => {
    const { port, posted } = await farEnd(undefined, holder);
    expect(await codeOf(sinkFor(port, { ca: tls.pem(ca(tls)) }).deliver(some(0, 1), never))).toBe(
      'sinks.untrusted',
    );
    expect(posted).toEqual([]);
  });

  it('does not trust a private authority that nobody configured', async () => {
    const { port } = await farEnd();
    const { ca: _none, ...options } = { ca: '', url: new URL(`https://127.0.0.1:${port}/`) };
    const sink = createWebhookSink({
      ...options,
      name: 'hook',
      format: 'json',
      secret: () => secret,
      body: 'lines',
      contentType: 'text/plain',
      line: () => '',
      origin: 'x',
      version: '1',
      clock: systemClock,
    });
    expect(await codeOf(sink.deliver(some(0, 1), never))).toBe('sinks.untrusted');
  });

  it.each<[string, (response: ServerResponse) => void, string]>([
    ['cuts off before an answer', (response) => void response.destroy(), 'sinks.broken_off'],
    [
      'cuts off in the middle of the head',
      (response) => void response.socket?.end('HTTP/1.1 2'),
      'sinks.broken_off',
    ],
    ['answers no HTTP', (response) => void response.socket?.end('220 smtp\r\n\r\n'), 'sinks.broken_off'],
    [
      'answers a head without end',
      (response) => void response.socket?.write(`HTTP/1.1 200 OK\r\n${'x: y\r\n'.repeat(20_000)}`),
      'sinks.broken_off',
    ],
  ])('fails when the far end %s', async (_, answer, code) => {
    const { port } = await farEnd(answer);
    expect(await codeOf(sinkFor(port).deliver(some(0, 1), never))).toBe(code);
  });

  it('says that nobody listens', async () => {
    expect(await codeOf(sinkFor(await freePort()).deliver(some(0, 1), never))).toBe('sinks.unreachable');
  });

  it('does not wait for the body of a good answer, nor read more than a little of it', async () => {
    let closed: Promise<unknown> | undefined;
    const { port } = await farEnd((response) => {
      closed = once(response, 'close');
      response.writeHead(200);
      const more = (): void => {
        while (response.write('x'.repeat(10_000)));
        response.once('drain', more);
      };
      more();
    });
    await sinkFor(port).deliver(some(0, 1), never);
    // The far end would go on for ever.
    await closed;
  });

  it('lets go of a far end that hangs when it is told to', async () => {
    const asked: (() => void)[] = [];
    const { port } = await farEnd(() => asked.shift()?.());
    const late = new AbortController();
    const arrived = new Promise<void>((resolve) => asked.push(resolve));
    const delivered = codeOf(sinkFor(port).deliver(some(0, 1), late.signal));
    await arrived;
    late.abort();
    expect(await delivered).toBe('sinks.broken_off');
    await expect(sinkFor(port).deliver(some(0, 1), late.signal)).rejects.toThrow();
  });

  it('gets everything in order out of a delivery although it fails, is busy, breaks off and is slow', async () => {
    const seen: number[] = [];
    let request = 0;
    const { port, posted } = await farEnd((response) => {
      request += 1;
      if (request === 1) return void response.writeHead(500).end();
      if (request === 2) return void response.writeHead(429, { 'Retry-After': '0' }).end();
      if (request === 3) return void response.destroy();
      for (const line of posted.at(-1)?.body.trimEnd().split('\n') ?? [])
        seen.push((JSON.parse(line) as { n: number }).n);
      // Taken, and the answer lost: the same entries come again.
      if (request === 4) return void response.destroy();
      return void setTimeout(() => response.writeHead(202).end(), 20);
    });
    const place = (implementations[0] as (typeof implementations)[number]).newPlace();
    const store = await place.open();
    await store.commit({ entries: entries(30) });
    const delivery = new LogDelivery({
      store,
      sinks: [{ sink: sinkFor(port), from: 'start' }],
      clock: systemClock,
      stopwatch: systemStopwatch,
      random: systemRandom,
      tell: () => undefined,
      // As fast as it goes: how long it waits is tested with a clock of its own.
      pause: (_milliseconds, signal) =>
        new Promise((resolve) => {
          const timer = setTimeout(resolve, Math.min(_milliseconds, 10_000) / 10);
          signal.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true });
        }),
    });
    delivery.start();
    await expect.poll(async () => (await delivery.states())[0]?.lag, { timeout: 30_000 }).toBe(0n);
    await delivery.stop();
    await store.close();
    place.remove();
    expect([...new Set(seen)]).toEqual(Array.from({ length: 30 }, (_, nth) => nth));
    expect(seen.length).toBeGreaterThan(30);
  });
});
