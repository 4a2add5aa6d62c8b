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
  const personal = Object.entries(draft.personal ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  const fresh = random(10 + saltBytes * personal.length);
  const entry = clearFields(draft, fresh);
  let openings: string | undefined;
  if (personal.length > 0) {
    const opened: Record<string, EntryValue> = {};
    personal.forEach(([path, text], nth) => {
      const value = text.toWellFormed();
      const salt = fresh.subarray(10 + saltBytes * nth, 10 + saltBytes * (nth + 1));
      place(entry, path, commitment(salt, value));
      opened[path] = { salt: salt.toString('base64url'), value };
    });
    entry['personal'] = personal.map(([path]) => path);
    openings = canonicalJson(opened);
  }
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

/** `sha256:` and base64url of SHA-256(salt || value in UTF-8). */
function commitment(salt: Buffer, value: string): string {
  return `sha256:${hash('sha256', Buffer.concat([salt, Buffer.from(value)]), 'base64url')}`;
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

/** Sets the commitment at `name` or `parent.name`; the parent is copied, never shared with the draft. */
function place(entry: Fields, path: string, value: string): void {
  const [first = '', second] = path.split('.');
  if (!pathGrammar.test(path) || (second === undefined && ownNames.has(first))) throw badPath(path);
  if (second === undefined) {
    if (entry[first] !== undefined) throw badPath(path);
    entry[first] = value;
    return;
  }
  const parent = entry[first] ?? {};
  if (!isRecord(parent) || second in parent) throw badPath(path);
  entry[first] = { ...parent, [second]: value };
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
