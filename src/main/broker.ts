import { X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import type { Logger } from 'pino';
import {
  createLogAppender,
  emptyLogHead,
  openCheckpoint,
  verifierKey,
  type LogSigner,
} from '../accounting/index.ts';
import {
  heartbeat,
  IssueQuota,
  KrlPublisher,
  PeopleWatch,
  SerialSource,
  shutDown,
  startUp,
  type Rooms,
  type Store,
} from '../broker/index.ts';
import { createMetrics, openHttpDoor, type HttpDoor } from '../doors/http/index.ts';
import {
  createDpopVerifier,
  createIdentity,
  createLoginThrottle,
  type Directory,
} from '../identity/index.ts';
import { createSshUserIssuer } from '../issuance/index.ts';
import {
  CodedError,
  isCodedError,
  pooledRandom,
  systemClock,
  systemRandom,
  type Clock,
} from '../kernel/index.ts';
import {
  checkPrivateFolder,
  createSigner,
  openKeyFile,
  readPrivateFile,
  readTrustedFile,
  type KeyPurpose,
  type Signer,
} from '../keys/index.ts';
import { attributesUsed, parsePolicy, type Policy } from '../policy/index.ts';
import { fingerprint, formatPublicKey, publicKeyFromKeyObject } from '../ssh/index.ts';
import { openSqliteStore } from '../store/index.ts';
import { addressFilter } from './address-filter.ts';
import type { Config } from './config.ts';
import { createDirectory } from './directories.ts';
import { keyFile } from './key-files.ts';

const heartbeatEveryMs = 600_000;
const catchUpEveryMs = 1000;
const lookEveryMs = 1000;
const pruneEveryMs = 300_000;

export interface RunningBroker {
  readonly port: number;
  readonly rooms: Rooms;
  /** Reads policy and TLS certificate anew. A file with a mistake is refused whole and what is in force stays. */
  reload(): Promise<void>;
  /** Finishes what is under way, says goodbye in the log, gives unused serials back, closes everything. */
  stop(): Promise<void>;
}

export interface BrokerOptions {
  readonly config: Config;
  readonly passphrase: string;
  readonly log: Logger;
  readonly version: string;
  readonly clock?: Clock;
}

/** Reads the policy file with the configured directories in mind. @throws CodedError `policy.invalid`, `main.unreadable_config` */
export function loadPolicy(config: Config): Policy {
  let bytes: Buffer;
  try {
    bytes = readTrustedFile(config.policy, 'The policy file');
  } catch (error) {
    if (isCodedError(error, 'keys.loose_permissions')) throw error;
    throw new CodedError('main.unreadable_config', `The policy file ${config.policy} cannot be read.`, {
      next: 'Check `policy` in the configuration.',
      cause: error,
    });
  }
  return parsePolicy(bytes, config.policy, {
    directories: new Map(config.directories.map(({ name, kind }) => [name, kind])),
  });
}

/** Opens one of the broker's keys. @throws CodedError `keys.…` */
export async function openKeys(
  config: Config,
  passphrase: string,
): Promise<Readonly<Record<'userCa' | 'lists' | 'log', Signer>>> {
  checkPrivateFolder(config.keys.folder);
  const open = async (purpose: KeyPurpose): Promise<Signer> =>
    createSigner(await openKeyFile(keyFile(config.keys.folder, purpose), purpose, passphrase));
  const [userCa, lists, log] = await Promise.all([
    open('ssh-user-ca'),
    open('ssh-lists'),
    open('accounting-log'),
  ]);
  return { userCa, lists, log };
}

/** The TLS certificate and key, the key nobody else's business. @throws CodedError `keys.…`, `main.unreadable_config`, `main.bad_tls` */
export function loadTls(config: Config): { certificate: string; key: string } {
  let certificate: string;
  try {
    certificate = readTrustedFile(config.tls.certificate, 'The TLS certificate').toString('utf8');
  } catch (error) {
    if (isCodedError(error, 'keys.loose_permissions')) throw error;
    throw new CodedError(
      'main.unreadable_config',
      `The TLS certificate ${config.tls.certificate} cannot be read.`,
      {
        next: 'Check `tls.certificate` in the configuration.',
        cause: error,
      },
    );
  }
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

/** The store with the log that it keeps. @throws CodedError as `openSqliteStore` */
export function openStore(options: {
  readonly folder: string;
  readonly when: 'create' | 'open';
  readonly origin: string;
  readonly logSigner: LogSigner;
}): Store {
  const { folder, when, origin, logSigner } = options;
  const appender = createLogAppender({ signer: logSigner, origin, random: systemRandom });
  return openSqliteStore({ folder, when, appender, emptyHead: emptyLogHead(origin) });
}

/** The log's key, which signs within the transaction. Its `sign` throws CodedError `keys.unsupported` for any but Ed25519. */
export function logSignerOf(signer: Signer): LogSigner {
  return { publicKey: signer.publicKey, sign: (message) => signedAtOnce(signer, message) };
}

/**
 * Puts the house together and opens the door: the only place that constructs things. Nothing is listening before the store is
 * open, the log's checkpoint has been verified, abandoned serials are void, changes of the built-in people are entries and a list is
 * published.
 */
export async function startBroker(options: BrokerOptions): Promise<RunningBroker> {
  const { config, log, version, clock = systemClock } = options;
  const metrics = createMetrics();
  let policy = loadPolicy(config);
  const keys = await openKeys(config, options.passphrase);
  const tls = loadTls(config);
  const logSigner = logSignerOf(keys.log);
  const { origin } = config.log;
  const store = openStore({ folder: config.data, when: 'open', origin, logSigner });
  const directories: Directory[] = [];
  const closeAll = async (): Promise<void> => {
    await Promise.allSettled(directories.map((directory) => directory.close()));
    await store.close();
  };
  let door: HttpDoor | undefined;
  try {
    const verifier = verifierKey(origin, keys.log.publicKey);
    openCheckpoint((await store.logHead()).checkpoint, verifier);
    for (const directory of config.directories) {
      directories.push(
        createDirectory(directory, {
          clock,
          policyAttributes: [...attributesUsed(policy)],
          observe: (...seen) => metrics.observeDirectory(...seen),
        }),
      );
    }
    const issuer = createSshUserIssuer({ signer: keys.userCa, random: systemRandom });
    const listKey = publicKeyFromKeyObject(keys.lists.publicKey);
    const krl = new KrlPublisher({ store, issuer, listSigner: keys.lists, clock });
    const rooms: Rooms = {
      store,
      identity: createIdentity({ directories }),
      throttle: createLoginThrottle({ clock, rows: await store.throttleRows() }),
      proofs: createDpopVerifier({ origins: config.origins, clock }),
      policy: () => policy,
      issuer,
      quota: new IssueQuota({ perHour: config.limits['certificates-per-hour'], clock }),
      serials: new SerialSource(store, issuer.caFingerprint),
      listSigner: keys.lists,
      logSigner,
      krl,
      authority: {
        sshUserCa: {
          publicKey: formatPublicKey(issuer.caKey, 'sallyport-user-ca'),
          fingerprint: issuer.caFingerprint,
          algorithm: keys.userCa.algorithm,
        },
        listKey: {
          publicKey: formatPublicKey(listKey, 'sallyport-lists'),
          fingerprint: fingerprint(listKey.blob),
        },
        log: { origin, verifierKey: verifier },
      },
      counters: metrics.counters,
      sessionLifetimeMs: config.sessions.lifetime,
      clock,
      random: pooledRandom(systemRandom),
    };
    await startUp(rooms, {
      version,
      policy: policy.policyVersion,
      config: config.sha256,
      ca_fp: issuer.caFingerprint,
      directories: config.directories.map(({ name, kind }) => `${name} (${kind})`),
    });
    const watches = config.directories.flatMap((directory) =>
      directory.kind === 'built-in' ? [new PeopleWatch(directory.name, directory.file)] : [],
    );
    for (const watch of watches) await watch.look(rooms);
    const { host, port } = listenAddress(config.listen);
    const metricsAllowed = addressFilter(config.metrics.allow);
    const opened = await openHttpDoor({ rooms, metrics, log, version, host, port, tls, metricsAllowed });
    door = opened;
    warnOfExpiry(tls.certificate, log, clock.nowMs());
    const timers = startTimers(rooms, watches, log);
    return {
      port: opened.port,
      rooms,
      async reload() {
        const next = loadPolicy(config);
        const nextTls = loadTls(config);
        const before = policy.policyVersion;
        const missing = [...attributesUsed(next)].filter(
          (attribute) => !attributesUsed(policy).has(attribute),
        );
        if (missing.length > 0)
          log.warn(
            { attributes: missing },
            'the policy reads new attributes: LDAP directories give them after a restart',
          );
        await rooms.store.commit({
          entries: [
            {
              type: 'policy.change',
              outcome: 'success',
              timeMs: clock.nowMs(),
              actor: { kind: 'operator' },
              fields: { change: { before, after: next.policyVersion } },
            },
          ],
        });
        policy = next;
        opened.replaceCertificate(nextTls);
        warnOfExpiry(nextTls.certificate, log, clock.nowMs());
      },
      stop: () => stop(rooms, opened, timers, closeAll),
    };
  } catch (error) {
    await door?.close(0);
    await closeAll();
    throw error;
  }
}

/** A certificate that ends locks everybody out at once: say so a month before, at every start and reload. */
function warnOfExpiry(certificate: string, log: Logger, nowMs: number): void {
  const { validTo } = new X509Certificate(certificate);
  const daysLeft = Math.floor((Date.parse(validTo) - nowMs) / 86_400_000);
  if (daysLeft < 30)
    log.warn(
      { validTo, daysLeft },
      'the TLS certificate of the broker ends soon: replace it and send SIGHUP',
    );
}

async function stop(
  rooms: Rooms,
  door: HttpDoor,
  timers: Timers,
  closeAll: () => Promise<void>,
): Promise<void> {
  await timers.stop();
  await door.close();
  try {
    await shutDown(rooms);
  } finally {
    await closeAll();
  }
}

interface Timers {
  /** Starts nothing more, and waits for what is under way. */
  stop(): Promise<void>;
}

function startTimers(rooms: Rooms, watches: readonly PeopleWatch[], log: Logger): Timers {
  const underWay = new Map<NodeJS.Timeout, Promise<void>>();
  const every = (intervalMs: number, what: string, work: () => Promise<void>): NodeJS.Timeout => {
    const timer = setInterval(() => {
      // One that takes long is not joined by the next.
      if (underWay.has(timer)) return;
      const done = work()
        .catch((error: unknown) => log.error({ err: error }, `${what} failed`))
        .finally(() => underWay.delete(timer));
      underWay.set(timer, done);
    }, intervalMs).unref();
    return timer;
  };
  const timers = [
    every(heartbeatEveryMs, 'heartbeat', () => heartbeat(rooms)),
    ...watches.map((watch) => every(lookEveryMs, 'looking at the people file', () => watch.look(rooms))),
    every(catchUpEveryMs, 'publishing the list', () => rooms.krl.catchUp()),
    every(pruneEveryMs, 'pruning the list', () => rooms.krl.prune()),
  ];
  return {
    async stop() {
      for (const timer of timers) clearInterval(timer);
      await Promise.all(underWay.values());
    },
  };
}

function signedAtOnce(signer: Signer, message: Uint8Array): Buffer {
  const signature = signer.sign(message);
  if (Buffer.isBuffer(signature)) return signature;
  throw new CodedError('keys.unsupported', 'The log’s key must be Ed25519.', {
    next: 'Restore the key that `sallyport init` made.',
  });
}

function listenAddress(listen: string): { host: string; port: number } {
  const colon = listen.lastIndexOf(':');
  return { host: listen.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(listen.slice(colon + 1)) };
}
