import type { StoredEntry } from '../../broker/index.ts';
import { cef } from './cef.ts';
import { jsonLine } from './json-line.ts';
import { ocsf } from './ocsf.ts';
import { openEntry, type LineContext, type OpenedEntry } from './opened-entry.ts';
import { inRfc5424, rfc5424 } from './rfc5424.ts';

type Encode = (entry: OpenedEntry, context: LineContext) => string;

const formats = { rfc5424, cef, ocsf, json: jsonLine } as const satisfies Record<string, Encode>;

export type FormatName = keyof typeof formats;

/** What turns an entry into one line, without its end. */
export function createLine(format: FormatName, context: LineContext): (entry: StoredEntry) => string {
  const encode = formats[format];
  return (stored) => encode(openEntry(stored, context), context);
}

/** The same for syslog: whatever is no syslog message by itself becomes the text of one. */
export function createSyslogMessage(
  format: FormatName,
  context: LineContext,
): (entry: StoredEntry) => string {
  const encode = formats[format];
  if (format === 'rfc5424') return createLine(format, context);
  return (stored) => {
    const entry = openEntry(stored, context);
    return inRfc5424(entry, context, encode(entry, context));
  };
}
