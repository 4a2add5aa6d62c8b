import {
  AndFilter,
  EqualityFilter,
  FilterParser,
  GreaterThanEqualsFilter,
  OrFilter,
  PresenceFilter,
} from 'ldapts';
import type { Filter } from 'ldapts';

/**
 * Filters are built as values and go to the server as BER (RFC 4511 section 4.5.1.7), never as text: an assertion value is a
 * counted octet string there, so no character of a name or of a DN, whoever wrote it, can become syntax.
 */
export type { Filter } from 'ldapts';

/** `(objectClass=*)`: every entry has one. */
export const anyEntry: Filter = new PresenceFilter({ attribute: 'objectClass' });

/** `(attribute=value)` by the directory's own comparison rule; text goes as UTF-8, a Buffer as it is. */
export function equals(attribute: string, value: string | Buffer): Filter {
  return new EqualityFilter({ attribute, value });
}

/** `(attribute=*)`: the entry has it, and whoever asks may read it. */
export function has(attribute: string): Filter {
  return new PresenceFilter({ attribute });
}

/** `(attribute>=value)` by the directory's own ordering rule. */
export function atLeast(attribute: string, value: string): Filter {
  return new GreaterThanEqualsFilter({ attribute, value });
}

export function allOf(...filters: readonly (Filter | undefined)[]): Filter {
  const given = filters.filter((filter) => filter !== undefined);
  const [only] = given;
  return given.length === 1 && only !== undefined ? only : new AndFilter({ filters: given });
}

export function anyOf(filters: readonly Filter[]): Filter {
  const [only] = filters;
  return filters.length === 1 && only !== undefined ? only : new OrFilter({ filters: [...filters] });
}

/** Reads a filter that an administrator wrote (RFC 4515). @returns undefined when it cannot be read. */
export function parseFilter(text: string): Filter | undefined {
  if (text.length > 4096 || !isBalanced(text)) return undefined;
  try {
    return FilterParser.parseString(text);
  } catch {
    return undefined; // The caller says which field it is; the parser's own words do not help.
  }
}

/** One pair of brackets around everything, at most 32 deep: ldapts does not mind when some are missing. */
function isBalanced(text: string): boolean {
  let depth = 0;
  for (let at = 0; at < text.length; at += 1) {
    if (text[at] === '(') depth += 1;
    else if (text[at] === ')') depth -= 1;
    const closed = depth === 0 && at < text.length - 1;
    if (closed || depth < 0 || depth > 32) return false;
  }
  return depth === 0 && text !== '';
}
