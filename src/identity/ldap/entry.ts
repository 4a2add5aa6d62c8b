import type { Entry } from 'ldapts';

/** One entry as the server sent it, asked by attribute name without regard to case. */
export interface DirectoryEntry {
  /** As the server wrote it. */
  readonly dn: string;
  /** Values that are UTF-8, in the server's order; others are left out. */
  text(attribute: string): readonly string[];
  bytes(attribute: string): readonly Buffer[];
  /** Attributes that have values, in lower case without options (RFC 4512 section 2.5). */
  names(): readonly string[];
}

/** Wraps what ldapts returns; attributes with binary values must have been named as such in the search. */
export function toDirectoryEntry(raw: Entry): DirectoryEntry {
  const attributes = new Map<string, readonly (string | Buffer)[]>();
  for (const [name, values] of Object.entries(raw)) {
    if (name !== 'dn') attributes.set(name.toLowerCase(), Array.isArray(values) ? values : [values]);
  }
  const valuesOf = (attribute: string): readonly (string | Buffer)[] =>
    attributes.get(attribute.toLowerCase()) ?? [];
  return {
    dn: raw.dn,
    text: (attribute) => valuesOf(attribute).filter((value) => typeof value === 'string'),
    names: () => [
      ...new Set(
        [...attributes].filter(([, values]) => values.length > 0).map(([name]) => name.replace(/;.*$/, '')),
      ),
    ],
    bytes: (attribute) =>
      valuesOf(attribute).map((value) => (typeof value === 'string' ? Buffer.from(value, 'utf8') : value)),
  };
}
