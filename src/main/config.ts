import { dirname, resolve } from 'node:path';
import { isUtf8 } from 'node:buffer';
import { isMap, isNode, isScalar, LineCounter, parseDocument, visit, type Document } from 'yaml';
import { z } from 'zod';
import { parseOrigin } from '../accounting/index.ts';
import { CodedError, isCodedError, printable, sha256 } from '../kernel/index.ts';
import { departures } from './config-departures.ts';
import { duration, name, namesDiffer, path } from './config-fields.ts';
import { absoluteQuarantine, responses } from './config-responses.ts';
import { absoluteSink, sinks } from './config-sinks.ts';
import { absoluteTlsAuthority, tlsAuthority } from './config-tls.ts';
import { readConfigured } from './read-configured.ts';
import { isNetwork } from './address-filter.ts';
import { databaseUrlForm, isDatabaseUrl } from './database.ts';

const text = z.string().min(1).max(1024);
const texts = z.array(text).max(64);
const milliseconds = z.number().int();
const sessionLifetime = duration.refine(
  (lifetimeMs) => lifetimeMs >= 300_000 && lifetimeMs <= 86_400_000,
  'between 5m and 24h',
);
const shortTime = duration.refine((timeMs) => timeMs <= 3_600_000, 'at most 1h');
const keyFingerprint = z
  .string()
  .regex(/^SHA256:[A-Za-z0-9+/]{43}$/, 'a fingerprint as `ssh-keygen -l` prints it');
const retention = duration.refine((keepMs) => keepMs >= 86_400_000, 'a day or more, e.g. 90d');
const logOrigin = z.string().refine((name) => {
  try {
    return parseOrigin(name) !== '';
  } catch (error) {
    if (isCodedError(error, 'accounting.bad_origin')) return false;
    throw error;
  }
}, '1 to 200 letters, digits and . _ : / -, e.g. broker.example.com/accounting/1');
const network = z.string().refine(isNetwork, 'an address or a network, e.g. 10.0.0.0/8 or ::1/128');

const connection = {
  tls: z.enum(['starttls', 'none-i-accept-clear-text-passwords']).optional(),
  'ca-file': path.optional(),
  service: z.strictObject({ dn: text, 'password-file': path }).optional(),
  'connect-timeout-ms': milliseconds.optional(),
  'request-timeout-ms': milliseconds.optional(),
  'max-connections': z.number().int().optional(),
  'max-waiting': z.number().int().optional(),
  attributes: texts.optional(),
  'user-filter': text.optional(),
};

const directory = z.discriminatedUnion('kind', [
  z.strictObject({ name, kind: z.literal('built-in'), file: path }),
  z.strictObject({
    name,
    kind: z.literal('ldap'),
    servers: texts.min(1),
    people: texts.min(1),
    groups: texts.default([]),
    ...connection,
    'login-attribute': text.optional(),
    'login-form': z.enum(['name', 'mail']).optional(),
    'id-attribute': text.optional(),
    'display-name-attribute': text.optional(),
    'dn-template': text.optional(),
    'group-styles': z.array(z.enum(['member', 'uniqueMember', 'memberUid'])).optional(),
    'group-filter': text.optional(),
    'nested-groups': z.boolean().optional(),
    'max-group-depth': z.number().int().optional(),
    'max-groups': z.number().int().optional(),
    'password-policy-dn': text.optional(),
    watch: z.enum(['sync', 'timestamps']).optional(),
  }),
  z.strictObject({
    name,
    kind: z.literal('active-directory'),
    domain: text,
    'netbios-name': text.optional(),
    'upn-suffixes': texts.optional(),
    servers: texts.optional(),
    'dns-servers': texts.optional(),
    watch: z.enum(['dirsync', 'usn']).optional(),
    people: texts.optional(),
    ...connection,
  }),
]);

/** One line, or the fields of it. */
const database = z.preprocess(
  (value) => (typeof value === 'string' ? { url: value } : value),
  z.strictObject({
    url: z.string().max(4096).refine(isDatabaseUrl, databaseUrlForm),
    'password-file': path.optional(),
    'ca-file': path.optional(),
    tls: z.literal('none-i-accept-clear-text').optional(),
  }),
);

