import { sha256, type Serial, type SshBlob } from '../kernel/index.ts';
import type { ListWorker, RevokedSince } from '../revocation/index.ts';
import type { Publication, Reads, StoredEntry } from './unit-of-work.ts';

/** Mostly only a few entries were made since, and what lies before them need not be read. */
const firstPage = 16;
const pageSize = 500;
/** Longer runs are not looked at one by one: they stay whole. */
const mostLookedAt = 100_000n;

type Asked = Pick<Reads, 'searchLog' | 'publication' | 'credential' | 'revokedRanges'>;

/** An assembled list, and what it was made from. */
export interface NewList {
  readonly bytes: Buffer;
  /** Everything that entries below this index revoked must be in it. */
  readonly logSize: bigint;
  /** In seconds: what expired before may be missing. */
  readonly forgottenBefore: bigint;
  /** The list that is served, which need not be the newest one. */
  readonly current: Publication | undefined;
  readonly authorities: readonly { readonly caFingerprint: string; readonly caKey: SshBlob }[];
}

/** What of one CA must be in the list although the rows say nothing of it any more. */
export interface Loss {
  readonly caKey: SshBlob;
  readonly serials: readonly bigint[];
  /** Both ends included. */
  readonly ranges: readonly { readonly first: bigint; readonly last: bigint }[];
}

/**
 * A list grows from the one before: it must hold all serials of that one and all that the log revoked since, but for what has expired
 * since, by the log's own word. A revocation that the rows have lost, however that came about, is found here, so that it is not lost
 * from the list. The cost goes with what came and went, not with what stayed; the lists are compared off the event loop.
 * @returns a part for each CA that lost anything. @throws CodedError `store.…`
 */
export async function findLosses(
  { store, worker }: { readonly store: Asked; readonly worker: ListWorker },
  list: NewList,
): Promise<readonly Loss[]> {
  // 1. The list before, if it is still the one that the log speaks of; where it is not, all that the log says counts.
  const before = await listBefore(store, list.current);
  // 2. What was revoked since.
  const since = await revokedSince(store, before?.logSize ?? 0n, list);
  // 3. What is missing, and by what right.
  const losses = await worker.losses({ after: list.bytes, before: before?.bytes, since });
  const found: Loss[] = [];
  for (const { caKey, firsts, lasts } of losses) {
    const caFingerprint = list.authorities.find((known) => known.caKey.equals(caKey))?.caFingerprint ?? '';
    // Ranges are of a log before this one, which says nothing of their serials.
    const known = await store.revokedRanges(caFingerprint, 0n);
    const serials: bigint[] = [];
    const ranges: Loss['ranges'][number][] = [];
    for (const [nth, first] of firsts.entries()) {
      const last = lasts[nth] ?? first;
      if (known.some((range) => range.first <= first && last <= range.last)) continue;
      if (last - first >= mostLookedAt) ranges.push({ first, last });
      else
        for (let serial = first; serial <= last; serial += 1n)
          if (!(await mayBeForgotten(store, { caFingerprint, serial }, list))) serials.push(serial);
    }
    if (serials.length + ranges.length > 0) found.push({ caKey, serials, ranges });
  }
  return found;
}

/** The newest list by the log, with how far it went. */
async function listBefore(
  store: Asked,
  current: Publication | undefined,
): Promise<{ readonly bytes: Buffer; readonly logSize: bigint } | undefined> {
  const [entry] = await store.searchLog({ type: 'krl.publish', limit: 1 });
  if (entry === undefined) return undefined;
  const { artifact, list } = fieldsOf(entry) as {
    readonly artifact: { readonly sha256: string };
    readonly list: { readonly log_size?: string };
  };
  const published = current?.sha256 === artifact.sha256 ? current : await store.publication('krl');
  if (published === undefined || list.log_size === undefined) return undefined;
  // The one that is served was looked at when it became so.
  const intact = published === current || sha256(published.bytes).toString('hex') === artifact.sha256;
  return intact ? { bytes: published.bytes, logSize: BigInt(list.log_size) } : undefined;
}

/** Per CA, what entries from `from` on revoked and has not expired. */
async function revokedSince(
  store: Asked,
  from: bigint,
  { logSize, forgottenBefore, authorities }: NewList,
): Promise<readonly RevokedSince[]> {
  const found = new Map<string, bigint[]>(authorities.map(({ caFingerprint }) => [caFingerprint, []]));
  for (let before = logSize, limit = firstPage; before > from; limit = pageSize) {
    const page = await store.searchLog({ type: 'cred.revoke', before, limit });
    for (const entry of page) {
      const act = entry.index < from ? undefined : readAct(entry);
      if (act !== undefined && act.notAfter >= forgottenBefore)
        found.get(act.caFingerprint)?.push(act.serial);
    }
    const oldest = page.at(-1);
    if (oldest === undefined || page.length < limit) break;
    before = oldest.index;
  }
  return authorities.map(({ caFingerprint, caKey }) => ({
    caKey,
    serials: BigUint64Array.from(found.get(caFingerprint) ?? []),
  }));
}

/** The log decides when a revoked certificate has expired; a row only of what this log never spoke of, because another one did. */
async function mayBeForgotten(
  store: Asked,
  { caFingerprint, serial }: { readonly caFingerprint: string; readonly serial: bigint },
  { forgottenBefore, authorities }: NewList,
): Promise<boolean> {
  const entries = await store.searchLog({ type: 'cred.revoke', serial: String(serial), limit: pageSize });
  const acts = entries.map(readAct).filter((act) => act?.caFingerprint === caFingerprint);
  if (acts.length > 0) return acts.every((act) => act !== undefined && act.notAfter < forgottenBefore);
  // Rows of hosts are kept elsewhere, and their serials not by number.
  if (caFingerprint !== authorities[0]?.caFingerprint) return true;
  const row = await store.credential(caFingerprint, serial as Serial);
  return row !== undefined && row.validBefore < forgottenBefore;
}

interface Act {
  readonly caFingerprint: string;
  readonly serial: bigint;
  /** In seconds. */
  readonly notAfter: bigint;
}

/** What an entry of our own revoked by serial of an SSH CA; undefined when it is of something else. */
function readAct(entry: StoredEntry): Act | undefined {
  const { cred, outcome } = fieldsOf(entry) as {
    readonly outcome: string;
    readonly cred?: Readonly<Partial<Record<'kind' | 'serial' | 'ca_fp' | 'not_after', string>>>;
  };
  if (outcome !== 'success' || cred?.kind?.startsWith('ssh-') !== true) return undefined;
  const { serial, ca_fp: caFingerprint, not_after: notAfter } = cred;
  if (serial === undefined || caFingerprint === undefined || notAfter === undefined) return undefined;
  return { caFingerprint, serial: BigInt(serial), notAfter: BigInt(Math.floor(Date.parse(notAfter) / 1000)) };
}

function fieldsOf({ bytes }: StoredEntry): unknown {
  return JSON.parse(bytes.toString('utf8'));
}
