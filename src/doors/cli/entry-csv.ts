import type { LogEntry } from '../client/index.ts';
import { actorOf, fieldOf, listAt, openedOf, textAt } from './entry-words.ts';

/** The columns of `audit search --csv`, in their order: names of docs/formats/log.md. */
const columns: readonly (readonly [name: string, read: (item: LogEntry) => string])[] = [
  ['index', (item) => item.index],
  ...['time', 'type', 'outcome', 'reason_code'].map(
    (name) => [name, (item: LogEntry) => fieldOf(item, name)] as const,
  ),
  ['actor', actorOf],
  ['actor.uid', (item) => textAt(item, 'actor', 'uid')],
  ['subject.uid', (item) => textAt(item, 'subject', 'uid')],
  ['src.ip', (item) => openedOf(item, 'src.ip')],
  ...['serial', 'ca_fp', 'key_fp', 'key_id'].map(
    (name) => [`cred.${name}`, (item: LogEntry) => textAt(item, 'cred', name)] as const,
  ),
  ['cred.principals', (item) => listAt(item, 'cred', 'principals')],
  ...['not_before', 'not_after', 'profile'].map(
    (name) => [`cred.${name}`, (item: LogEntry) => textAt(item, 'cred', name)] as const,
  ),
  ['decision.rule', (item) => textAt(item, 'decision', 'rule')],
  ['target.kind', (item) => textAt(item, 'target', 'kind')],
  ['target.value', (item) => textAt(item, 'target', 'value')],
  ['reason', (item) => openedOf(item, 'reason')],
];

/** Entries as RFC 4180, header first; a value that is erased or not for the reader is empty. */
export function csvLines(entries: readonly LogEntry[]): readonly string[] {
  return [
    columns.map(([name]) => name).join(','),
    ...entries.map((item) => columns.map(([, read]) => cell(read(item))).join(',')),
  ];
}

/** A spreadsheet takes what begins like a formula for one: an apostrophe keeps it text (OWASP, “CSV Injection”). */
function cell(text: string): string {
  const harmless = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}
