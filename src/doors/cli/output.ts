import { printable } from '../../kernel/index.ts';
import type { Sink, Terminal } from './terminal.ts';
import { hasColour, widthOf } from './terminal.ts';

/** Anything that JSON can carry. */
export type JsonValue =
  string | number | boolean | null | readonly JsonValue[] | { readonly [key: string]: JsonValue };

/** How a line is meant; shown as colour where there is any. */
export type Tone = 'good' | 'bad' | 'warning' | 'dim' | 'strong';

/** One line for people. Controls in it are made harmless when it is printed, whoever wrote them. */
export type Line = string | { readonly text: string; readonly tone: Tone };

const sgr: Readonly<Record<Tone, string>> = { good: '32', bad: '31', warning: '33', dim: '2', strong: '1' };
const maxLineChars = 1_000_000;

/** Prints lines as they are meant for this sink. This is the only place that writes escape sequences of our own. */
export function printLines(terminal: Terminal, sink: Sink, lines: readonly Line[]): void {
  const colour = hasColour(terminal, sink);
  for (const line of lines) {
    const clean = printable(typeof line === 'string' ? line : line.text, maxLineChars).trimEnd();
    const styled = typeof line === 'string' || !colour ? clean : `\u001B[${sgr[line.tone]}m${clean}\u001B[0m`;
    sink.write(`${styled}\n`);
  }
}

/**
 * JSON for a machine's standard input that is also harmless on a terminal: characters that could steer one (controls such
 * as the C1 set, bidirectional and format characters) are written as escapes, which mean the same to every parser.
 */
export function encodeJson(value: unknown): string {
  return JSON.stringify(value, undefined, 2).replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (found) =>
    found === '\n' ? found : escapeUnits(found),
  );
}

function escapeUnits(text: string): string {
  let escaped = '';
  for (let at = 0; at < text.length; at += 1)
    escaped += `\\u${text.charCodeAt(at).toString(16).padStart(4, '0')}`;
  return escaped;
}

/** Rows of label and value, the labels aligned, long values wrapped below themselves. Empty values are left out. */
export function fieldLines(
  sink: Sink,
  fields: readonly (readonly [label: string, value: string | undefined])[],
): readonly string[] {
  const shown = fields.flatMap(([label, value]) =>
    value === undefined || value === '' ? [] : [{ label, value }],
  );
  const labelWidth = Math.max(0, ...shown.map(({ label }) => label.length)) + 2;
  return shown.flatMap(({ label, value }) =>
    wrap(value, widthOf(sink) - labelWidth - 2).map(
      (part, nth) => `  ${(nth === 0 ? label : '').padEnd(labelWidth)}${part}`,
    ),
  );
}

/** Text that follows `lead` and, where the screen is too narrow, goes on below itself. */
export function hangingLines(
  sink: { readonly isTTY?: boolean; readonly columns?: number },
  lead: string,
  text: string,
  indent = lead.length,
): readonly string[] {
  return wrap(text, widthOf(sink) - Math.max(lead.length, indent)).map((part, nth) =>
    nth === 0 ? `${lead}${part}` : `${' '.repeat(indent)}${part}`,
  );
}

/** Breaks text at spaces so that no line is longer than `width`, unless a single word is. */
export function wrap(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

export interface TableOptions {
  /** Position of the column that gives way first where the screen is too narrow; the widest one unless said. */
  readonly gives?: number;
  /** Break the last column over several lines instead of cutting any. */
  readonly wrapLast?: boolean;
}

/**
 * A table with aligned columns and a header. On a terminal it is no wider than the screen: columns give way and show `…`,
 * or the last one wraps; elsewhere nothing is cut, so that `grep` and `awk` find everything.
 */
export function tableLines(
  sink: Sink,
  header: readonly string[],
  rows: readonly (readonly string[])[],
  options: TableOptions = {},
): readonly Line[] {
  const clean = rows.map((row) => row.map((cell) => printable(cell === '' ? '-' : cell, 1000)));
  const last = header.length - 1;
  const widths = columnWidths(sink, header, clean, options.wrapLast === true ? last : options.gives);
  const format = (row: readonly string[]): string =>
    row
      .map((cell, column) => fit(cell, widths[column] ?? 0))
      .join('  ')
      .trimEnd();
  const body = clean.flatMap((row) => {
    if (options.wrapLast !== true) return [format(row)];
    const width = widths[last] ?? 0;
    const parts = wrap(chopWords(row[last] ?? '', width), width);
    return parts.map((part, nth) =>
      format([...row.slice(0, last).map((cell) => (nth === 0 ? cell : '')), part]),
    );
  });
  return [{ text: format(header), tone: 'dim' }, ...body];
}

/** Breaks words that are longer than a line: the names of codes are long, and their end tells the most. */
function chopWords(text: string, width: number): string {
  return text.replaceAll(new RegExp(`\\S{${width}}(?=\\S)`, 'gu'), '$& ');
}

const narrowestColumn = 8;

/** @param gives the column that gives way first; then, or when undefined, whichever is the widest. */
function columnWidths(
  sink: Sink,
  header: readonly string[],
  rows: readonly (readonly string[])[],
  gives: number | undefined,
): readonly number[] {
  const widths = header.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => (row[column] ?? '').length)),
  );
  const gaps = 2 * (header.length - 1);
  while (widths.reduce((sum, width) => sum + width, gaps) > widthOf(sink)) {
    const canGive = gives !== undefined && (widths[gives] ?? 0) > narrowestColumn;
    const giving = canGive ? gives : widths.indexOf(Math.max(...widths));
    const width = widths[giving] ?? 0;
    if (width <= narrowestColumn) break;
    widths[giving] = width - 1;
  }
  return widths;
}

function fit(text: string, width: number): string {
  return text.length > width ? `${text.slice(0, Math.max(0, width - 1))}…` : text.padEnd(width);
}
