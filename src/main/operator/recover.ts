import { dirname, join, resolve } from 'node:path';
import { verifierKey, type LogSigner } from '../../accounting/index.ts';
import {
  findStanding,
  isHalfRecovered,
  keepAsItStands,
  planRecovery,
  recoverLog,
  refuseAsItStands,
  replaceKeptCheckpoint,
  type BeginsAnew,
  type CheckpointKeep,
  type Standing,
  type Store,
} from '../../broker/index.ts';
import type { OperatorIo, Outcome, RecoverOptions } from '../../doors/cli/index.ts';
import { createSshHostIssuer, createSshUserIssuer } from '../../issuance/index.ts';
import { CodedError, formatUtc, systemClock, systemRandom } from '../../kernel/index.ts';
import { checkTrustedFolder } from '../../keys/index.ts';
import { openPostgresStore, openSqliteStore, storedOrigin, storedPostgresOrigin } from '../../store/index.ts';
import { checkpointFile } from '../checkpoint-file.ts';
import { loadConfig, type Config } from '../config.ts';
import { placeOf } from '../database.ts';
import { logOf, logSignerOf, openKeys } from '../load.ts';
import { readPassphrase } from '../passphrase.ts';
import { archiveFile, archiveLog } from './archive-log.ts';
import { nextOrigin, takenNames } from './log-names.ts';

interface Parts {
  readonly config: Config;
  readonly options: RecoverOptions;
  readonly store: Store & BeginsAnew;
  /** The folder of the data; of a database elsewhere, where one would be. The archive lies beside it. */
  readonly folder: string;
  readonly logSigner: LogSigner;
  readonly checkpointKeep: CheckpointKeep;
  readonly caFingerprint: string;
  readonly hostCaFingerprint: string;
  readonly clock: typeof systemClock;
}

/** Rehearses, or begins a new log in a database that is not the last one. Holds the data folder for itself meanwhile. */
export async function recover(options: RecoverOptions, io: OperatorIo): Promise<Outcome> {
  const config = loadConfig(options.configFile);
  const keys = await openKeys(
    config,
    await readPassphrase(config.keys.passphrase, process.env, (question) => io.askSecret(question)),
  );
  const logSigner = logSignerOf(keys.log);
  const { caFingerprint } = createSshUserIssuer({ signer: keys.userCa, random: systemRandom });
  const { caFingerprint: hostCaFingerprint } = createSshHostIssuer({
    signer: keys.hostCa,
    random: systemRandom,
  });
  const { store, folder } = await openForRecovery(config, options, logSigner);
  try {
    const checkpointKeep = checkpointFile(config.log.checkpoint);
    const parts = {
      config,
      options,
      store,
      folder,
      logSigner,
      checkpointKeep,
      caFingerprint,
      hostCaFingerprint,
      clock: systemClock,
    };
    const standing = await findStanding(parts);
    if (standing.state === 'sound') throw nothingToRecover(standing, config, options.configFile);
    if (options.asItStands) return await goOn(parts, standing);
    if (await isHalfRecovered(store, standing)) return await finish(parts, standing);
    return options.yes ? await beginAnew(parts, standing, io) : await rehearse(parts, standing);
  } finally {
    await store.close();
  }
}

/** Under the name that the log has: opening it checks that its head is whole and was signed with this key. */
async function openForRecovery(
  config: Config,
  { configFile }: RecoverOptions,
  logSigner: LogSigner,
): Promise<Pick<Parts, 'store' | 'folder'>> {
  const place = placeOf(config);
  if (place.kind === 'postgres') {
    const { address } = place;
    const log = logOf({ origin: await storedPostgresOrigin(address), logSigner });
    const folder = join(dirname(resolve(configFile)), 'data');
    return { store: await openPostgresStore({ address, ...log }), folder };
  }
  const { folder } = place;
  checkTrustedFolder(folder);
  const log = logOf({ origin: storedOrigin(folder), logSigner });
  return { store: openSqliteStore({ folder, when: 'open', ...log }), folder };
}

