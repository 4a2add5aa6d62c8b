import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { pipeline } from 'node:stream/promises';
import express, {
  type ErrorRequestHandler,
  type Express,
  type Request,
  type RequestHandler,
  type Response,
} from 'express';
import { z } from 'zod';
import { encodeHostRefusal, openSession, requireRole, type Caller } from '../../broker/index.ts';
import { CodedError, printable } from '../../kernel/index.ts';
import { readJson, readText } from './body.ts';
import { readiness } from './health.ts';
import type { HttpDoorOptions } from './server.ts';
import { openApiDocument } from './openapi.ts';
import { answerPki } from './pki.ts';
import { problemOf, retryAfterSeconds } from './problem.ts';
import { route, type Answer, type BytesAnswer, type Route } from './route.ts';
import { routes } from './routes.ts';
import { healthAnswer, readyAnswer } from './schemas.ts';

type AppOptions = Pick<HttpDoorOptions, 'rooms' | 'metrics' | 'log' | 'version' | 'metricsAllowed'>;

/** The express application: every route of the table, and problem documents for everything else. */
export function createApp(options: AppOptions): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('query parser', 'simple');
  app.use(frame(options));
  app.use(pki(options));
  app.use(dispatch(options));
  app.use(errorHandler(options));
  return app;
}

/** Lists and issuers, as the listener without TLS serves them. */
function pki({ rooms }: AppOptions): RequestHandler {
  return async (request, response, next) => {
    if (rooms.tls === undefined || !(await answerPki(rooms.tls, request, response, rooms.clock.nowMs())))
      next();
    else response.locals['route'] = '/pki';
  };
}

/** What every answer has, whatever becomes of the request; and one observation for each. */
function frame({ metrics }: AppOptions): RequestHandler {
  return (_request, response, next) => {
    const startedMs = performance.now();
    response.setHeader('X-Request-Id', randomUUID());
    response.setHeader('Cache-Control', 'no-store');
    response.setHeader('X-Content-Type-Options', 'nosniff');
    // Nothing here is a page: a browser that is led to an answer runs and frames nothing of it.
    response.setHeader('Content-Security-Policy', "default-src 'none'; frame-ancestors 'none'");
    response.once('close', () => {
      const route = response.locals['route'] as string | undefined;
      const code = response.locals['code'] as string | undefined;
      const seconds = (performance.now() - startedMs) / 1000;
      metrics.observeRequest(route ?? 'unmatched', response.statusCode, code, seconds);
    });
    next();
  };
}

/** The table, with the routes that need the application itself. */
export function allRoutes(
  options: Pick<AppOptions, 'metrics' | 'version' | 'metricsAllowed'>,
): readonly Route[] {
  const own: Route[] = [
    route({
      method: 'get',
      path: '/healthz',
      permission: 'public',
      summary: 'The process is alive.',
      answers: { status: 200, json: healthAnswer },
      handle: async () => ({ json: { status: 'ok' } }),
    }),
    route({
      method: 'get',
      path: '/readyz',
      permission: 'public',
      summary:
        'Each dependency and its state; 503 when logins cannot be answered. Details for operators only.',
      answers: { status: 200, others: [503], json: readyAnswer },
      async handle({ rooms }, { sourceAddress }) {
        const { ready, dependencies } = await readiness(rooms);
        const shown = options.metricsAllowed(sourceAddress)
          ? dependencies
          : dependencies.map(({ name, state }) => ({ name, state }));
        const status = ready ? 'ready' : 'not_ready';
        return { status: ready ? 200 : 503, json: { status, dependencies: shown } };
      },
    }),
    route({
      method: 'get',
      path: '/metrics',
      permission: 'operator',
      summary: 'Prometheus metrics.',
      answers: { status: 200, contentType: 'text/plain' },
      async handle({ rooms }) {
        return {
          contentType: options.metrics.contentType,
          bytes: Buffer.from(await options.metrics.render(rooms)),
        };
      },
    }),
    route({
      method: 'get',
      path: '/v1/openapi.json',
      permission: 'public',
      summary: 'This interface as OpenAPI 3.1.',
      answers: { status: 200, contentType: 'application/json' },
      handle: async () => ({ contentType: 'application/json', bytes: document }),
    }),
  ];
  const all = [...routes, ...own];
  const document = Buffer.from(JSON.stringify(openApiDocument(all, options.version)));
  return all;
}

