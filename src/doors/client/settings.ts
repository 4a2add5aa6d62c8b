import { X509Certificate } from 'node:crypto';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import type { RandomBytes } from '../../kernel/index.ts';
import { CodedError, printable } from '../../kernel/index.ts';
import { Answer } from './answer.ts';
import type { HomeFiles } from './home.ts';
import { readSmallFile, writeByRename } from './files.ts';
import { checkHome, homeFiles } from './home.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** Which broker, whom to trust for its name, and where this person's files are. */
export interface ClientSettings {
  readonly files: HomeFiles;
  /** Origin of the broker, e.g. `https://broker.example:8443`, or undefined when nothing says which. */
  readonly origin: string | undefined;
  /** PEM certificates that alone may vouch for the broker; undefined: those that the system trusts. */
  readonly ca: string | undefined;
}

/** `$SALLYPORT_HOME`, else `~/.sallyport`, absolute. */
export function homeFolder(env: Environment): string {
  const chosen = env['SALLYPORT_HOME'];
  return chosen === undefined || chosen === '' ? join(homedir(), '.sallyport') : resolve(chosen);
}

/**
 * The environment first (`SALLYPORT_URL`, `SALLYPORT_CA_FILE`, `SALLYPORT_HOME`), then what login wrote. The certificates
 * that login pinned belong to one broker: they are not used for another one.
 * @throws CodedError `client.bad_url`, `client.bad_ca_file`, `client.bad_config`, and those of `readSmallFile`.
 */
export function loadSettings(env: Environment): ClientSettings {
  const files = homeFiles(homeFolder(env));
  checkHome(files.folder);
  const stored = loadConfig(files);
  const url = env['SALLYPORT_URL'];
  const origin = url === undefined || url === '' ? stored.origin : parseBrokerUrl(url);
  const caFile = env['SALLYPORT_CA_FILE'];
  if (caFile !== undefined && caFile !== '') return { files, origin, ca: readCaFile(caFile) };
  return { files, origin, ca: origin === stored.origin ? stored.ca : undefined };
}

/**
 * Checks the address of a broker. @returns its origin: scheme, host and port.
 * @throws CodedError `client.bad_url` for anything but `https://HOST[:PORT]`.
 */
export function parseBrokerUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || url.protocol !== 'https:' || url.username !== '' || url.password !== '')
    throw badUrl(text, 'is not the address of a broker');
  if (url.pathname !== '/' || url.search !== '' || url.hash !== '')
    throw badUrl(text, 'has more than a host and a port');
  return url.origin;
}

function badUrl(text: string, why: string): CodedError {
  // The text may hold a password that somebody put into the address: show it without.
  const shown = printable(text.replace(/\/\/[^/]*@/, '//…@'), 100);
  return new CodedError('client.bad_url', `SALLYPORT_URL “${shown}” ${why}.`, {
    next: 'Write it like https://broker.example:8443; plain http is never used.',
  });
}

/** @throws CodedError `client.bad_ca_file` when the file is missing, cannot be read or holds no PEM certificate. */
export function readCaFile(path: string): string {
  const next =
    'Set SALLYPORT_CA_FILE to a file with the PEM certificate of the authority, DIR/tls/ca.pem of the broker.';
  const pem = readSetting(path, next);
  if (pem === undefined)
    throw new CodedError('client.bad_ca_file', `There is no file ${printable(path)}.`, { next });
  if (!holdsCertificates(pem))
    throw new CodedError('client.bad_ca_file', `${printable(path)} holds no PEM certificate.`, { next });
  return pem;
}

/** What keeps the file from being read is a wrong setting, like a file that is not there. */
function readSetting(path: string, next: string): string | undefined {
  try {
    return readSmallFile(path);
  } catch (error) {
    throw error instanceof CodedError
      ? new CodedError('client.bad_ca_file', error.message, { next, cause: error })
      : error;
  }
}

function holdsCertificates(pem: string): boolean {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return (
    blocks.length > 0 &&
    blocks.every((block) => {
      try {
        return new X509Certificate(block).raw.length > 0;
      } catch {
        // Not DER inside: the caller names the file.
        return false;
      }
    })
  );
}

function loadConfig(files: HomeFiles): { origin: string | undefined; ca: string | undefined } {
  const text = readSmallFile(files.config);
  if (text === undefined) return { origin: undefined, ca: undefined };
  try {
    const config = new Answer(JSON.parse(text), 'client configuration');
    const ca = config.optionalText('ca', 1 << 20);
    if (ca !== undefined && !holdsCertificates(ca)) throw new TypeError('no certificate');
    return { origin: parseBrokerUrl(config.text('url')), ca };
  } catch (error) {
    throw new CodedError('client.bad_config', `${files.config} is damaged.`, {
      next: `Remove it, set SALLYPORT_URL and SALLYPORT_CA_FILE, and run \`sallyport login\`.`,
      cause: error,
    });
  }
}

/** Remembers the broker, and the certificates that vouch for it by content, so that later commands need no environment. */
export function saveConfig(settings: ClientSettings, random: RandomBytes): void {
  if (settings.origin === undefined) return;
  const config = { url: settings.origin, ...(settings.ca === undefined ? {} : { ca: settings.ca }) };
  writeByRename(settings.files.config, `${JSON.stringify(config, undefined, 2)}\n`, random);
}

/** The origin, or a refusal that says how to name one. @throws CodedError `client.no_broker` */
export function requireOrigin(settings: ClientSettings): string {
  if (settings.origin !== undefined) return settings.origin;
  throw new CodedError('client.no_broker', 'Nothing says which broker to talk to.', {
    next: 'Set SALLYPORT_URL (and SALLYPORT_CA_FILE for a private authority), e.g. SALLYPORT_URL=https://broker.example:8443, then run `sallyport login`.',
  });
}