async function rehearse(parts: Parts, standing: Standing): Promise<Outcome> {
  const { config, options, checkpointKeep, store, folder, clock } = parts;
  const { lostEntries } = planRecovery(standing, clock.nowMs());
  const taken = await takenNames(store, standing);
  const isNamed = !taken.includes(config.log.origin);
  const lost = lostEntries === undefined ? 'unknown' : String(lostEntries);
  return {
    value: {
      applied: false,
      found: standing.state,
      origin: standing.origin,
      size: String(standing.size),
      kept: standing.kept === undefined ? null : String(standing.kept.size),
      lostEntries: lostEntries === undefined ? null : lost,
      newOrigin: isNamed ? config.log.origin : null,
    },
    lines: [
      found(standing, checkpointKeep.name),
      `  in the database  ${standing.size} entries of the log ${standing.origin}`,
      `  kept outside     ${standing.kept === undefined ? 'nothing of use' : `${standing.kept.size} entries`}`,
      `  lost             ${lostEntries === undefined ? 'nothing says how much' : `${standing.state === 'forked' ? 'up to ' : ''}${lost} entries`}`,
      'A recovery would',
      `  write the old log to ${archiveFile(folder, standing)}`,
      `  begin a new log ${isNamed ? config.log.origin : 'under another name'}, whose first entry quotes the old one`,
      '  revoke every SSH certificate and end every session that there is, known here or not',
      `  revoke the certificates for TLS that are known here${options.keepServers === true ? ', but for those of servers' : ', those of servers too'}`,
      '  count serials and versions of lists from a number on that nobody can have',
      'Locks, revoked keys and released names of the lost time are forgotten: set them again afterwards.',
      ...(isNamed
        ? ['It cannot be undone. Say it again with --yes.']
        : [
            `First give the log a new name: in ${options.configFile}, below \`log:\`, write \`origin: ${nextOrigin(taken)}\`.`,
          ]),
    ],
  };
}

async function beginAnew(parts: Parts, standing: Standing, io: OperatorIo): Promise<Outcome> {
  const { config, options, logSigner, store, folder, clock } = parts;
  const { origin } = config.log;
  await refuseOldName(parts, standing);
  io.note('Writing the old log away, and reading it back…');
  const archive = await archiveLog(store, logSigner, folder, standing);
  io.note('Beginning the new log…');
  const done = await recoverLog(
    { store, clock },
    {
      standing,
      ...logOf({ origin, logSigner }),
      caFingerprint: parts.caFingerprint,
      hostCaFingerprint: parts.hostCaFingerprint,
      keepServers: options.keepServers === true,
      reason: options.reason,
      archiveSha256: archive?.sha256,
    },
  );
  await replaceKeptCheckpoint(parts);
  const key = verifierKey(origin, logSigner.publicKey);
  const next = done.authorities.map(({ caFingerprint, next }) => `${next} of ${caFingerprint}`);
  return {
    value: {
      applied: true,
      found: standing.state,
      origin,
      verifierKey: key,
      archive: archive === undefined ? null : { file: archive.file, sha256: archive.sha256 },
      revoked: done.revoked.length,
      revokedTls: done.revokedTls.length,
      sessionsEnded: done.sessionsEnded,
      authorities: done.authorities.map(({ caFingerprint, next }) => ({ caFingerprint, next: String(next) })),
    },
    lines: [
      `The log ${origin} has begun. Its verifier key, for auditors:`,
      `  ${key}`,
      ...(archive === undefined ? [] : [`The old log is ${archive.file}, its key beside it.`]),
      `Revoked ${done.revoked.length} known certificates, and every serial before ${next.join(', ')} until ${formatUtc(Number(done.untilSeconds) * 1000)}.`,
      ...tlsLines(done.revokedTls, options.keepServers === true),
      `Ended ${done.sessionsEnded} sessions.`,
      'Locks, revoked keys and released names of the lost time are forgotten: set them again.',
      `next: sallyport serve --config ${options.configFile}`,
    ],
  };
}