/** Every path stands in the table letter by letter: one look-up finds it, and nothing else is near enough. */
function dispatch(options: AppOptions): RequestHandler {
  const byPath = new Map<string, Map<string, Route>>();
  for (const definition of allRoutes(options)) {
    const byMethod = byPath.get(definition.path) ?? new Map<string, Route>();
    byPath.set(definition.path, byMethod.set(definition.method.toUpperCase(), definition));
    // RFC 9110 section 9.3.2: what answers GET answers HEAD; node leaves out the body.
    if (definition.method === 'get') byMethod.set('HEAD', definition);
  }
  return async (request, response) => {
    const byMethod = byPath.get(request.path);
    if (byMethod === undefined) throw notFound();
    const definition = byMethod.get(request.method);
    if (definition === undefined) {
      // RFC 9110 section 15.5.6: a 405 says what the path takes.
      const allowed = [...byMethod.keys()].join(', ');
      response.setHeader('Allow', allowed);
      throw methodNotAllowed(allowed);
    }
    response.locals['route'] = definition.path;
    response.locals['text'] = definition.text !== undefined;
    const caller = callerOf(request, String(response.getHeader('X-Request-Id')));
    const answer = await answerTo(definition, options, { request, response, caller });
    await send(response, request, definition, answer);
  };
}

/** Permission first, then the shape of the request, then the flow. */
async function answerTo(
  definition: Route,
  options: AppOptions,
  { request, response, caller }: { request: Request; response: Response; caller: Caller },
): Promise<Answer> {
  const { rooms } = options;
  const proof = { proof: oneHeader(request, 'dpop'), method: request.method, path: request.path };
  const asked = async (): Promise<Parameters<Route['handle']>[0]> => ({
    rooms,
    proof,
    gone: () => goneSignal(response),
    text: definition.text === undefined ? Buffer.alloc(0) : await readText(request, definition.text.maxBytes),
    query: parse(definition.query ?? nothing, request.query, 'query'),
    body: definition.body && parse(definition.body, await readJson(request), 'body'),
  });
  switch (definition.permission) {
    case 'public':
      return definition.handle(await asked(), caller);
    case 'operator':
      if (!options.metricsAllowed(caller.sourceAddress)) throw notForStrangers();
      return definition.handle(await asked(), caller);
    case 'session':
    case 'admin':
    case 'admin-or-auditor': {
      const signedIn = await openSession(rooms, { ...proof, token: tokenOf(request) }, caller);
      await requireRole(rooms, definition.permission, definition.path, signedIn);
      return definition.handle(await asked(), signedIn);
    }
  }
}

/** Beyond the 300 seconds that a host may ask for. */
const longestWaitMs = 330_000;

/** Fires when the connection closes before the answer is out. */
function goneSignal(response: Response): AbortSignal {
  // Longer than the longest wait, instead of the silence that other requests are allowed; node sets it back with the next request.
  response.socket?.setTimeout(longestWaitMs);
  const gone = new AbortController();
  if (response.destroyed) gone.abort();
  // An answer that is out is the end of it: aborting would cost as much as reading the host did.
  else response.once('close', () => !response.writableFinished && gone.abort());
  return gone.signal;
}

const nothing = z.strictObject({});

function notForStrangers(): CodedError {
  return new CodedError('http.not_permitted', 'Your address may not read this.', {
    next: 'Ask from an address that `metrics.allow` in the configuration names.',
  });
}

function parse(schema: z.ZodType, value: unknown, where: string): unknown {
  const parsed = schema.safeParse(value ?? {});
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.slice(0, 8).map((issue) => {
    const path = [where, ...issue.path.map(String)].join('.');
    return printable(`${path}: ${issue.message}`, 200);
  });
  throw new CodedError(
    'http.bad_request',
    `The request does not have the right shape: ${problems.join('; ')}.`,
    {
      next: 'See /v1/openapi.json for what this route takes.',
    },
  );
}

