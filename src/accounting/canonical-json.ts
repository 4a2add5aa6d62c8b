import { CodedError } from '../kernel/index.ts';
import type { EntryValue } from './entry.ts';

const maxDepth = 16;

/**
 * RFC 8785 (JSON Canonicalization Scheme) for the values an entry can hold: no white space, object keys sorted by UTF-16 code
 * units, strings escaped as ECMAScript's JSON.stringify does. Keys whose value is undefined are left out.
 * @throws CodedError `accounting.not_canonical` for numbers that are not safe integers (write them as decimal strings), lone
 * surrogates and nesting deeper than 16.
 */
export function canonicalJson(value: EntryValue): string {
  return encode(value, 0);
}

function encode(value: EntryValue | undefined, depth: number): string {
  if (depth > maxDepth) throw refuse(`values nest deeper than ${maxDepth}`);
  switch (typeof value) {
    case 'string':
      return text(value);
    case 'number':
      if (!Number.isSafeInteger(value)) throw refuse(`the number ${value} is not a safe integer`);
      return String(value);
    case 'boolean':
      return value ? 'true' : 'false';
    case 'object':
      if (value === null) return 'null';
      return isList(value) ? list(value, depth) : record(value, depth);
    default:
      throw refuse(`a ${typeof value} has no place in an entry`);
  }
}

function isList(value: object): value is readonly EntryValue[] {
  return Array.isArray(value);
}

// Printable ASCII but for the quote and the backslash: nothing to escape. Nearly every string is such, and asking is cheaper
// than JSON.stringify.
const plain = /^[ !#-[\]-~]*$/;

function text(value: string): string {
  if (plain.test(value)) return `"${value}"`;
  if (!value.isWellFormed()) throw refuse('a string holds a lone surrogate (RFC 8785 section 3.2.2.2)');
  return JSON.stringify(value);
}

function list(values: readonly EntryValue[], depth: number): string {
  let out = '[';
  let separator = '';
  for (const value of values) {
    out += separator + encode(value, depth + 1);
    separator = ',';
  }
  return `${out}]`;
}

function record(values: Readonly<Record<string, EntryValue | undefined>>, depth: number): string {
  let out = '{';
  let separator = '';
  for (const key of sortedKeys(values)) {
    const value = values[key];
    if (value === undefined) continue;
    out += separator + name(key) + encode(value, depth + 1);
    separator = ',';
  }
  return `${out}}`;
}

// Entries share a few dozen names; to quote one anew each time costs as much as its value.
const names = new Map<string, string>();
const maxNames = 1000;

function name(key: string): string {
  const known = names.get(key);
  if (known !== undefined) return known;
  const quoted = `${text(key)}:`;
  if (names.size < maxNames) names.set(key, quoted);
  return quoted;
}

/** Keys by UTF-16 code units (RFC 8785 section 3.2.3), which is what `<` and the default sort compare. */
function sortedKeys(values: object): string[] {
  const keys = Object.keys(values);
  if (keys.length > 16) return keys.sort();
  // Entries have few keys, mostly in order already: insertion takes a third of what the general sort does.
  for (let nth = 1; nth < keys.length; nth += 1) {
    const key = keys[nth] ?? '';
    let place = nth;
    for (; place > 0 && (keys[place - 1] ?? '') > key; place -= 1) keys[place] = keys[place - 1] ?? '';
    keys[place] = key;
  }
  return keys;
}

function refuse(why: string): CodedError {
  return new CodedError('accounting.not_canonical', `This cannot be written as an entry: ${why}.`);
}
