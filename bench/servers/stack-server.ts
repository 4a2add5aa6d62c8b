// One side of target 17, plain HTTP: `product` answers GET /healthz with the product's own express application, all of its
// middleware included; `bare` gives the same answer from node:http and nothing else. Arguments: which, port.
import { createServer } from 'node:http';
import type { RequestListener } from 'node:http';
import { pino } from 'pino';
import type { Rooms } from '../../src/broker/index.ts';
import { createApp } from '../../src/doors/http/app.ts';
import { createMetrics } from '../../src/doors/http/index.ts';

const [which, port] = process.argv.slice(2);

const bare: RequestListener = (_request, response) => {
  const body = Buffer.from(JSON.stringify({ status: 'ok' }));
  response.writeHead(200, {
    'Content-Type': 'application/json; charset=utf-8',
    'Content-Length': body.length,
  });
  response.end(body);
};

function product(): RequestListener {
  return createApp({
    // Being alive asks no room anything.
    rooms: {} as Rooms,
    metrics: createMetrics(),
    log: pino({ level: 'silent' }),
    version: 'bench',
    metricsAllowed: () => false,
  });
}

const server = createServer({ keepAliveTimeout: 65_000 }, which === 'product' ? product() : bare);
server.listen(Number(port), '127.0.0.1', () => process.stdout.write('ready\n'));
process.once('SIGTERM', () => process.exit(0));
