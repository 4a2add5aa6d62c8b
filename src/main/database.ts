import { CodedError } from '../kernel/index.ts';
import { readPrivateLine } from '../keys/index.ts';
import type { PostgresAddress } from '../store/index.ts';
import type { Config, DatabaseConfig } from './config.ts';
import { readConfigured } from './read-configured.ts';

/** What a database address looks like, for messages. */
export const databaseUrlForm = 'postgres://user@host:5432/name, without anything behind the name';

/** Whether the text is the address of a PostgreSQL database. */
export function isDatabaseUrl(text: string): boolean {
  return parseUrl(text) !== undefined;
}

/** Where a broker keeps everything. */
export type StorePlace =
  | { readonly kind: 'sqlite'; readonly folder: string }
  | { readonly kind: 'postgres'; readonly address: PostgresAddress };

/** The database that the configuration names; `data` counts where it names none. @throws CodedError as `readConfigured`, `keys.…` */
export function placeOf({ data, database }: Config): StorePlace {
  if (database !== undefined) return { kind: 'postgres', address: addressOf(database) };
  if (data !== undefined) return { kind: 'sqlite', folder: data };
  throw new Error('a configuration that was checked names a database');
}

/** @throws CodedError as `readConfigured`, `keys.…` */
export function addressOf(config: DatabaseConfig): PostgresAddress {
  const parsed = parseUrl(config.url);
  if (parsed === undefined) throw new Error('the address was checked');
  const passwordFile = config['password-file'];
  const password =
    passwordFile === undefined ? parsed.password : readPrivateLine(passwordFile, 'The password file');
  const caFile = config['ca-file'];
  const ca =
    caFile === undefined
      ? undefined
      : readConfigured(caFile, 'The CA file', '`ca-file` of the database').toString('utf8');
  // What does not leave this machine needs no TLS, and rarely has it.
  const isLocal = parsed.host.startsWith('/') || /^(?:localhost|127(?:\.\d+){3}|::1)$/.test(parsed.host);
  const inClear = ca === undefined && (config.tls !== undefined || isLocal);
  return {
    host: parsed.host,
    port: parsed.port,
    database: parsed.database,
    user: parsed.user,
    ...(password === undefined ? {} : { password }),
    tls: inClear ? 'none' : ca === undefined ? {} : { ca },
  };
}

/**
 * An address from the command line, which others on the machine can read.
 * @throws CodedError `main.bad_database_url`, also for one that holds a password
 */
export function parseDatabaseArgument(url: string, caFile: string | undefined): PostgresAddress {
  const parsed = parseUrl(url);
  if (parsed !== undefined && parsed.password === undefined)
    return addressOf({ url, ...(caFile === undefined ? {} : { 'ca-file': caFile }) });
  throw new CodedError(
    'main.bad_database_url',
    parsed === undefined
      ? 'That is not the address of a PostgreSQL database.'
      : 'A password on the command line is read by everybody on this machine.',
    { next: `Write ${databaseUrlForm}; the password comes from PGPASSWORD or ~/.pgpass.` },
  );
}

interface ParsedUrl {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password: string | undefined;
}

function parseUrl(text: string): ParsedUrl | undefined {
  const url = URL.parse(text);
  if (url === null || !/^postgres(?:ql)?:$/.test(url.protocol)) return undefined;
  try {
    const [host, database, user, password] = [
      url.hostname.replace(/^\[(.*)\]$/, '$1'),
      url.pathname.slice(1),
      url.username,
      url.password,
    ].map(decodeURIComponent) as [string, string, string, string];
    const isWhole = host !== '' && user !== '' && database !== '' && !database.includes('/');
    if (!isWhole || url.search !== '' || url.hash !== '') return undefined;
    return {
      host,
      port: url.port === '' ? 5432 : Number(url.port),
      database,
      user,
      password: password === '' ? undefined : password,
    };
  } catch {
    // Not percent-encoding.
    return undefined;
  }
}
