import { hash } from 'node:crypto';
import type { LogQuery } from '../broker/index.ts';

/**
 * What the search knows of an entry: its time, and a term for each thing that can be asked for. A term is the first 8 bytes of a
 * SHA-256, as a signed 64-bit integer: of one size whatever it stands for, and no name in the clear.
 */
export interface Searchable {
  readonly timeMs: number;
  /** Each once. */
  readonly terms: readonly bigint[];
  /** In the person's own words, while they are kept. */
  readonly reason: string | undefined;
}

type TermKind = 'person' | 'subject' | 'serial' | 'key' | 'principal' | 'host' | 'type' | 'outcome';

/** By way of a string: a buffer made by `hash` itself costs more than all the rest. */
function term(word: string): bigint {
  return Buffer.from(hash('sha256', word, 'binary'), 'binary').readBigInt64BE(0);
}

/** @param entry exact bytes of a stored entry. @param openings as they are stored beside it */
export function searchableOf(entry: Buffer, openings: string | undefined): Searchable {
  const { timeMs, words } = wordsOf(entry);
  return { timeMs, terms: Array.from(words, term), reason: reasonOf(openings) };
}

/** Whether an entry is what was asked for, told from the entry alone: for those that no index knows yet. */
export function matcherOf(query: LogQuery): (entry: Buffer, openings: string | undefined) => boolean {
  const asked = askedWords(query);
  const { fromMs = -Infinity, toMs = Infinity, reason } = query;
  const inReason = reason === undefined ? undefined : folded(reason);
  return (entry, openings) => {
    const given = inReason === undefined ? undefined : reasonOf(openings);
    if (inReason !== undefined && (given === undefined || !folded(given).includes(inReason))) return false;
    const { timeMs, words } = wordsOf(entry);
    return timeMs >= fromMs && timeMs < toMs && asked.every((word) => words.has(word));
  };
}

/** One whatever the case of ASCII letters, as both databases compare. */
function folded(text: string): string {
  return text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

function wordsOf(entry: Buffer): { readonly timeMs: number; readonly words: ReadonlySet<string> } {
  const { time, type, outcome, actor, subject, cred = {}, target, login } = parsed(entry);
  const words = new Set<string>();
  const add = (kind: TermKind, value: string | undefined): void => {
    if (value !== undefined) words.add(`${kind}:${value}`);
  };
  add('type', type);
  add('outcome', outcome);
  add('person', actor?.uid);
  add('person', subject?.uid);
  add('subject', subject?.uid);
  add('serial', cred.serial ?? (cred.serial_first === cred.serial_last ? cred.serial_first : undefined));
  add('key', cred.key_fp);
  for (const principal of cred.principals ?? []) add('principal', principal.toLowerCase());
  add('principal', login?.account?.toLowerCase());
  if (target?.kind === 'host') for (const name of [target.host_id, target.name]) add('host', name);
  if (target?.kind === 'principal') add('principal', target.value?.toLowerCase());
  return { timeMs: Date.parse(time), words };
}

/** The terms that an entry must all have. Account names are one whatever the case of their letters. */
export function termsOf(query: LogQuery): readonly bigint[] {
  return askedWords(query).map(term);
}

function askedWords(query: LogQuery): readonly string[] {
  const asked: readonly [TermKind, string | undefined][] = [
    ['person', query.personId],
    ['subject', query.subjectId],
    ['serial', query.serial],
    ['key', query.keyFingerprint],
    ['principal', query.principal?.toLowerCase()],
    ['host', query.host],
    ['type', query.type],
    ['outcome', query.outcome],
  ];
  return asked.flatMap(([kind, value]) => (value === undefined ? [] : [`${kind}:${value}`]));
}

/** What somebody damaged is found by no term, and must not keep everything after it from being found. */
function parsed(entry: Buffer): SearchedEntry {
  try {
    return JSON.parse(entry.toString('utf8')) as SearchedEntry;
  } catch {
    return { time: new Date(0).toISOString(), type: 'damaged', outcome: 'failure' };
  }
}

function reasonOf(openings: string | undefined): string | undefined {
  if (openings?.includes('"reason"') !== true) return undefined;
  return (JSON.parse(openings) as { readonly reason?: { readonly value: string } }).reason?.value;
}

interface SearchedEntry {
  readonly time: string;
  readonly type: string;
  readonly outcome: string;
  readonly actor?: { readonly uid?: string };
  readonly subject?: { readonly uid?: string };
  readonly cred?: {
    readonly serial?: string;
    readonly serial_first?: string;
    readonly serial_last?: string;
    readonly key_fp?: string;
    readonly principals?: readonly string[];
  };
  readonly login?: { readonly account?: string };
  readonly target?: {
    readonly kind?: string;
    readonly host_id?: string;
    readonly name?: string;
    readonly value?: string;
  };
}
