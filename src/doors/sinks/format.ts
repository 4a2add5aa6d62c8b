import type { StoredEntry } from '../../broker/index.ts';
import { jsonLine } from './json-line.ts';
import { openEntry, type LineContext, type OpenedEntry } from './opened-entry.ts';

const formats = { json: jsonLine } as const satisfies Record<
  string,
  (entry: OpenedEntry, context: LineContext) => string
>;

export type FormatName = keyof typeof formats;

/** What turns an entry into one line, without its end. */
export function createLine(format: FormatName, context: LineContext): (entry: StoredEntry) => string {
  const encode = formats[format];
  return (stored) => encode(openEntry(stored, context), context);
}
