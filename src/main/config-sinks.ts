import { z } from 'zod';
import { name, namesDiffer, path } from './config-fields.ts';

const common = {
  name,
  personal: z.enum(['include', 'omit']).default('omit'),
  from: z.enum(['start', 'now']).default('start'),
  types: z
    .array(z.string().regex(/^[a-z]+\.(?:[a-z_]+|\*)$/, 'a type of entry, or its first part and `.*`'))
    .min(1)
    .max(64)
    .optional(),
};
const anyFormat = z.enum(['rfc5424', 'cef', 'ocsf', 'json']);
// IANA counts them from 1; the default is the one of RFC 5612, for examples.
const enterprise = z.number().int().min(1).max(4_294_967_295).default(32_473);
const server = z
  .string()
  .regex(/^(?:\[[0-9a-fA-F:.]+\]|[^:\s/]+):\d{1,5}$/, 'a host and a port, e.g. siem.example.com:6514')
  .refine((text) => {
    const port = Number(text.slice(text.lastIndexOf(':') + 1));
    return port > 0 && port <= 65_535;
  }, 'a port from 1 to 65535');
export const url = z
  .string()
  .max(2048)
  .refine((text) => {
    const parsed = URL.parse(text);
    return parsed?.protocol === 'https:' && parsed.username + parsed.password + parsed.hash === '';
  }, 'an https:// address without user, password and fragment');

const mailbox = z
  .string()
  .max(254)
  .regex(/^[^\s@<>",;]{1,64}@[^\s@<>",;]{1,189}$/, 'an address, e.g. ops@example.com');

const sink = z.discriminatedUnion('kind', [
  z.strictObject({
    ...common,
    kind: z.literal('syslog'),
    format: anyFormat,
    server,
    'server-name': z.string().min(1).max(253).optional(),
    'ca-file': path,
    certificate: path,
    key: path,
    'enterprise-number': enterprise,
  }),
  z.strictObject({
    ...common,
    kind: z.literal('file'),
    format: anyFormat,
    path,
    'enterprise-number': enterprise,
  }),
  z
    .strictObject({
      ...common,
      kind: z.literal('webhook'),
      format: anyFormat.exclude(['rfc5424']),
      url,
      'ca-file': path.optional(),
      'secret-file': path,
      'authorization-file': path.optional(),
      body: z.enum(['lines', 'array']).default('lines'),
    })
    .superRefine(arraysHoldJson),
  z.strictObject({
    ...common,
    kind: z.literal('mail'),
    format: anyFormat.exclude(['rfc5424']),
    server,
    security: z.enum(['tls', 'starttls']).default('starttls'),
    'ca-file': path.optional(),
    login: z.strictObject({ user: z.string().min(1).max(256), 'password-file': path }).optional(),
    sender: mailbox,
    recipients: z.array(mailbox).min(1).max(32),
  }),
]);

/** Where copies of the log go. */
export const sinks = z
  .array(sink)
  .max(16)
  .superRefine(namesDiffer('sink'))
  .superRefine(filesDiffer)
  .default([]);

function arraysHoldJson(
  { format, body }: { readonly format: string; readonly body: string },
  context: z.RefinementCtx,
): void {
  if (body === 'lines' || format !== 'cef') return;
  const message = 'only JSON fits into an array; CEF is sent as lines';
  context.addIssue({ code: 'custom', path: ['body'], message });
}

function filesDiffer(
  all: readonly { readonly kind: string; readonly path?: string }[],
  context: z.RefinementCtx,
): void {
  const seen = new Set<string>();
  for (const [nth, { path: taken }] of all.entries()) {
    if (taken === undefined) continue;
    if (seen.has(taken))
      context.addIssue({ code: 'custom', path: [nth, 'path'], message: 'another sink writes to this file' });
    seen.add(taken);
  }
}

export type SinkConfig = z.output<typeof sink>;

/** The same sink with its paths made absolute by `full`. */
export function absoluteSink(config: SinkConfig, full: (relative: string) => string): SinkConfig {
  switch (config.kind) {
    case 'file':
      return { ...config, path: full(config.path) };
    case 'syslog':
      return {
        ...config,
        'ca-file': full(config['ca-file']),
        certificate: full(config.certificate),
        key: full(config.key),
      };
    case 'mail': {
      const { 'ca-file': caFile, login } = config;
      return {
        ...config,
        ...(caFile === undefined ? {} : { 'ca-file': full(caFile) }),
        ...(login === undefined
          ? {}
          : { login: { ...login, 'password-file': full(login['password-file']) } }),
      };
    }
    case 'webhook': {
      const { 'ca-file': caFile, 'authorization-file': authorizationFile } = config;
      return {
        ...config,
        'secret-file': full(config['secret-file']),
        ...(caFile === undefined ? {} : { 'ca-file': full(caFile) }),
        ...(authorizationFile === undefined ? {} : { 'authorization-file': full(authorizationFile) }),
      };
    }
  }
}
