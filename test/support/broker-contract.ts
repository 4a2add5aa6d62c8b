import { routes } from '../../src/doors/http/routes.ts';
import { problem } from '../../src/doors/http/schemas.ts';
import type { Recorded, StubAnswer } from './broker-stub.ts';

/** The very table that the broker serves and that /v1/openapi.json is made from, by `METHOD /path`. */
const byName = new Map(routes.map((route) => [`${route.method.toUpperCase()} ${route.path}`, route]));

/** @returns what is wrong with a question that the broker's schemas would refuse, or undefined. */
export function requestFault(asked: Recorded): string | undefined {
  const name = `${asked.method} ${asked.path}`;
  const route = byName.get(name);
  if (route === undefined) return `${name}: there is no such route`;
  if (route.body === undefined && asked.body !== undefined) return `${name}: it takes no body`;
  if (route.query === undefined && Object.keys(asked.query).length > 0) return `${name}: it takes no query`;
  const [body, query] = [route.body?.safeParse(asked.body), route.query?.safeParse(asked.query)];
  const error = body?.error ?? query?.error;
  return error === undefined ? undefined : `${name}: ${error.message}`;
}

/** @returns what is wrong with an answer that the broker cannot give, or undefined. */
export function answerFault(asked: Recorded, { status = 200, body }: StubAnswer): string | undefined {
  const name = `${asked.method} ${asked.path}`;
  const answers = byName.get(name)?.answers;
  if (answers === undefined) return `${name}: there is no such route`;
  if (status >= 400) {
    const { error } = problem.safeParse(body);
    return error === undefined ? undefined : `${name}: the problem document: ${error.message}`;
  }
  if (status !== answers.status) return `${name}: it answers ${answers.status}, not ${status}`;
  if (answers.json !== undefined) {
    const { error } = answers.json.safeParse(body);
    return error === undefined ? undefined : `${name}: the answer: ${error.message}`;
  }
  const isBytes = typeof body === 'string' || Buffer.isBuffer(body);
  if (isBytes !== (answers.contentType !== undefined)) return `${name}: bytes where none belong, or none`;
  return undefined;
}
