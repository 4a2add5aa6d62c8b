import { X509Certificate } from 'node:crypto';
import type { Logger } from 'pino';
import { TileTree, verifierKey, type LogSigner } from '../accounting/index.ts';
import {
  createCertificateQuota,
  createLookQuota,
  DirectoryFollower,
  keepCheckpoint,
  KrlPublisher,
  LogDelivery,
  PeopleWatch,
  refuseRollback,
  publishTrust,
  SerialSource,
  shutDown,
  startUp,
  type RetentionRule,
  type Responses,
  type Rooms,
  type Store,
  type Tell,
} from '../broker/index.ts';
import {
  createMetrics,
  openHttpDoor,
  openPkiDoor,
  type HttpDoor,
  type Metrics,
  type PkiDoor,
} from '../doors/http/index.ts';
import {
  createDpopVerifier,
  createIdentity,
  createLoginThrottle,
  createSharedThrottle,
  type Directory,
} from '../identity/index.ts';
import {
  createSshHostIssuer,
  createSshUserIssuer,
  type SshHostIssuer,
  type SshUserIssuer,
} from '../issuance/index.ts';
import { pooledRandom, systemClock, systemRandom, systemStopwatch, type Clock } from '../kernel/index.ts';
import { attributesUsed, type Policy } from '../policy/index.ts';
import { ListWorker } from '../revocation/index.ts';
import { fingerprint, formatPublicKey, publicKeyFromKeyObject } from '../ssh/index.ts';
import { addressFilter } from './address-filter.ts';
import { checkpointFile } from './checkpoint-file.ts';
import type { Config } from './config.ts';
import { placeOf } from './database.ts';
import { createDirectory, type ObserveDirectory } from './directories.ts';
import { createHostRooms } from './host-rooms.ts';
import { loadPolicy, loadTls, logSignerOf, openKeys, openStore, type OpenKeys } from './load.ts';
import { createResponses } from './responses.ts';
import { createQuarantines, createSinks } from './sinks.ts';
import { startTimers, type Timers } from './timers.ts';
import { makeTlsRoom, openAuthorities, type OpenAuthorities, warnOfAuthorities } from './tls-authority.ts';
import { createWitnesses, type Witnesses } from './witnesses.ts';

const looksPerHour = 600;

