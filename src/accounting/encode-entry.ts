import { hash } from 'node:crypto';
import { CodedError, type RandomBytes, toRfc3339 } from '../kernel/index.ts';
import { canonicalJson } from './canonical-json.ts';
import type { EncodedEntry, EntryDraft, EntryValue } from './entry.ts';
import { digest } from './tree.ts';

/** C2SP tlog-tiles writes the length of an entry in 16 bits. */
export const maxEntryBytes = 65_535;
/** Openings of one entry, as JSON. Doors bound what people type long before. */
export const maxOpeningsBytes = 131_072;

const saltBytes = 16;
const maxTimeMs = Date.UTC(9999, 11, 31, 23, 59, 59, 999);
const pathGrammar = /^[a-z][a-z0-9_]{0,31}(?:\.[a-z][a-z0-9_]{0,31})?$/;
const ownNames = new Set([
  'v',
  'id',
  'time',
  'type',
  'outcome',
  'reason_code',
  'actor',
  'subject',
  'personal',
]);

type Fields = Record<string, EntryValue | undefined>;

/**
 * The exact bytes of one entry, its leaf hash, and the openings of its commitments.
 * @throws CodedError `accounting.entry_too_large`, `accounting.bad_draft`, `accounting.not_canonical`
 */
export function encodeEntry(draft: EntryDraft, index: bigint, random: RandomBytes): EncodedEntry {
  const paths = Object.keys(draft.personal ?? {}).sort();
  const fresh = random(10 + saltBytes * paths.length);
  const entry = clearFields(draft, fresh);
  const openings = paths.length === 0 ? undefined : commit(entry, { draft, paths, fresh });
  // With the leaf prefix of RFC 6962 in front, so that hashing needs no copy.
  const prefixed = Buffer.from(`\0${canonicalJson(entry as { readonly [key: string]: EntryValue })}`);
  const sizeBytes = prefixed.length - 1;
  if (sizeBytes > maxEntryBytes || Buffer.byteLength(openings ?? '') > maxOpeningsBytes) {
    throw new CodedError(
      'accounting.entry_too_large',
      `A ${draft.type} entry of ${sizeBytes} bytes is too large.`,
      {
        next: `An entry holds at most ${maxEntryBytes} bytes. Ask for fewer principals or a shorter reason.`,
      },
    );
  }
  return { index, bytes: prefixed.subarray(1), leafHash: digest(prefixed), openings };
}

/** Puts the commitments to all personal values into the entry. @returns their openings, as canonical JSON */
function commit(
  entry: Fields,
  { draft, paths, fresh }: { readonly draft: EntryDraft; readonly paths: string[]; readonly fresh: Buffer },
): string {
  const copied = new Set<string>();
  let openings = '{';
  for (const [nth, path] of paths.entries()) {
    const value = draft.personal?.[path]?.toWellFormed() ?? '';
    const salt = fresh.subarray(10 + saltBytes * nth, 10 + saltBytes * (nth + 1));
    place(entry, path, { value: commitment(salt, value), copied });
    // Keys in order: the paths are sorted, and salt comes before value. Written out, because objects for it cost more than hashing.
    openings += `${nth === 0 ? '' : ','}"${path}":{"salt":"${salt.toString('base64url')}","value":${canonicalJson(value)}}`;
  }
  entry['personal'] = paths;
  return `${openings}}`;
}

// One buffer for what is hashed, which `hash` reads before it returns; longer values get one of their own.
const salted = Buffer.alloc(1024);

/** `sha256:` and base64url of SHA-256(salt || value in UTF-8). */
function commitment(salt: Buffer, value: string): string {
  // No UTF-16 code unit takes more than three bytes.
  if (saltBytes + 3 * value.length > salted.length)
    return `sha256:${hash('sha256', Buffer.concat([salt, Buffer.from(value)]), 'base64url')}`;
  salted.set(salt);
  const sizeBytes = saltBytes + salted.write(value, saltBytes);
  return `sha256:${hash('sha256', salted.subarray(0, sizeBytes), 'base64url')}`;
}

function clearFields(draft: EntryDraft, fresh: Buffer): Fields {
  if (!Number.isSafeInteger(draft.timeMs) || draft.timeMs < 0 || draft.timeMs > maxTimeMs)
    throw badDraft(draft, `its time ${draft.timeMs} is no time`);
  if (draft.outcome !== 'success' && draft.reasonCode === undefined)
    throw badDraft(draft, 'a reason code belongs to every outcome but success');
  const entry: Fields = {
    v: 1,
    id: uuidV7(draft.timeMs, fresh),
    time: toRfc3339(draft.timeMs),
    type: draft.type,
    outcome: draft.outcome,
    reason_code: draft.reasonCode,
    actor: draft.actor,
    subject: draft.subject,
  };
  for (const [name, value] of Object.entries(draft.fields ?? {})) {
    if (ownNames.has(name) || !pathGrammar.test(name) || name.includes('.'))
      throw badDraft(draft, `a field may not be called ${name}`);
    entry[name] = value;
  }
  return entry;

  function uuidV7(timeMs: number, randomBytes: Buffer): string {
    const head = timeMs.toString(16).padStart(12, '0');
    const tail = randomBytes.toString('hex', 0, 10);
    const variant = '89ab'[Number.parseInt(tail[4] ?? '0', 16) % 4];
    return `${head.slice(0, 8)}-${head.slice(8)}-7${tail.slice(1, 4)}-${variant}${tail.slice(5, 8)}-${tail.slice(8)}`;
  }
}

// Flows use a few paths over and over.
const knownPaths = new Map<string, readonly [first: string, second: string | undefined]>();
const maxPaths = 100;

/** The one or two names of a path. @throws CodedError `accounting.bad_draft` */
function namesOf(path: string): readonly [first: string, second: string | undefined] {
  const known = knownPaths.get(path);
  if (known !== undefined) return known;
  const [first = '', second] = path.split('.');
  if (!pathGrammar.test(path) || (second === undefined && ownNames.has(first))) throw badPath(path);
  if (knownPaths.size < maxPaths) knownPaths.set(path, [first, second]);
  return [first, second];
}

/** Sets the commitment at `name` or `parent.name`; the parent is copied once, never shared with the draft. */
function place(
  entry: Fields,
  path: string,
  { value, copied }: { readonly value: string; readonly copied: Set<string> },
): void {
  const [first, second] = namesOf(path);
  if (second === undefined) {
    if (entry[first] !== undefined) throw badPath(path);
    entry[first] = value;
    return;
  }
  const parent = entry[first] ?? {};
  if (!isRecord(parent) || second in parent) throw badPath(path);
  if (!copied.has(first)) entry[first] = { ...parent };
  copied.add(first);
  (entry[first] as Record<string, EntryValue>)[second] = value;
}

function isRecord(value: EntryValue): value is { readonly [key: string]: EntryValue } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function badPath(path: string): CodedError {
  return new CodedError(
    'accounting.bad_draft',
    `No personal value can be placed at ${path}: it is taken or not a path.`,
  );
}

function badDraft(draft: EntryDraft, why: string): CodedError {
  return new CodedError('accounting.bad_draft', `A ${draft.type} entry cannot be written: ${why}.`);
}
