import type { EntryDraft } from '../accounting/index.ts';
import { findX509Serial, isCodedError, parseSerial, type PersonId } from '../kernel/index.ts';
import type { Rooms } from './rooms.ts';
import type { X509Serial } from './tls-rows.ts';
import type { Change, StoredEntry } from './unit-of-work.ts';

/** Personal values of one kind, and how long their openings are kept. */
export interface RetentionRule {
  readonly kind: keyof typeof personalPaths;
  readonly keepMs: number;
}

/** The personal paths of docs/formats/log.md, by what a rule can name. */
const personalPaths = {
  addresses: ['src.ip', 'src.ua'],
  names: ['actor.name', 'subject.name'],
  reasons: ['reason'],
} as const;

type Parts = Pick<Rooms, 'store' | 'clock'>;

const entriesPerStep = 500;
const entriesPerPage = 2000;
/** Stores of which every file was cleaned since the last erasure: what a crash or a reader left is cleaned at the next occasion. */
const scrubbed = new WeakSet<Parts['store']>();

/**
 * Erases what the rules let nobody keep any longer: openings, never entries, so that every proof verifies as before. Goes on where
 * it stopped the last time, step by step; each step that erased something is an entry.
 */
export async function applyRetention(parts: Parts, rules: readonly RetentionRule[]): Promise<void> {
  for (const rule of rules) while (await eraseNext(parts, rule));
  if (rules.length === 0 || scrubbed.has(parts.store)) return;
  await parts.store.scrub('quick');
  scrubbed.add(parts.store);
}

/** @returns true while there is more that is old enough */
async function eraseNext({ store, clock }: Parts, rule: RetentionRule): Promise<boolean> {
  const cursor = `retention.${rule.kind}`;
  const from = (await store.sinkPositions()).get(cursor) ?? 0n;
  const beforeMs = clock.nowMs() - rule.keepMs;
  const page: StoredEntry[] = [];
  for await (const entry of store.logEntries(from, from + BigInt(entriesPerStep))) page.push(entry);
  // Whatever stands before an old entry is older, whatever a clock that was ahead made of its time.
  const old = page.slice(0, page.findLastIndex((entry) => timeOf(entry) < beforeMs) + 1);
  if (old.length === 0) return false;
  const next = from + BigInt(old.length);
  const paths: readonly string[] = personalPaths[rule.kind];
  const openings = old.flatMap((entry) => without(entry, (path) => paths.includes(path)));
  if (openings.length > 0) scrubbed.delete(store);
  const change: Change = {
    moveSink: { sink: cursor, from, next },
    erase: { openings, ...rowsOf(rule.kind, old) },
    entries:
      openings.length === 0
        ? []
        : [
            eraseEntry(clock.nowMs(), {
              rule: rule.kind,
              keep_days: Math.floor(rule.keepMs / 86_400_000),
              from: String(from),
              to: String(next),
              entries: openings.length,
            }),
          ],
  };
  try {
    await store.commit(change);
  } catch (error) {
    // Another broker is at it, and goes on.
    if (isCodedError(error, 'store.conflict')) return false;
    throw error;
  }
  return old.length === entriesPerStep;
}

/** The rows that hold the same values as the entries of their issue and revocation. */
function rowsOf(
  kind: RetentionRule['kind'],
  old: readonly StoredEntry[],
): Pick<NonNullable<Change['erase']>, 'logins' | 'revokedReasons' | 'tlsLogins' | 'tlsRevokedReasons'> {
  if (kind === 'addresses') return {};
  const named = old.flatMap((entry) => {
    const { type, cred } = contentOf(entry);
    if (type !== (kind === 'names' ? 'cred.issue' : 'cred.revoke') || cred?.serial === undefined) return [];
    return [{ caFingerprint: cred.ca_fp ?? '', serial: cred.serial }];
  });
  const ssh = named.flatMap(({ caFingerprint, serial }) =>
    findX509Serial(serial) === undefined ? [{ caFingerprint, serial: parseSerial(serial) }] : [],
  );
  const tls = named.flatMap(({ serial }) => (findX509Serial(serial) as X509Serial | undefined) ?? []);
  return kind === 'names' ? { logins: ssh, tlsLogins: tls } : { revokedReasons: ssh, tlsRevokedReasons: tls };
}

/** What an erasure came to. */
export interface ErasedPerson {
  readonly entries: number;
  /** Whether the bytes are out of the files, as far as this process may see to it. */
  readonly scrub: 'scrubbed' | 'not_permitted';
}

/**
 * Erases a person's name, their addresses and words, and what others wrote about them, from all openings and rows. Whoever holds
 * live sessions or certificates is not forgotten: the caller has seen to that. Their account names stay, as certificates name them.
 * @throws CodedError `store.not_scrubbed` when all of it is erased, and still in the files
 */
export async function erasePerson(
  { store, clock }: Parts,
  personId: PersonId,
  reason: string,
): Promise<ErasedPerson> {
  const openings: Dropped[] = [];
  let before: bigint | undefined;
  for (;;) {
    const page = await store.searchLog({
      personId,
      ...(before === undefined ? {} : { before }),
      limit: entriesPerPage,
    });
    for (const entry of page) openings.push(...without(entry, isTheirs(entry, personId)));
    before = page.at(-1)?.index;
    if (page.length < entriesPerPage) break;
  }
  await store.commit({
    erase: { openings, person: personId },
    entries: [
      {
        ...eraseEntry(clock.nowMs(), { rule: 'person', entries: openings.length }),
        actor: { kind: 'operator' },
        subject: { uid: personId },
        personal: { reason },
      },
    ],
  });
  return { entries: openings.length, scrub: await store.scrub('thorough') };
}

/** Where they acted everything is theirs; where they were acted on, their name and what was said of them. */
function isTheirs(entry: StoredEntry, personId: PersonId): (path: string) => boolean {
  const { actor, subject } = contentOf(entry);
  const acted = actor?.uid === personId;
  const concerned = subject?.uid === personId;
  return (path) => acted || (concerned && (path === 'subject.name' || path === 'reason'));
}

type Dropped = NonNullable<Change['erase']>['openings'][number];

/** Which paths go from an entry's openings; nothing when it had none that `isDropped` names. */
function without({ index, openings }: StoredEntry, isDropped: (path: string) => boolean): readonly Dropped[] {
  if (openings === undefined) return [];
  const drop = Object.keys(JSON.parse(openings) as Record<string, unknown>).filter(isDropped);
  return drop.length === 0 ? [] : [{ index, drop }];
}

function eraseEntry(timeMs: number, erased: Readonly<Record<string, string | number>>): EntryDraft {
  return { type: 'log.erase', outcome: 'success', timeMs, actor: { kind: 'broker' }, fields: { erased } };
}

function timeOf(entry: StoredEntry): number {
  return Date.parse(contentOf(entry).time ?? '');
}

function contentOf({ bytes }: StoredEntry): {
  readonly time?: string;
  readonly type?: string;
  readonly actor?: { readonly uid?: string };
  readonly subject?: { readonly uid?: string };
  readonly cred?: { readonly ca_fp?: string; readonly serial?: string };
} {
  return JSON.parse(bytes.toString('utf8')) as ReturnType<typeof contentOf>;
}
