import type { EntryDraft } from '../accounting/index.ts';
import { parseSerial, type PersonId } from '../kernel/index.ts';
import type { Rooms } from './rooms.ts';
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

const entriesPerStep = 2000;

/**
 * Erases what the rules let nobody keep any longer: openings, never entries, so that every proof verifies as before. Goes on where
 * it stopped the last time, step by step; each step that erased something is an entry.
 */
export async function applyRetention(parts: Parts, rules: readonly RetentionRule[]): Promise<void> {
  let erased = false;
  for (const rule of rules) while (await eraseNext(parts, rule, () => (erased = true)));
  if (erased) await parts.store.scrub('quick');
}

/** @returns true while there is more that is old enough */
async function eraseNext({ store, clock }: Parts, rule: RetentionRule, done: () => void): Promise<boolean> {
  const cursor = `retention.${rule.kind}`;
  const from = (await store.sinkPositions()).get(cursor) ?? 0n;
  const beforeMs = clock.nowMs() - rule.keepMs;
  const old: StoredEntry[] = [];
  for await (const entry of store.logEntries(from, from + BigInt(entriesPerStep))) {
    if (timeOf(entry) >= beforeMs) break;
    old.push(entry);
  }
  if (old.length === 0) return false;
  const next = from + BigInt(old.length);
  const paths: readonly string[] = personalPaths[rule.kind];
  const openings = old.flatMap((entry) => without(entry, (path) => paths.includes(path)));
  await store.commit({
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
  });
  if (openings.length > 0) done();
  return old.length === entriesPerStep;
}

/** The rows that hold the same values as the entries of their issue and revocation. */
function rowsOf(
  kind: RetentionRule['kind'],
  old: readonly StoredEntry[],
): Pick<NonNullable<Change['erase']>, 'logins' | 'revokedReasons'> {
  if (kind === 'addresses') return {};
  const named = old.flatMap((entry) => {
    const { type, cred } = contentOf(entry);
    if (type !== (kind === 'names' ? 'cred.issue' : 'cred.revoke') || cred?.serial === undefined) return [];
    return [{ caFingerprint: cred.ca_fp ?? '', serial: parseSerial(cred.serial) }];
  });
  return kind === 'names' ? { logins: named } : { revokedReasons: named };
}

/** What an erasure came to. */
export interface ErasedPerson {
  readonly entries: number;
}

/**
 * Erases a person's name, their addresses and words, and what others wrote about them, from all openings and rows. Whoever holds
 * live sessions or certificates is not forgotten: the caller has seen to that. Their account names stay, as certificates name them.
 */
export async function erasePerson(
  { store, clock }: Parts,
  personId: PersonId,
  reason: string,
): Promise<ErasedPerson> {
  const openings: { readonly index: bigint; readonly openings: string | undefined }[] = [];
  let before: bigint | undefined;
  for (;;) {
    const page = await store.searchLog({
      personId,
      ...(before === undefined ? {} : { before }),
      limit: entriesPerStep,
    });
    for (const entry of page) openings.push(...without(entry, isTheirs(entry, personId)));
    before = page.at(-1)?.index;
    if (page.length < entriesPerStep) break;
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
  await store.scrub('thorough');
  return { entries: openings.length };
}

/** Where they acted everything is theirs; where they were acted on, their name and what was said of them. */
function isTheirs(entry: StoredEntry, personId: PersonId): (path: string) => boolean {
  const { actor, subject } = contentOf(entry);
  const acted = actor?.uid === personId;
  const concerned = subject?.uid === personId;
  return (path) => acted || (concerned && (path === 'subject.name' || path === 'reason'));
}

/** What is left of an entry's openings; nothing when it had none that `drop` names. */
function without(
  { index, openings }: StoredEntry,
  drop: (path: string) => boolean,
): readonly { readonly index: bigint; readonly openings: string | undefined }[] {
  if (openings === undefined) return [];
  const held = Object.entries(JSON.parse(openings) as Record<string, unknown>);
  const left = held.filter(([path]) => !drop(path));
  if (left.length === held.length) return [];
  return [{ index, openings: left.length === 0 ? undefined : JSON.stringify(Object.fromEntries(left)) }];
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