function tlsLines(revoked: readonly { readonly subjectId?: unknown }[], keepServers: boolean): string[] {
  const servers = revoked.filter(({ subjectId }) => subjectId === undefined).length;
  const kept = keepServers
    ? 'those of servers stay as the copy knows them'
    : `${servers} of them of servers, which need new ones`;
  return revoked.length === 0 && !keepServers
    ? []
    : [
        `Revoked ${revoked.length} known certificates for TLS; ${kept}. Those of the lost time cannot be named: OCSP knows none of them.`,
      ];
}

/** The new log is there and its checkpoint is not: a recovery broke off between the two. */
async function finish(parts: Parts, { origin }: Standing): Promise<Outcome> {
  const { config, options } = parts;
  if (config.log.origin !== origin) {
    throw new CodedError(
      'main.other_origin',
      `A recovery that broke off has begun the log ${origin}, and the configuration names ${config.log.origin}.`,
      { next: `In ${options.configFile}, below \`log:\`, write \`origin: ${origin}\`.` },
    );
  }
  if (options.yes) await replaceKeptCheckpoint(parts);
  return {
    value: { applied: options.yes, found: 'broke_off', origin },
    lines: [
      options.yes
        ? `The recovery that broke off is finished. next: sallyport serve --config ${options.configFile}`
        : `A recovery broke off after the log ${origin} had begun. Say it again with --yes: what is left is to keep its checkpoint.`,
    ],
  };
}

async function goOn(parts: Parts, standing: Standing): Promise<Outcome> {
  const { options, config } = parts;
  if (config.log.origin !== standing.origin) throw otherOrigin(standing, config, options.configFile);
  refuseAsItStands(standing, parts.checkpointKeep.name);
  if (options.yes) await keepAsItStands(parts, standing, options.reason);
  const { size, origin } = standing;
  return {
    value: { applied: options.yes, found: standing.state, origin, size: String(size) },
    lines: options.yes
      ? [
          `The log ${origin} goes on after its ${size} entries, and says that you vouched for them.`,
          `next: sallyport serve --config ${options.configFile}`,
        ]
      : [
          `No checkpoint is kept of the log ${origin}, which has ${size} entries here.`,
          'If this database is the very last one, say it again with --yes. If it may be an older copy, do not: serials would come again. Leave --as-it-stands out then.',
        ],
  };
}

async function refuseOldName({ config, options, store }: Parts, standing: Standing): Promise<void> {
  const taken = await takenNames(store, standing);
  if (!taken.includes(config.log.origin)) return;
  throw new CodedError('main.same_origin', `The configuration names an old log, ${config.log.origin}.`, {
    next: `In ${options.configFile}, below \`log:\`, write \`origin: ${nextOrigin(taken)}\`, and say it again.`,
  });
}

function found({ state, origin }: Standing, place: string): string {
  const words = {
    sound: 'Nothing is wrong.',
    rolled_back: `The log ${origin} is shorter than the checkpoint at ${place} says: the database is an old copy.`,
    forked: `The log ${origin} is another one than the checkpoint at ${place} says.`,
    no_kept_checkpoint: `No checkpoint of the log ${origin} is kept at ${place}: the database may be an old copy.`,
    bad_kept_checkpoint: `What is kept at ${place} is no checkpoint of the log ${origin}.`,
  };
  return words[state];
}

function nothingToRecover(standing: Standing, config: Config, configFile: string): CodedError {
  if (config.log.origin !== standing.origin) return otherOrigin(standing, config, configFile);
  return new CodedError(
    'main.nothing_to_recover',
    `There is nothing to recover: the log ${standing.origin} goes on from what was kept of it.`,
    { next: `Start the broker: sallyport serve --config ${configFile}` },
  );
}

function otherOrigin({ origin }: Standing, config: Config, configFile: string): CodedError {
  return new CodedError(
    'main.other_origin',
    `There is nothing to begin anew: the log in the database is ${origin}, and the configuration names ${config.log.origin}.`,
    { next: `In ${configFile}, below \`log:\`, write \`origin: ${origin}\`.` },
  );
}
