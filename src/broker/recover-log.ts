import type { EntryDraft, EntryValue, LogAppender, LogHead } from '../accounting/index.ts';
import { CodedError } from '../kernel/index.ts';
import { maxHostCertificateSeconds } from '../issuance/index.ts';
import { credentialFields } from './entries.ts';
import { hostCredentialFields, hostTarget } from './host-entries.ts';
import { replaceKeptCheckpoint, refusal, type Standing } from './kept-checkpoint.ts';
import type { BegunAnew, BeginsAnew } from './new-log.ts';
import type { Rooms } from './rooms.ts';
import { tlsFields } from './tls-entries.ts';

/** Longer than any policy lets a certificate live (24 h), with room for clocks that differ. */
const longestLifeSeconds = 25n * 3600n;
const longestHostLifeSeconds = maxHostCertificateSeconds + 3600n;
/** A start declares up to so many serials void in one entry: a lost entry may stand for so many. */
const serialsPerEntry = 256n;
/** For what was reserved, and what was issued in the second after the checkpoint was kept. */
const serialsUnderWay = 1_000_000n;
/**
 * Where nothing says how much is lost, numbers go on from the clock, a million for each second: beyond all that was issued more
 * slowly, also after a recovery that this copy knows nothing of.
 */
const serialsPerMs = 1024n;
const maxNoteBytes = 8192;

/** What a recovery would do, for a rehearsal and for the act. */
export interface RecoveryPlan {
  /** Entries of the lost log that the copy has not; undefined when nothing says how many. An upper bound when the log forked. */
  readonly lostEntries: bigint | undefined;
  /** How far serials and list versions move on, and the least that they are afterwards. */
  readonly skip: bigint;
  readonly floor: bigint;
}

/** Says how much a database may have forgotten. */
export function planRecovery({ state, size, kept }: Standing, nowMs: number): RecoveryPlan {
  if (kept === undefined)
    return { lostEntries: undefined, skip: serialsUnderWay, floor: BigInt(nowMs) * serialsPerMs };
  // Of a fork it is not known where the two part: then all that was kept may be lost.
  const lostEntries = state === 'forked' ? kept.size : kept.size - size;
  return { lostEntries, skip: lostEntries * serialsPerEntry + serialsUnderWay, floor: 1n };
}

export interface Recovery {
  readonly standing: Standing;
  readonly appender: LogAppender;
  /** Of the new log. */
  readonly emptyHead: LogHead;
  readonly caFingerprint: string;
  readonly hostCaFingerprint: string;
  /** As in `NewLog`. */
  readonly keepServers: boolean;
  readonly reason: string;
  /** Hex SHA-256 of the bundle that the old log was written to; undefined when it had no entry. */
  readonly archiveSha256: string | undefined;
}

export interface Recovered extends BegunAnew {
  readonly untilSeconds: bigint;
}

/**
 * Begins a new log in a database that is not the last one: all that the copy knows dies, and so does every serial that may have been
 * issued after it. The caller has archived the old log, and replaces the kept checkpoint afterwards.
 * @throws CodedError as `BeginsAnew.beginAnew`
 */
export async function recoverLog(
  { store, clock }: Pick<Rooms, 'clock'> & { readonly store: BeginsAnew },
  recovery: Recovery,
): Promise<Recovered> {
  const { standing, appender, emptyHead, caFingerprint, hostCaFingerprint, keepServers, reason } = recovery;
  const atMs = clock.nowMs();
  const { skip, floor } = planRecovery(standing, atMs);
  const nowSeconds = BigInt(Math.floor(atMs / 1000));
  const untilSeconds = nowSeconds + longestLifeSeconds;
  let done: BegunAnew | undefined;
  await store.beginAnew({
    appender,
    emptyHead,
    atMs,
    reason,
    endsAt: standing.checkpoint,
    caFingerprint,
    hostCa: { caFingerprint: hostCaFingerprint, untilSeconds: nowSeconds + longestHostLifeSeconds },
    keepServers,
    skip,
    floor,
    untilSeconds,
    entries(began) {
      done = began;
      return firstEntries(recovery, began, atMs);
    },
  });
  if (done === undefined) throw new Error('a log that began has begun with something');
  return { ...done, untilSeconds };
}