export interface RunningBroker {
  readonly port: number;
  /** Of the listener for lists and OCSP, when there is one. */
  readonly pkiPort: number | undefined;
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

/**
 * Puts the house together and opens the door: the only place that constructs things. Nothing is listening before the store is
 * open and its log verified, abandoned serials are void, changes of the built-in people are entries, and a list is published.
 * @throws CodedError `main.…`, `keys.…`, `policy.invalid`, `identity.…`, `store.…`; the error of `listen`
 */
export async function startBroker(options: BrokerOptions): Promise<RunningBroker> {
  const { config, log, version, clock = systemClock } = options;

  // 1. Everything that a person may have to mend, before anything is touched.
  let policy = loadPolicy(config);
  const keys = await openKeys(config, options.passphrase);
  const authorities = await openAuthorities(config, options.passphrase);
  let tls = loadTls(config);
  const sinks = createSinks(config, { version, clock });
  const quarantines = createQuarantines(config, { version, clock });

  // 2. The database, and in it the log of this very key.
  const { origin } = config.log;
  const logSigner = logSignerOf(keys.log);
  const store = await openStore(placeOf(config), { origin, logSigner });
  const directories: Directory[] = [];
  let followers: readonly DirectoryFollower[] = [];
  const lists = new ListWorker();
  let witnesses: Witnesses | undefined;
  const closeAll = async (): Promise<void> => {
    await lists.close();
    await witnesses?.close();
    for (const follower of followers) follower.close();
    await Promise.allSettled(directories.map((directory) => directory.close()));
    await store.close();
  };
  let door: HttpDoor | undefined;
  let pkiDoor: PkiDoor | undefined;
  try {
    // 3. Directories and rooms.
    const metrics = createMetrics();
    const policyAttributes = [...attributesUsed(policy)];
    const observe: ObserveDirectory = (...seen) => metrics.observeDirectory(...seen);
    for (const directory of config.directories)
      directories.push(createDirectory(directory, { clock, policyAttributes, observe }));
    witnesses = createWitnesses(config, verifierKey(origin, logSigner.publicKey), {
      store,
      clock,
      stopwatch: systemStopwatch,
      log,
    });
    const { cosigning } = witnesses ?? {};
    const delivery = new LogDelivery({
      store,
      sinks,
      clock,
      stopwatch: systemStopwatch,
      random: systemRandom,
      tell: tellOf(log),
    });
    const own = { config, keys, authorities, store, logSigner, clock };
    followers = followersOf(config, directories);
    const responses = createResponses(config, { quarantines, listSigner: keys.lists, clock });
    const parts = { ...own, directories, delivery, lists, metrics, cosigning, followers, responses };
    const rooms = await makeRooms({ ...parts, policy: () => policy });

    // 4. Nothing is appended to a log that was rolled back.
    await refuseRollback(rooms);

    // 5. What happened meanwhile becomes entries: abandoned serials, this start, changes of people. A list is published.
    await startUp(rooms, {
      version,
      policy: policy.policyVersion,
      config: config.sha256,
      ca_fp: rooms.issuer.caFingerprint,
      directories: config.directories.map(({ name, kind }) => `${name} (${kind})`),
    });
    const watches = config.directories.flatMap((directory) =>
      directory.kind === 'built-in' ? [new PeopleWatch(directory.name, directory.file)] : [],
    );
    for (const watch of watches) await watch.look(rooms);
    const retention = retentionRules(config);
    await keepCheckpoint(rooms);

    // 6. The door.
    const { host, port } = listenAddress(config.listen);
    const metricsAllowed = addressFilter(config.metrics.allow);
    const opened = await openHttpDoor({ rooms, metrics, log, version, host, port, tls, metricsAllowed });
    door = opened;
    pkiDoor = await openPki(config, rooms);
    warnOfExpiry(tls.certificate, log, clock.nowMs());
    warnOfAuthorities(rooms.tls, log, clock.nowMs());
    const timers = startTimers(
      rooms,
      { watches, retention, followers, lookEveryMs: config.departures.look },
      log,
    );
    delivery.start();
    return {
      port: opened.port,
      pkiPort: pkiDoor?.port,
      rooms,
      async reload() {
        const [nextPolicy, nextTls] = [loadPolicy(config), loadTls(config)];
        warnOfNewAttributes(nextPolicy, policyAttributes, log);
        await recordPolicyChange(rooms, policy, nextPolicy);
        [policy, tls] = [nextPolicy, nextTls];
        await publishTrust(rooms);
        opened.replaceCertificate(tls);
        warnOfExpiry(tls.certificate, log, clock.nowMs());
        warnOfAuthorities(rooms.tls, log, clock.nowMs());
      },
      stop: () => stop(rooms, { door: opened, pkiDoor, timers, delivery, witnesses, closeAll }),
    };
  } catch (error) {
    await pkiDoor?.close();
    await door?.close(0);
    await closeAll();
    throw error;
  }
}

interface RoomParts {
  readonly lists: ListWorker;
  readonly config: Config;
  readonly keys: OpenKeys;
  readonly authorities: OpenAuthorities | undefined;
  readonly store: Store;
  readonly logSigner: LogSigner;
  readonly directories: readonly Directory[];
  readonly delivery: LogDelivery;
  readonly metrics: Metrics;
  readonly followers: readonly DirectoryFollower[];
  readonly clock: Clock;
  readonly policy: () => Policy;
  readonly cosigning: Witnesses['cosigning'] | undefined;
  readonly responses: Responses;
}

async function makeRooms(parts: RoomParts): Promise<Rooms> {
  const { config, keys, authorities, store, logSigner, directories, delivery, lists } = parts;
  const { metrics, clock, policy, cosigning, followers, responses } = parts;
  const issuer = createSshUserIssuer({ signer: keys.userCa, random: systemRandom });
  const hostIssuer = createSshHostIssuer({ signer: keys.hostCa, random: systemRandom });
  const { shared } = store;
  const authority = authorityOf(parts, issuer, hostIssuer);
  const krl = new KrlPublisher({ store, issuer, hostIssuer, listSigner: keys.lists, worker: lists, clock });
  return {
    store,
    identity: createIdentity({ directories }),
    throttle:
      shared === undefined
        ? createLoginThrottle({ clock, rows: await store.throttleRows() })
        : createSharedThrottle({ clock, table: shared }),
    proofs: createDpopVerifier({ origins: config.origins, clock, ...(shared && { shared }) }),
    policy,
    issuer,
    certificateQuota: createCertificateQuota({
      perHour: config.limits['certificates-per-hour'],
      clock,
      shared,
    }),
    lookQuota: createLookQuota({ perHour: looksPerHour, clock, shared }),
    serials: new SerialSource(store, issuer.caFingerprint),
    logSigner,
    tree: new TileTree((...place) => store.readTile(...place)),
    checkpointKeep: checkpointFile(config.log.checkpoint),
    cosigning,
    krl,
    tls: authorities && makeTlsRoom(authorities, { store, clock }),
    hosts: createHostRooms({
      config,
      store,
      krl,
      issuer: hostIssuer,
      authority,
      listSigner: keys.lists,
      policy,
      clock,
    }),
    delivery,
    followers,
    authority,
    counters: metrics.counters,
    responses,
    loginRules: {
      holdMs: config.logins.hold,
      graceMs: config.logins.grace,
      skewMs: config.logins['clock-skew'],
      breakGlassKeys: new Set(config.logins['break-glass-keys']),
    },
    sessionLifetimeMs: config.sessions.lifetime,
    clock,
    random: pooledRandom(systemRandom),
  };
}

/** The public halves of the keys, as clients, hosts and auditors ask for them. */
function authorityOf(
  { keys, config, cosigning }: RoomParts,
  issuer: SshUserIssuer,
  hostIssuer: SshHostIssuer,
): Rooms['authority'] {
  const { origin } = config.log;
  const listKey = publicKeyFromKeyObject(keys.lists.publicKey);
  return {
    sshUserCa: {
      publicKey: formatPublicKey(issuer.caKey, 'sallyport-user-ca'),
      fingerprint: issuer.caFingerprint,
      algorithm: keys.userCa.algorithm,
    },
    sshHostCa: {
      publicKey: formatPublicKey(hostIssuer.caKey, 'sallyport-host-ca'),
      fingerprint: hostIssuer.caFingerprint,
      algorithm: keys.hostCa.algorithm,
    },
    listKey: {
      publicKey: formatPublicKey(listKey, 'sallyport-lists'),
      fingerprint: fingerprint(listKey.blob),
    },
    log: { origin, verifierKey: verifierKey(origin, keys.log.publicKey), quorum: cosigning?.quorum ?? null },
  };
}

async function recordPolicyChange({ store, clock }: Rooms, from: Policy, to: Policy): Promise<void> {
  await store.commit({
    entries: [
      {
        type: 'policy.change',
        outcome: 'success',
        timeMs: clock.nowMs(),
        actor: { kind: 'operator' },
        fields: { change: { before: from.policyVersion, after: to.policyVersion } },
      },
    ],
  });
}

function retentionRules({ log: { retention } }: Config): readonly RetentionRule[] {
  return (['addresses', 'names', 'reasons'] as const).flatMap((kind) => {
    const keepMs = retention[kind];
    return keepMs === undefined ? [] : [{ kind, keepMs }];
  });
}

/** One for each directory, unless the configuration wants none. */
function followersOf(
  { departures: rules, directories: configured }: Config,
  directories: readonly Directory[],
): readonly DirectoryFollower[] {
  if (!rules.follow) return [];
  const limits = {
    mostPeople: rules['most-people'],
    mostPercent: rules['most-percent'],
    windowMs: rules.window,
  };
  return directories.map((directory) => {
    const own = configured.find(({ name }) => name === directory.name);
    const watch = directory.watch(own !== undefined && 'watch' in own ? own.watch : undefined);
    const { grace: graceMs, sweep: sweepMs } = rules;
    return new DirectoryFollower({ directory: directory.name, watch, limits, graceMs, sweepMs });
  });
}

function tellOf(log: Logger): Tell {
  return (what, sink, error) => {
    if (what === 'recovered') log.info({ sink }, 'the sink takes entries again');
    else if (what === 'failing') log.warn({ sink, err: error }, 'a sink fails; entries wait in the log');
    else log.error({ sink, err: error }, 'delivering to a sink met a fault of the database');
  };
}

function warnOfNewAttributes(policy: Policy, asked: readonly string[], log: Logger): void {
  const missing = [...attributesUsed(policy)].filter((attribute) => !asked.includes(attribute));
  if (missing.length > 0)
    log.warn(
      { attributes: missing },
      'the policy reads new attributes: LDAP directories give them after a restart',
    );
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

interface Running {
  readonly door: HttpDoor;
  readonly pkiDoor: PkiDoor | undefined;
  readonly timers: Timers;
  readonly delivery: LogDelivery;
  readonly witnesses: Witnesses | undefined;
  readonly closeAll: () => Promise<void>;
}

async function stop(rooms: Rooms, running: Running): Promise<void> {
  const { door, pkiDoor, timers, delivery, witnesses, closeAll } = running;
  rooms.tls?.copies?.close();
  await timers.stop();
  rooms.hosts.waiting.close();
  // Who waits for a quorum is told now, and the door can close.
  await witnesses?.close();
  await pkiDoor?.close();
  await door.close();
  try {
    await shutDown(rooms);
    await keepCheckpoint(rooms);
  } finally {
    // After the last words, which the sinks are still given.
    await delivery.stop();
    await closeAll();
  }
}

/** The listener for those who check certificates: without TLS, which could not be checked without it. */
async function openPki(config: Config, { tls }: Rooms): Promise<PkiDoor | undefined> {
  const listen = config['tls-authority']?.listen;
  return listen === undefined || tls === undefined ? undefined : openPkiDoor(tls, listenAddress(listen));
}

function listenAddress(listen: string): { host: string; port: number } {
  const colon = listen.lastIndexOf(':');
  return { host: listen.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(listen.slice(colon + 1)) };
}