function tokenOf(request: Request): string {
  const header = oneHeader(request, 'authorization');
  const token = /^DPoP ([A-Za-z0-9_-]{1,128})$/i.exec(header ?? '')?.[1];
  if (token !== undefined) return token;
  throw new CodedError('http.unauthenticated', 'This needs a session: `Authorization: DPoP …`.', {
    next: 'Log in with `sallyport login`.',
  });
}

/** A header that came exactly once: node joins repeated ones with a comma. */
function oneHeader(request: IncomingMessage, name: string): string | undefined {
  const values = request.headersDistinct[name];
  return values?.length === 1 ? values[0] : undefined;
}

function callerOf(request: Request, requestId: string): Caller {
  const address = request.socket.remoteAddress ?? '';
  const userAgent = oneHeader(request, 'user-agent');
  return {
    requestId,
    sourceAddress: address.startsWith('::ffff:') ? address.slice(7) : address,
    ...(userAgent === undefined ? {} : { userAgent: printable(userAgent, 200) }),
  };
}

async function send(response: Response, request: Request, definition: Route, answer: Answer): Promise<void> {
  if (answer === 'nothing') {
    response.status(204).end();
    return;
  }
  if (!('bytes' in answer)) {
    const body = Buffer.from(JSON.stringify(answer.json));
    response.writeHead(answer.status ?? definition.answers.status, {
      'Content-Type': 'application/json; charset=utf-8',
      'Content-Length': body.length,
    });
    response.end(body);
    return;
  }
  await sendBytes(response, request, answer);
}

async function sendBytes(response: Response, request: Request, answer: BytesAnswer): Promise<void> {
  response.setHeader('Content-Type', answer.contentType);
  if (answer.fileName !== undefined)
    response.setHeader('Content-Disposition', `attachment; filename="${answer.fileName}"`);
  if (answer.etag !== undefined) {
    response.setHeader('ETag', answer.etag);
    response.setHeader('Cache-Control', 'no-cache');
    const known = (request.headers['if-none-match'] ?? '')
      .split(',')
      .map((tag) => tag.trim().replace(/^W\//, ''));
    if (known.includes(answer.etag) || known.includes('*')) {
      response.status(304).end();
      return;
    }
  }
  if (Buffer.isBuffer(answer.bytes)) {
    response.setHeader('Content-Length', answer.bytes.length);
    response.end(answer.bytes);
    return;
  }
  await pipeline(answer.bytes, response);
}

function methodNotAllowed(allowed: string): CodedError {
  return new CodedError('http.method_not_allowed', 'This path does not take this method.', {
    next: `It takes ${allowed}; see /v1/openapi.json.`,
  });
}

function notFound(): CodedError {
  return new CodedError('http.not_found', 'There is nothing at this path.', {
    next: 'See /v1/openapi.json.',
  });
}

function errorHandler({ log }: Pick<AppOptions, 'log'>): ErrorRequestHandler {
  return (thrown: unknown, request, response, _next) => {
    const requestId = String(response.getHeader('X-Request-Id'));
    const problem = problemOf(thrown, requestId);
    response.locals['code'] = problem.code;
    const told = { requestId, path: request.path.slice(0, 200), code: problem.code, status: problem.status };
    if (response.destroyed) log.info(told, 'the client went away');
    else if (problem.status >= 500) log.error({ ...told, err: thrown }, 'request failed');
    else log.info(told, 'request refused');
    if (response.headersSent || response.destroyed) {
      // A stream broke half-way: cut it off, so that the reader cannot take a part for the whole.
      response.destroy();
      return;
    }
    const retryAfter = retryAfterSeconds(problem);
    if (retryAfter !== undefined) response.setHeader('Retry-After', String(retryAfter));
    if (problem.status === 401) response.setHeader('WWW-Authenticate', 'DPoP algs="ES256 EdDSA"');
    // The rest of a refused body is not read: the connection goes with the answer.
    if (!request.complete) response.setHeader('Connection', 'close');
    if (response.locals['text'] === true && request.accepts(['json', 'text']) === 'text') {
      response.status(problem.status).type('text/plain').send(encodeHostRefusal(problem));
      return;
    }
    response.status(problem.status).type('application/problem+json').send(JSON.stringify(problem));
  };
}