function* firstEntries(recovery: Recovery, began: BegunAnew, timeMs: number): Iterable<EntryDraft> {
  const { standing, reason, archiveSha256 } = recovery;
  const { lostEntries } = planRecovery(standing, timeMs);
  const by = { outcome: 'success', timeMs, actor: { kind: 'operator' }, personal: { reason } } as const;
  const epoch: Record<string, EntryValue> = {
    origin: standing.origin,
    size: String(standing.size),
    checkpoint: standing.checkpoint,
    kept: keptText(standing),
    found: standing.state,
    lost_entries: lostEntries === undefined ? null : String(lostEntries),
    archive_sha256: archiveSha256 ?? null,
    authorities: began.authorities.map(({ caFingerprint, next }) => ({
      ca_fp: caFingerprint,
      next: String(next),
    })),
    list_version: String(began.listVersion),
  };
  yield { ...by, type: 'log.epoch', fields: { epoch, sessions: { ended: began.sessionsEnded } } };
  for (const credential of began.revoked) {
    const fields = { cred: credentialFields(credential) };
    yield { ...by, type: 'cred.revoke', subject: { uid: credential.personId }, fields };
  }
  for (const certificate of began.revokedHosts) {
    const target = hostTarget({ id: certificate.hostId, names: certificate.principals });
    const fields = { cred: hostCredentialFields(certificate, certificate.group), target };
    yield { ...by, type: 'cred.revoke', fields };
  }
  for (const certificate of began.revokedTls) {
    const fields = { cred: tlsFields(certificate, 'unspecified') };
    const uid = certificate.subjectId ?? certificate.personId;
    yield { ...by, type: 'cred.revoke', subject: { uid }, fields };
  }
}

/** Noise that lay where the checkpoint should be is not quoted. */
function keptText({ kept, keptNote }: Standing): string | null {
  if (kept === undefined || keptNote === undefined || Buffer.byteLength(keptNote) > maxNoteBytes) return null;
  return keptNote;
}

/**
 * Whether the log in the database is one that a recovery has just begun, which broke off before its checkpoint was kept: it begins
 * with `log.epoch`, no broker has started on it, and what is kept is still what that entry quotes.
 */
export async function isHalfRecovered(store: Rooms['store'], standing: Standing): Promise<boolean> {
  if ((await store.searchLog({ type: 'system.start', limit: 1 })).length > 0) return false;
  const epoch = await findEpoch(store);
  if (epoch === undefined) return false;
  // Where nothing could be quoted then, nothing of this log is kept now.
  return epoch.kept === null ? standing.state === epoch.found : standing.keptNote === epoch.kept;
}

/** The name of the log that this one goes on from; empty when it is the first. */
export async function previousOrigins(store: Rooms['store']): Promise<readonly string[]> {
  const epoch = await findEpoch(store);
  return epoch === undefined ? [] : [epoch.origin];
}

async function findEpoch(
  store: Rooms['store'],
): Promise<{ readonly origin: string; readonly kept: string | null; readonly found: string } | undefined> {
  for await (const { bytes } of store.logEntries(0n, 1n)) {
    const { epoch } = JSON.parse(bytes.toString('utf8')) as { epoch?: Awaited<ReturnType<typeof findEpoch>> };
    return epoch;
  }
  return undefined;
}

/**
 * Goes on with the same log although no checkpoint of it is kept: the operator vouches that the database is the last one, and
 * says so in the log.
 * @throws CodedError as `refuseRollback` when what is kept contradicts
 */
export async function keepAsItStands(
  parts: Pick<Rooms, 'store' | 'clock' | 'logSigner' | 'checkpointKeep'>,
  standing: Standing,
  reason: string,
): Promise<void> {
  refuseAsItStands(standing, parts.checkpointKeep.name);
  const { size, checkpoint } = standing;
  await parts.store.commit({
    entries: [
      {
        type: 'system.restore',
        outcome: 'success',
        timeMs: parts.clock.nowMs(),
        actor: { kind: 'operator' },
        fields: { restore: { size: String(size), checkpoint } },
        personal: { reason },
      },
    ],
  });
  await replaceKeptCheckpoint(parts);
}

/**
 * Only a database of which no checkpoint is kept can go on as it stands.
 * @param place where the checkpoint is kept. @throws CodedError as `refuseRollback`
 */
export function refuseAsItStands(standing: Standing, place: string): void {
  if (standing.state === 'no_kept_checkpoint') return;
  const error = refusal(standing, place);
  throw new CodedError(error.code as `${string}.${string}`, error.message, {
    next: 'Only a database of which no checkpoint is kept can go on as it stands. Leave --as-it-stands out.',
  });
}
