import { hostname } from 'node:os';
import { X509Certificate } from 'node:crypto';
import { dirname } from 'node:path';
import { createSecureContext } from 'node:tls';
import type { ConfiguredSink, Quarantine, Sink } from '../broker/index.ts';
import {
  createFileSink,
  createMailSink,
  entryTitle,
  onlyTypes,
  quarantineByCommand,
  quarantineByWebhook,
  createLine,
  createSyslogMessage,
  createSyslogSink,
  createWebhookSink,
  exampleEnterpriseNumber,
  type ClientTls,
  type LineContext,
  type WebhookAddress,
} from '../doors/sinks/index.ts';
import { CodedError, type Clock } from '../kernel/index.ts';
import { checkTrustedFolder, readPrivateFile, readPrivateLine } from '../keys/index.ts';
import type { Config } from './config.ts';
import type { SinkConfig } from './config-sinks.ts';
import { readConfigured } from './read-configured.ts';

/** A shorter secret could be guessed from one request. */
const minSecretBytes = 16;

interface About {
  readonly origin: string;
  readonly version: string;
  readonly clock: Clock;
}

/**
 * Makes the configured sinks; nothing is opened or connected yet, but every file that they name has been read.
 * @throws CodedError `main.bad_tls`, `main.bad_secret`, as `readConfigured`; `keys.…` for keys, secrets and folders that others can
 * read or change
 */
export function createSinks(
  config: Config,
  about: { readonly version: string; readonly clock: Clock },
): readonly ConfiguredSink[] {
  const { origin } = config.log;
  return config.sinks.map((configured) => {
    const { from, types } = configured;
    const sink = createSink(configured, { ...about, origin });
    return { sink: types === undefined ? sink : onlyTypes(sink, types), from };
  });
}

/** Makes the configured quarantines; every file that they name has been read. @throws as `createSinks` */
export function createQuarantines(
  config: Config,
  about: { readonly version: string; readonly clock: Clock },
): ReadonlyMap<string, Quarantine> {
  return new Map(
    config.logins.responses.quarantines.map((quarantine) => {
      const { name } = quarantine;
      if ('command' in quarantine) return [name, quarantineByCommand(name, quarantine.command)];
      return [name, quarantineByWebhook(name, webhookAddress(quarantine, about))];
    }),
  );
}

function webhookAddress(
  {
    name,
    url,
    'ca-file': caFile,
    'secret-file': secretFile,
    'authorization-file': authorizationFile,
  }: WebhookFiles,
  { version, clock }: Pick<About, 'version' | 'clock'>,
): WebhookAddress {
  const secret = (): Buffer => readSecret(secretFile);
  const authorization =
    authorizationFile === undefined ? undefined : (): string => readAuthorization(authorizationFile);
  secret();
  authorization?.();
  return {
    url: new URL(url),
    secret,
    version,
    clock,
    ...(caFile === undefined ? {} : { ca: readCa(caFile, name) }),
    ...(authorization === undefined ? {} : { authorization }),
  };
}

function createSink(config: SinkConfig, { origin, version, clock }: About): Sink {
  const { name, format, personal } = config;
  const enterpriseNumber =
    'enterprise-number' in config ? config['enterprise-number'] : exampleEnterpriseNumber;
  const context: LineContext = { origin, version, personal, hostname: hostname(), enterpriseNumber };
  switch (config.kind) {
    case 'file': {
      checkTrustedFolder(dirname(config.path));
      return createFileSink({ name, format, path: config.path, line: createLine(format, context) });
    }
    case 'syslog': {
      const tls = (): ClientTls => readClientTls(config);
      tls();
      const colon = config.server.lastIndexOf(':');
      const serverName = config['server-name'];
      return createSyslogSink({
        name,
        format,
        host: config.server.slice(0, colon).replace(/^\[|\]$/g, ''),
        port: Number(config.server.slice(colon + 1)),
        ...(serverName === undefined ? {} : { serverName }),
        tls,
        message: createSyslogMessage(format, context),
        clock,
      });
    }
    case 'mail': {
      const { 'ca-file': caFile, login, security, sender, recipients } = config;
      const colon = config.server.lastIndexOf(':');
      const readLogin =
        login && ((): MailLogin => ({ user: login.user, password: readPassword(login['password-file']) }));
      readLogin?.();
      return createMailSink({
        name,
        format,
        host: config.server.slice(0, colon).replace(/^\[|\]$/g, ''),
        port: Number(config.server.slice(colon + 1)),
        security,
        from: sender,
        to: recipients,
        line: createLine(format, context),
        title: entryTitle,
        ...(caFile === undefined ? {} : { ca: readCa(caFile, name) }),
        ...(readLogin === undefined ? {} : { login: readLogin }),
      });
    }
    case 'webhook':
      return createWebhookSink({
        ...webhookAddress(config, { version, clock }),
        name,
        format,
        body: config.body,
        origin,
        contentType: contentTypeOf(config),
        line: createLine(format, context),
      });
  }
}

type WebhookFiles = Pick<
  SinkConfig & { kind: 'webhook' },
  'name' | 'url' | 'ca-file' | 'secret-file' | 'authorization-file'
>;

function contentTypeOf({ format, body }: SinkConfig & { kind: 'webhook' }): string {
  if (format === 'cef') return 'text/plain; charset=utf-8';
  return body === 'array' ? 'application/json' : 'application/x-ndjson';
}

function readClientTls({ name, 'ca-file': caFile, ...config }: SinkConfig & { kind: 'syslog' }): ClientTls {
  const field = '`certificate` of the sink';
  const tls = {
    ca: readCa(caFile, name),
    certificate: readConfigured(config.certificate, 'The client certificate', field).toString('utf8'),
    key: readPrivateFile(config.key, 'The client key').toString('utf8'),
  };
  refuseBadTls(name, () => createSecureContext({ cert: tls.certificate, key: tls.key }));
  return tls;
}

function readCa(file: string, sink: string): string {
  const ca = readConfigured(file, 'The CA file', '`ca-file` of the sink').toString('utf8');
  // A secure context would pass over what is no certificate, and then trust nobody.
  refuseBadTls(sink, () => new X509Certificate(ca));
  return ca;
}

function refuseBadTls(sink: string, parse: () => unknown): void {
  try {
    parse();
  } catch (error) {
    throw new CodedError('main.bad_tls', `The TLS files of the sink ${sink} cannot be used.`, {
      next: 'Check `ca-file`, `certificate` and `key` of the sink: all PEM, and the key the one that the certificate was made for.',
      cause: error,
    });
  }
}

function readSecret(file: string): Buffer {
  const secret = Buffer.from(readPrivateLine(file, 'The secret'));
  if (secret.length >= minSecretBytes) return secret;
  throw new CodedError('main.bad_secret', `The secret in ${file} has fewer than ${minSecretBytes} bytes.`, {
    next: 'Make one with: openssl rand -hex 32',
  });
}

interface MailLogin {
  readonly user: string;
  readonly password: string;
}

function readPassword(file: string): string {
  return readPrivateLine(file, 'The password of the mail server');
}

function readAuthorization(file: string): string {
  const value = readPrivateLine(file, 'The authorization');
  if (/^[!-~]+(?: [!-~]+)*$/.test(value)) return value;
  throw new CodedError('main.bad_secret', `The value in ${file} cannot stand in an Authorization header.`, {
    next: 'Write the scheme and the token in one line, e.g. `Bearer …`.',
  });
}
