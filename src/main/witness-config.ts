import { isIP } from 'node:net';
import { dirname, resolve } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { CodedError, printable } from '../kernel/index.ts';
import { readConfigured } from './read-configured.ts';

const path = z.string().min(1).max(4096);
const schema = z.strictObject({
  version: z.literal(1),
  listen: z
    .string()
    .regex(/^(?:\[[0-9a-fA-F:.]+\]|[^:\s]+):\d{1,5}$/, 'an address and a port, e.g. 127.0.0.1:8744')
    .refine((listen) => Number(listen.slice(listen.lastIndexOf(':') + 1)) <= 65_535, 'a port up to 65535'),
  name: z.string().regex(/^[A-Za-z0-9._:/-]{1,200}$/, 'a scheme-less URL, e.g. witness.example.com/w1'),
  key: path,
  state: path,
  logs: z.array(z.string().min(1).max(400)).min(1, 'the verifier key of at least one log').max(1000),
  tls: z.strictObject({ certificate: path, key: path }).optional(),
});

/** The configuration of a witness, checked, with every path made absolute against the file's own folder. */
export type WitnessConfig = Omit<z.output<typeof schema>, 'listen'> & {
  readonly host: string;
  readonly port: number;
};

/**
 * Reads and checks the configuration of a witness.
 * @throws CodedError `main.unreadable_config`, `main.invalid_config`, `keys.loose_permissions`
 */
export function loadWitnessConfig(file: string): WitnessConfig {
  const next = 'the path, or make a witness with `sallyport witness init DIR`';
  const text = readConfigured(file, 'The configuration', next).toString('utf8');
  let content: unknown;
  try {
    content = parse(text, { maxAliasCount: 0 });
  } catch (error) {
    throw invalid(file, [error instanceof Error ? (error.message.split('\n')[0] ?? '') : 'not YAML']);
  }
  const parsed = schema.safeParse(content);
  if (!parsed.success)
    throw invalid(
      file,
      parsed.error.issues.map((issue) => `${issue.path.map(String).join('.')}: ${issue.message}`),
    );
  const { listen, ...config } = parsed.data;
  const colon = listen.lastIndexOf(':');
  const [host, port] = [listen.slice(0, colon).replace(/^\[|\]$/g, ''), Number(listen.slice(colon + 1))];
  if (config.tls === undefined && !isLoopback(host))
    throw invalid(file, ['tls: an address that others reach needs a certificate']);
  const full = (relative: string): string => resolve(dirname(resolve(file)), relative);
  return {
    ...config,
    host,
    port,
    key: full(config.key),
    state: full(config.state),
    tls: config.tls && { certificate: full(config.tls.certificate), key: full(config.tls.key) },
  };
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

function invalid(file: string, problems: readonly string[]): CodedError {
  const shown = problems.slice(0, 20).map((problem) => `${file}: ${printable(problem, 300)}`);
  return new CodedError('main.invalid_config', `The configuration is not valid:\n  ${shown.join('\n  ')}`, {
    next: 'Correct these fields; docs/operations/witness.md describes each.',
  });
}
