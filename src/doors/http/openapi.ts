import { z } from 'zod';
import type { Permission, Route } from './route.ts';
import { problem } from './schemas.ts';

const who: Readonly<Record<Permission, string>> = {
  public: 'Anyone.',
  operator: 'Addresses that the configuration names.',
  session: 'Any live session.',
  admin: 'Sessions with the role admin.',
  'admin-or-auditor': 'Sessions with the role admin or auditor.',
};

/** OpenAPI 3.1, made from the very schemas that parse requests. */
export function openApiDocument(routes: readonly Route[], version: string): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const route of routes) (paths[route.path] ??= {})[route.method] = operation(route);
  return {
    openapi: '3.1.0',
    info: {
      title: 'Sallyport',
      version,
      description:
        'SSH certificate authority and access broker. 64-bit numbers are decimal strings; times are RFC 3339.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    paths,
    components: {
      securitySchemes: {
        dpop: {
          type: 'apiKey',
          in: 'header',
          name: 'Authorization',
          description: '`DPoP <token>` beside a DPoP proof header (RFC 9449).',
        },
      },
      schemas: { Problem: jsonSchema(problem, 'output') },
    },
  };
}

function operation(route: Route): object {
  const { status, others = [], json, contentType } = route.answers;
  const content =
    json === undefined ? undefined : { 'application/json': { schema: jsonSchema(json, 'output') } };
  const bytes = contentType === undefined ? undefined : { [contentType]: {} };
  const answer = content ?? bytes;
  return {
    summary: route.summary,
    description: `Permission: ${who[route.permission]}`,
    'x-permission': route.permission,
    security: route.permission === 'public' || route.permission === 'operator' ? [] : [{ dpop: [] }],
    ...(route.query === undefined ? {} : { parameters: parameters(route.query) }),
    ...(route.text === undefined
      ? {}
      : { requestBody: { required: true, content: { 'text/plain': { schema: { type: 'string' } } } } }),
    ...(route.body === undefined
      ? {}
      : {
          requestBody: {
            required: true,
            content: { 'application/json': { schema: jsonSchema(route.body, 'input') } },
          },
        }),
    responses: {
      [String(status)]: { description: 'Done.', ...(answer === undefined ? {} : { content: answer }) },
      ...Object.fromEntries(others.map((other) => [String(other), otherAnswer(other, answer)])),
      default: {
        description: 'Refused or failed.',
        content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
      },
    },
  };
}

function otherAnswer(status: number, content: object | undefined): object {
  return status === 304 || content === undefined
    ? { description: 'What you have is still in force.' }
    : { description: 'Not now; the answer says why.', content };
}

function parameters(query: z.ZodType): object[] {
  const schema = jsonSchema(query, 'input') as { readonly properties?: Readonly<Record<string, object>> };
  return Object.entries(schema.properties ?? {}).map(([name, field]) => ({
    name,
    in: 'query',
    required: false,
    schema: field,
  }));
}

function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): object {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, { io });
  return rest;
}
