import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createSecureContext } from 'node:tls';
import {
  createLogAppender,
  emptyLogHead,
  type LogAppender,
  type LogHead,
  type LogSigner,
} from '../accounting/index.ts';
import type { Store } from '../broker/index.ts';
import { CodedError, systemRandom } from '../kernel/index.ts';
import {
  checkPrivateFolder,
  checkTrustedFolder,
  createSigner,
  openKeyFile,
  readPrivateFile,
  type KeyPurpose,
  type Signer,
} from '../keys/index.ts';
import { parsePolicy, type Policy } from '../policy/index.ts';
import { createPostgresDatabase, openPostgresStore, openSqliteStore } from '../store/index.ts';
import type { Config } from './config.ts';
import type { StorePlace } from './database.ts';
import { readConfigured } from './read-configured.ts';
import { refuseUnwitnessed } from './witnesses.ts';

/** Reads the policy file with the configured directories in mind. @throws CodedError `policy.invalid`, `main.no_witness`, as `readConfigured` */
export function loadPolicy(config: Config): Policy {
  const bytes = readConfigured(config.policy, 'The policy file', '`policy` in the configuration');
  const policy = parsePolicy(bytes, config.policy, {
    directories: new Map(config.directories.map(({ name, kind }) => [name, kind])),
  });
  refuseUnwitnessed(policy, config);
  return policy;
}

/** The key file for a purpose, below `keys.folder`. */
export function keyFile(folder: string, purpose: KeyPurpose): string {
  return join(folder, `${purpose}.key`);
}

/** Opens one key. @throws CodedError `keys.…` */
export async function openKey(config: Config, purpose: KeyPurpose, passphrase: string): Promise<Signer> {
  checkPrivateFolder(config.keys.folder);
  return createSigner(await openKeyFile(keyFile(config.keys.folder, purpose), purpose, passphrase));
}

/** The keys of a running broker. */
export type OpenKeys = Readonly<Record<'userCa' | 'hostCa' | 'lists' | 'log', Signer>>;

/** Opens the keys that a running broker signs with. @throws CodedError `keys.…`, `main.no_host_ca` */
export async function openKeys(config: Config, passphrase: string): Promise<OpenKeys> {
  if (!existsSync(keyFile(config.keys.folder, 'ssh-host-ca'))) throw noHostCa(config.keys.folder);
  const [userCa, hostCa, lists, log] = await Promise.all([
    openKey(config, 'ssh-user-ca', passphrase),
    openKey(config, 'ssh-host-ca', passphrase),
    openKey(config, 'ssh-lists', passphrase),
    openKey(config, 'accounting-log', passphrase),
  ]);
  return { userCa, hostCa, lists, log };
}

/** A folder from before there were host certificates. Nothing is made in passing: a key that appears by itself is backed up by nobody. */
function noHostCa(folder: string): CodedError {
  return new CodedError('main.no_host_ca', `There is no key of the SSH host CA in ${folder}.`, {
    next: 'Make it once with `sallyport init-host-ca --config FILE`; with several brokers, copy ssh-host-ca.key to the others. Was it there before? Restore it from the backup.',
  });
}

/** The TLS certificate and key, PEM, the key nobody else's business. @throws CodedError `keys.…`, `main.bad_tls`, as `readConfigured` */
export function loadTls(config: Config): { certificate: string; key: string } {
  const field = '`tls.certificate` in the configuration';
  const certificate = readConfigured(config.tls.certificate, 'The TLS certificate', field).toString('utf8');
  const key = readPrivateFile(config.tls.key, 'The TLS key').toString('utf8');
  try {
    createSecureContext({ cert: certificate, key });
  } catch (error) {
    throw new CodedError('main.bad_tls', 'The TLS certificate and key cannot be used together.', {
      next: 'Check `tls` in the configuration: both PEM, and the key the one that the certificate was made for.',
      cause: error,
    });
  }
  return { certificate, key };
}

/** The log's key, which signs within the transaction. Its `sign` throws CodedError `keys.unsupported` for any but Ed25519. */
export function logSignerOf(signer: Signer): LogSigner {
  return {
    publicKey: signer.publicKey,
    sign(message) {
      const signature = signer.sign(message);
      if (Buffer.isBuffer(signature)) return signature;
      throw new CodedError('keys.unsupported', 'The log’s key must be Ed25519.', {
        next: 'Restore the key that `sallyport init` made.',
      });
    },
  };
}

/** A log by its name, and the key that signs its checkpoints. */
export interface LogOptions {
  readonly origin: string;
  readonly logSigner: LogSigner;
}

/** The store of a broker, which `createStore` made. @throws CodedError as `openSqliteStore`, `openPostgresStore`, and `keys.loose_permissions` */
export async function openStore(place: StorePlace, log: LogOptions): Promise<Store> {
  if (place.kind === 'postgres') return openPostgresStore({ address: place.address, ...logOf(log) });
  if (existsSync(place.folder)) checkTrustedFolder(place.folder);
  return openSqliteStore({ folder: place.folder, when: 'open', ...logOf(log) });
}

/** Begins an empty log, in an empty database. @throws CodedError as `openSqliteStore`, `createPostgresDatabase` */
export async function createStore(place: StorePlace, log: LogOptions): Promise<void> {
  if (place.kind === 'postgres') return createPostgresDatabase({ address: place.address, ...logOf(log) });
  await openSqliteStore({ folder: place.folder, when: 'create', ...logOf(log) }).close();
}

/** What a store needs to append to a log. */
export function logOf({ origin, logSigner }: LogOptions): {
  readonly appender: LogAppender;
  readonly emptyHead: LogHead;
} {
  const appender = createLogAppender({ signer: logSigner, origin, random: systemRandom });
  return { appender, emptyHead: emptyLogHead(origin) };
}