const origin = z
  .string()
  .regex(/^https:\/\/[^/?#\s]+$/, 'scheme, host and port only, e.g. https://broker.example.com:8443');

const passphrase = z.union([
  z.strictObject({ file: path }),
  z.strictObject({ environment: z.string().regex(/^[A-Z_][A-Z0-9_]{0,63}$/) }),
  z.strictObject({ prompt: z.literal(true) }),
]);

const schema = z.strictObject({
  version: z.literal(1),
  listen: z
    .string()
    .regex(/^(?:\[[0-9a-fA-F:.]+\]|[^:\s]+):\d{1,5}$/, 'an address and a port, e.g. 127.0.0.1:8443')
    .refine((listen) => !(Number(listen.slice(listen.lastIndexOf(':') + 1)) > 65_535), 'a port up to 65535'),
  origins: z.array(origin).min(1).max(64),
  tls: z.strictObject({ certificate: path, key: path }),
  data: path.optional(),
  database: database.optional(),
  policy: path,
  keys: z.strictObject({ folder: path, passphrase }),
  log: z.strictObject({
    origin: logOrigin,
    checkpoint: path.default('log-checkpoint'),
    witnesses: path.optional(),
    'witness-ca-file': path.optional(),
    retention: z
      .strictObject({ addresses: retention, names: retention, reasons: retention })
      .partial()
      .default({}),
    level: z.enum(['debug', 'info', 'warn', 'error']).default('info'),
  }),
  sessions: z
    .strictObject({ lifetime: sessionLifetime.default(12 * 3_600_000) })
    .default({ lifetime: 12 * 3_600_000 }),
  limits: z
    .strictObject({ 'certificates-per-hour': z.number().int().min(1).max(1_000_000_000).default(600) })
    .default({ 'certificates-per-hour': 600 }),
  logins: z
    .strictObject({
      hold: shortTime.default(30_000),
      grace: shortTime.default(60_000),
      'clock-skew': shortTime.default(5_000),
      'events-per-hour': z.number().int().min(1000).max(1_000_000).default(20_000),
      'break-glass-keys': z.array(keyFingerprint).max(256).default([]),
      responses,
    })
    .prefault({}),
  departures,
  hosts: z.strictObject({ url: origin.optional(), 'ca-file': path.optional() }).default({}),
  metrics: z.strictObject({ allow: z.array(network).max(64) }).default({ allow: ['127.0.0.0/8', '::1/128'] }),
  directories: z.array(directory).min(1).max(16).superRefine(namesDiffer('directory')),
  sinks,
  'tls-authority': tlsAuthority,
});
function hasStore({ data, database }: z.output<typeof schema>, context: z.RefinementCtx): void {
  if (data !== undefined || database !== undefined) return;
  const message = 'the folder of the SQLite database, or `database` for PostgreSQL';
  context.addIssue({ code: 'custom', path: ['data'], message });
}

/** The configuration file, checked, with every path made absolute against the file's own folder. */
export type Config = z.output<typeof schema> & {
  /** Hex SHA-256 of the file, for the log. */
  readonly sha256: string;
};
export type DatabaseConfig = NonNullable<Config['database']>;
export type DirectoryConfig = Config['directories'][number];

/**
 * What looks like a slip and may be meant: clients go to the origins and prove that they did, so one of them usually names the
 * port that the broker listens on. @returns a sentence for the operator, or undefined
 */
export function originsHint({ listen, origins }: Config): string | undefined {
  const port = listen.slice(listen.lastIndexOf(':') + 1);
  if (origins.some((origin) => (new URL(origin).port || '443') === port)) return undefined;
  return `It listens on port ${port}, and none of its origins names that port: clients reach it only if something in front passes on what comes to ${origins[0]}.`;
}

/**
 * Reads and checks a configuration file; every mistake is named with file, line and column, all at once.
 * @throws CodedError `main.unreadable_config`, `main.invalid_config`
 */
export function loadConfig(file: string): Config {
  const source = readSource(file);
  const lines = new LineCounter();
  const document = parseDocument(source, { lineCounter: lines, uniqueKeys: true });
  const at = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `${file}:${Math.max(1, line)}:${Math.max(1, col)}`;
  };
  // A tag that means nothing here is a warning to the library, and a mistake to us.
  const faults = [...document.errors, ...document.warnings].map(
    ({ pos, message }) => `${at(pos[0])}: ${message.split('\n')[0] ?? ''}`,
  );
  visit(document, {
    Alias: (_key, { range, source: name }) => {
      faults.push(`${at(range?.[0] ?? 0)}: *${name}: anchors and aliases are not used here; write it out`);
    },
  });
  if (faults.length > 0) throw invalid(faults);
  const parsed = schema.superRefine(hasStore).safeParse(document.toJS());
  if (!parsed.success) {
    throw invalid(
      parsed.error.issues.map((issue) => {
        const field = issue.path.map(String).join('.');
        const extra = issue.code === 'unrecognized_keys' ? issue.keys[0] : undefined;
        const where = at(
          offsetOf(document, [...issue.path.map(asKey), ...(extra === undefined ? [] : [extra])]),
        );
        return `${where}: ${field === '' ? '' : `${field}: `}${issue.message}`;
      }),
    );
  }
  return { ...absolute(parsed.data, dirname(resolve(file))), sha256: sha256(source).toString('hex') };
}

function asKey(part: PropertyKey): string | number {
  return typeof part === 'number' ? part : String(part);
}

function readSource(file: string): string {
  const next = 'the path, or make a configuration with `sallyport init DIR`';
  const bytes = readConfigured(file, 'The configuration', next);
  if (isUtf8(bytes)) return bytes.toString('utf8');
  throw new CodedError('main.unreadable_config', `The configuration ${file} is not UTF-8.`, {
    next: 'Save it as UTF-8.',
  });
}

/** Where in the text the value (or, for an unknown key, the key) at a path begins; the nearest parent that exists otherwise. */
function offsetOf(document: Document, path: readonly (string | number)[]): number {
  let offset = 0;
  for (let depth = 1; depth <= path.length; depth += 1) {
    const parent = depth === 1 ? document.contents : document.getIn(path.slice(0, depth - 1), true);
    const key = path[depth - 1];
    if (isMap(parent)) {
      const pair = parent.items.find((item) => isScalar(item.key) && item.key.value === key);
      if (isScalar(pair?.key) && pair.key.range) offset = pair.key.range[0];
    }
    const node = document.getIn(path.slice(0, depth), true);
    if (typeof key === 'number' && isNode(node) && node.range) offset = node.range[0];
  }
  return offset;
}

function invalid(problems: readonly string[]): CodedError {
  const shown = problems.slice(0, 20).map((problem) => printable(problem, 300));
  return new CodedError('main.invalid_config', `The configuration is not valid:\n  ${shown.join('\n  ')}`, {
    next: 'Correct these lines; docs/operations/configuration.md describes every field.',
  });
}

function absoluteDatabase(database: DatabaseConfig, full: (relative: string) => string): DatabaseConfig {
  const { 'password-file': passwordFile, 'ca-file': caFile } = database;
  return {
    ...database,
    ...(passwordFile === undefined ? {} : { 'password-file': full(passwordFile) }),
    ...(caFile === undefined ? {} : { 'ca-file': full(caFile) }),
  };
}

function absolute(config: z.output<typeof schema>, folder: string): Omit<Config, 'sha256'> {
  const full = (relative: string): string => resolve(folder, relative);
  const { passphrase: source } = config.keys;
  return {
    ...config,
    tls: { certificate: full(config.tls.certificate), key: full(config.tls.key) },
    ...(config.data === undefined ? {} : { data: full(config.data) }),
    ...(config.database === undefined ? {} : { database: absoluteDatabase(config.database, full) }),
    policy: full(config.policy),
    hosts: {
      ...config.hosts,
      ...(config.hosts['ca-file'] === undefined ? {} : { 'ca-file': full(config.hosts['ca-file']) }),
    },
    log: {
      ...config.log,
      checkpoint: full(config.log.checkpoint),
      witnesses: config.log.witnesses && full(config.log.witnesses),
      'witness-ca-file': config.log['witness-ca-file'] && full(config.log['witness-ca-file']),
    },
    logins: {
      ...config.logins,
      responses: {
        ...config.logins.responses,
        quarantines: config.logins.responses.quarantines.map((one) => absoluteQuarantine(one, full)),
      },
    },
    sinks: config.sinks.map((sink) => absoluteSink(sink, full)),
    'tls-authority': config['tls-authority'] && absoluteTlsAuthority(config['tls-authority'], full),
    keys: {
      folder: full(config.keys.folder),
      passphrase: 'file' in source ? { file: full(source.file) } : source,
    },
    directories: config.directories.map((entry) => {
      if (entry.kind === 'built-in') return { ...entry, file: full(entry.file) };
      return {
        ...entry,
        ...(entry['ca-file'] === undefined ? {} : { 'ca-file': full(entry['ca-file']) }),
        ...(entry.service === undefined
          ? {}
          : { service: { ...entry.service, 'password-file': full(entry.service['password-file']) } }),
      };
    }),
  };
}
