import { hash } from 'node:crypto';

/** What JSON can hold. */
export type Json = string | number | boolean | null | readonly Json[] | JsonRecord;
export interface JsonRecord {
  readonly [key: string]: Json;
}

/** An entry whose bytes are canonical and whose common fields are as docs/formats/log.md says. */
export interface Entry {
  readonly time: string;
  readonly timeMs: number;
  readonly type: string;
  readonly outcome: string;
  /** Paths of the commitments, sorted. */
  readonly personal: readonly string[];
  readonly fields: JsonRecord;
}

export interface OpeningCounts {
  readonly opened: number;
  readonly erased: number;
  readonly withheld: number;
}

export const maxEntryBytes = 65_535;
const maxOpeningsBytes = 131_072;
const maxDepth = 16;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export function isRecord(value: Json | undefined): value is JsonRecord {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** UTF-8 text, or undefined when the bytes are none. */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined; // invalid UTF-8, which the callers report with the place
  }
}

/** The record in these bytes if they are its RFC 8785 encoding and nothing else; otherwise undefined. */
export function parseCanonical(bytes: Uint8Array): JsonRecord | undefined {
  const text = decodeUtf8(bytes);
  if (text === undefined) return undefined;
  let value: Json;
  try {
    value = JSON.parse(text) as Json;
  } catch {
    return undefined; // no JSON at all
  }
  return isRecord(value) && canonical(value, 0) === text ? value : undefined;
}

/** RFC 8785 for safe integers, strings, booleans, null, lists and records; undefined inside anything else. */
function canonical(value: Json, depth: number): string | undefined {
  if (depth > maxDepth) return undefined;
  if (typeof value === 'string') return value.isWellFormed() ? JSON.stringify(value) : undefined;
  if (typeof value === 'number') return Number.isSafeInteger(value) ? String(value) : undefined;
  if (typeof value === 'boolean' || value === null) return String(value);
  if (!isRecord(value)) {
    const parts = value.map((part) => canonical(part, depth + 1));
    return parts.includes(undefined) ? undefined : `[${parts.join(',')}]`;
  }
  const parts: string[] = [];
  for (const key of Object.keys(value).sort()) {
    const part = canonical(value[key] ?? null, depth + 1);
    if (part === undefined || !key.isWellFormed()) return undefined;
    parts.push(`${JSON.stringify(key)}:${part}`);
  }
  return `{${parts.join(',')}}`;
}

/** Checks the common fields. @returns the reason when they are not as docs/formats/log.md says. */
export function parseEntry(bytes: Uint8Array): Entry | string {
  if (bytes.length > maxEntryBytes) return `it is longer than ${maxEntryBytes} bytes`;
  const fields = parseCanonical(bytes);
  if (fields === undefined) return 'it is not canonical JSON';
  const { v, id, time, type, outcome, reason_code: reasonCode, personal = [] } = fields;
  if (v !== 1) return 'its version is not 1';
  if (!matches(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/))
    return 'its id is no UUIDv7';
  const timeMs = timeOfText(time);
  if (typeof time !== 'string' || timeMs === undefined)
    return 'its time is not RFC 3339 in UTC with milliseconds';
  if (id.slice(0, 8) + id.slice(9, 13) !== timeMs.toString(16).padStart(12, '0'))
    return 'its id is not of its time';
  if (!matches(type, /^[a-z]+(?:\.[a-z_]+)+$/)) return 'its type is malformed';
  if (!matches(outcome, /^(?:success|failure|denied)$/)) return 'its outcome is malformed';
  if (reasonCode === undefined ? outcome !== 'success' : !matches(reasonCode, /./su))
    return 'its reason code is missing or malformed';
  const paths = personalPaths(fields, personal);
  if (paths === undefined) return 'its list of personal values does not fit its commitments';
  return { time, timeMs, type, outcome, personal: paths, fields };
}

function matches(value: Json | undefined, pattern: RegExp): value is string {
  return typeof value === 'string' && pattern.test(value);
}

function personalPaths(fields: JsonRecord, personal: Json): readonly string[] | undefined {
  if (!Array.isArray(personal) || (personal.length === 0 && 'personal' in fields)) return undefined;
  const paths = (personal as readonly Json[]).filter((path) => typeof path === 'string');
  const sorted = paths.every((path, nth) => nth === 0 || (paths[nth - 1] ?? '') < path);
  const committed = paths.every((path) => commitmentAt(fields, path) !== undefined);
  return paths.length === personal.length && sorted && committed ? paths : undefined;
}

function commitmentAt(fields: JsonRecord, path: string): string | undefined {
  if (!/^[a-z][a-z0-9_]{0,31}(?:\.[a-z][a-z0-9_]{0,31})?$/.test(path)) return undefined;
  const [first = '', second] = path.split('.');
  const parent = fields[first];
  const value = second === undefined ? parent : isRecord(parent) ? parent[second] : undefined;
  return matches(value, /^sha256:[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/) ? value : undefined;
}

/** Checks the openings line of an entry. @returns the reason when it does not open exactly the entry's commitments. */
export function checkOpenings(line: Uint8Array, entry: Entry): OpeningCounts | string {
  if (line.length > maxOpeningsBytes) return `its personal values are longer than ${maxOpeningsBytes} bytes`;
  const openings = parseCanonical(line);
  if (openings === undefined) return 'its line of personal values is not canonical JSON';
  const paths = Object.keys(openings).sort();
  if (paths.length !== entry.personal.length || paths.some((path, nth) => path !== entry.personal[nth]))
    return 'its personal values are not the ones that the entry lists';
  const counts = { opened: 0, erased: 0, withheld: 0 };
  for (const path of paths) {
    const opening = openings[path];
    if (opening === 'erased' || opening === 'withheld') counts[opening] += 1;
    else if (opening !== undefined && opens(opening, commitmentAt(entry.fields, path))) counts.opened += 1;
    else return `the value given for ${path} is not the one recorded`;
  }
  return counts;
}

function opens(opening: Json, commitment: string | undefined): boolean {
  if (!isRecord(opening) || Object.keys(opening).length !== 2) return false;
  const { salt, value } = opening;
  if (typeof salt !== 'string' || typeof value !== 'string') return false;
  const saltBytes = Buffer.from(salt, 'base64url');
  if (saltBytes.length !== 16 || saltBytes.toString('base64url') !== salt) return false;
  return (
    `sha256:${hash('sha256', Buffer.concat([saltBytes, Buffer.from(value)]), 'base64url')}` === commitment
  );
}

/** Milliseconds since the epoch of a time as entries write it; undefined for anything else. */
export function timeOfText(time: Json | undefined): number | undefined {
  if (typeof time !== 'string' || !/^\d{4}-[\dT:.-]{18}Z$/.test(time)) return undefined;
  const timeMs = Date.parse(time);
  return !(timeMs >= 0) || new Date(timeMs).toISOString() !== time ? undefined : timeMs;
}
