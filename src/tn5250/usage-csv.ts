import { CodedError, printable } from '../kernel/index.ts';

/** One row of a system's own list: an application and the certificates that are assigned to it. */
export interface CertificateUsage {
  readonly applicationId: string;
  /** In the language of that system. */
  readonly description: string;
  /** As the view has it, e.g. SERVER or CLIENT. */
  readonly type: string;
  readonly store: string;
  /** Empty: no certificate is assigned. */
  readonly labels: readonly string[];
}

const maxBytes = 1_048_576;
const maxRows = 2000;
const maxFieldChars = 32_768;
const maxLabels = 64;

const required = ['APPLICATION_ID'] as const;

/**
 * Reads the result of `SELECT * FROM QSYS2.CERTIFICATE_USAGE_INFO`, saved as CSV with a header line (RFC 4180; comma, semicolon or
 * tab; a byte order mark is taken off). Columns are found by name, others are ignored; `CERTIFICATE_LABELS` is JSON, as the view
 * gives it. The view was read about in IBM's documentation for 7.6; no file from a real system was at hand.
 * @throws CodedError `tn5250.bad_csv` naming the line; `tn5250.csv_too_long`
 */
export function parseUsageCsv(text: string): readonly CertificateUsage[] {
  if (text.length > maxBytes) throw tooLong();
  const body = text.startsWith('\uFEFF') ? text.slice(1) : text;
  const [header, ...rows] = parseCsv(body);
  if (header === undefined) throw badCsv(1, 'the file is empty');
  const names = header.fields.map((name) => name.trim().toUpperCase());
  for (const name of required) if (!names.includes(name)) throw badCsv(1, `there is no column ${name}`);
  if (new Set(names).size !== names.length) throw badCsv(1, 'two columns have one name');
  const seen = new Set<string>();
  return rows.map(({ fields, line }) => {
    if (fields.length !== names.length)
      throw badCsv(line, `there are ${fields.length} fields, the header has ${names.length}`);
    const field = (name: string): string => (fields[names.indexOf(name)] ?? '').trim();
    const applicationId = field('APPLICATION_ID');
    if (!/^[A-Z$#@][A-Z0-9_.$#@]{0,99}$/.test(applicationId))
      throw badCsv(line, `“${printable(applicationId, 60)}” is no application id`);
    const store = field('CERTIFICATE_STORE');
    const key = `${applicationId}\n${store}`;
    if (seen.has(key)) throw badCsv(line, `${applicationId} is there twice`);
    seen.add(key);
    return {
      applicationId,
      description: field('DESCRIPTION').slice(0, 256),
      type: field('APPLICATION_TYPE').slice(0, 32),
      store: store.slice(0, 256),
      labels: parseLabels(field('CERTIFICATE_LABELS'), line),
    };
  });
}

/** `["A","B"]`, or `{"CERTIFICATE_LABELS":[{"CERTIFICATE_LABEL":"A"}]}`: which of them the view gives, no source shows. */
function parseLabels(text: string, line: number): readonly string[] {
  if (text === '' || text.toUpperCase() === 'NULL' || text === '-') return [];
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw badCsv(line, 'the labels are no JSON', error);
  }
  const labels = labelsIn(value, 0);
  if (labels === undefined) throw badCsv(line, 'the labels are no list of names');
  if (labels.length > maxLabels) throw badCsv(line, `there are more than ${maxLabels} labels`);
  return labels;
}

/** Strings of a list, or of the only list or string inside objects, three deep at most. */
function labelsIn(value: unknown, depth: number): readonly string[] | undefined {
  if (depth > 3) return undefined;
  if (typeof value === 'string') return value.length <= 256 ? [value] : undefined;
  if (Array.isArray(value)) {
    const parts = value.slice(0, maxLabels + 1).map((part) => labelsIn(part, depth + 1));
    return parts.some((part) => part === undefined) ? undefined : parts.flatMap((part) => part ?? []);
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const inner: unknown[] = Object.values(value);
  return inner.length === 1 ? labelsIn(inner[0], depth + 1) : undefined;
}

interface Row {
  readonly fields: readonly string[];
  /** Where it begins, from 1. */
  readonly line: number;
}

/** RFC 4180 with the separator that the first line uses. Empty lines are skipped. */
function parseCsv(text: string): readonly Row[] {
  const separator = [',', ';', '\t'].find((mark) => (text.split('\n', 1)[0] ?? '').includes(mark)) ?? ',';
  const rows: Row[] = [];
  let [fields, line, rowLine, at]: [string[], number, number, number] = [[], 1, 1, 0];
  while (at < text.length) {
    const { field, end, lines } =
      text[at] === '"' ? readQuoted(text, at, line) : readPlain(text, at, separator);
    if (field.length > maxFieldChars) throw tooLong();
    fields.push(field);
    line += lines;
    if (text[end] === separator && end + 1 < text.length) {
      at = end + 1;
      continue;
    }
    if (text[end] === separator) fields.push('');
    const isLineEnd = end >= text.length || text[end] === '\n' || text.startsWith('\r\n', end);
    if (!isLineEnd && text[end] !== separator)
      throw badCsv(line, 'behind a quoted field stands something else');
    if (fields.length > 1 || fields[0] !== '') rows.push({ fields, line: rowLine });
    if (rows.length > maxRows + 1) throw tooLong();
    line += 1;
    [fields, rowLine] = [[], line];
    at = end + (text[end] === '\r' ? 2 : 1);
  }
  return rows;
}

interface ReadField {
  readonly field: string;
  /** Of the character behind it. */
  readonly end: number;
  /** Line ends inside it. */
  readonly lines: number;
}

function readPlain(text: string, from: number, separator: string): ReadField {
  let end = from;
  while (end < text.length && text[end] !== separator && text[end] !== '\n' && !text.startsWith('\r\n', end))
    end += 1;
  return { field: text.slice(from, end), end, lines: 0 };
}

function readQuoted(text: string, from: number, line: number): ReadField {
  let [field, lines] = ['', 0];
  for (let at = from + 1; at < text.length; at += 1) {
    const next = text.indexOf('"', at);
    if (next < 0) break;
    const part = text.slice(at, next);
    field += part;
    lines += part.split('\n').length - 1;
    if (text[next + 1] !== '"') return { field, end: next + 1, lines };
    field += '"';
    at = next + 1;
  }
  throw badCsv(line, 'a quoted field does not end');
}

function badCsv(line: number, why: string, cause?: unknown): CodedError {
  return new CodedError('tn5250.bad_csv', `Line ${line} of the list is not as expected: ${why}.`, {
    next: 'Save the result of SELECT * FROM QSYS2.CERTIFICATE_USAGE_INFO as CSV, with column names in the first line.',
    cause,
  });
}

function tooLong(): CodedError {
  return new CodedError('tn5250.csv_too_long', 'The list is too long: 2,000 applications in 1 MiB at most.', {
    next: 'Save the result of SELECT * FROM QSYS2.CERTIFICATE_USAGE_INFO and nothing else.',
  });
}
