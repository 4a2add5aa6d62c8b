import { isIPv4, isIPv6 } from 'node:net';
import { printable } from '../../kernel/index.ts';
import { gravityOf, titleOf } from './event-words.ts';
import type { LineContext, OpenedEntry } from './opened-entry.ts';

/** Low, medium, high: 0 to 10. */
const severities = { usual: 3, notable: 5, grave: 7 } as const;
/** Of most text keys in the dictionary of CEF; longer values are cut and end in `…`. */
const maxValueChars = 1023;
const maxCustomChars = 4000;

type Pair = readonly [key: string, value: string | undefined];

/**
 * One line of ArcSight's Common Event Format, version 0. CEF has six custom strings, and each says what it holds in the key that
 * ends in `Label`; what has no place here is in the JSON formats.
 */
export function cef(entry: OpenedEntry, { version, hostname }: LineContext): string {
  const header = [
    'Sallyport',
    'Sallyport',
    version,
    entry.type,
    titleOf(entry.type),
    String(severities[gravityOf(entry.outcome)]),
  ];
  const extension = pairsOf(entry, hostname).flatMap(([key, value]) =>
    value === undefined || value === '' ? [] : [`${key}=${value}`],
  );
  return `CEF:0|${header.map(headerField).join('|')}|${extension.join(' ')}`;
}

function pairsOf(entry: OpenedEntry, hostname: string): readonly Pair[] {
  const { text, personal } = entry;
  return [
    ['externalId', value(entry.id)],
    ['rt', millisecondsOf(entry.time)],
    ['outcome', value(entry.outcome)],
    ['reason', value(text('reason_code'))],
    ['suid', value(text('actor', 'uid'))],
    ['suser', value(personal('actor.name'))],
    ['spriv', value(text('actor', 'kind'))],
    ['duid', value(text('subject', 'uid'))],
    ['duser', value(personal('subject.name'))],
    ...address(personal('src.ip')),
    ['requestClientApplication', value(personal('src.ua'))],
    ['dvchost', value(hostname)],
    ['msg', value(personal('reason'))],
    ['fileHash', value(text('artifact', 'sha256'))],
    ['cn1', String(entry.index)],
    ['cn1Label', 'logIndex'],
    ...labelled('cs1', 'serial', text('cred', 'serial') ?? rangeOf(entry)),
    ...labelled('cs2', 'caFingerprint', text('cred', 'ca_fp')),
    ...labelled('cs3', 'principals', text('cred', 'principals')),
    ...labelled('cs4', 'rule', text('decision', 'rule') ?? text('decision', 'profile')),
    ...labelled(
      'cs5',
      'target',
      joined(text('target', 'kind'), text('target', 'value'), text('change', 'what')),
    ),
    ...labelled('cs6', 'request', text('corr', 'request')),
    ...labelled('flexString1', 'erased', entry.erased.join(' ')),
    ...labelled('flexString2', 'altered', entry.altered.join(' ')),
    ...labelled('deviceCustomDate1', 'notBefore', millisecondsOf(text('cred', 'not_before'))),
    ...labelled('deviceCustomDate2', 'notAfter', millisecondsOf(text('cred', 'not_after'))),
  ];
}

/** `src` is IPv4; an IPv6 address has a custom field with a fixed label. */
function address(ip: string | undefined): readonly Pair[] {
  if (ip === undefined) return [];
  if (isIPv4(ip)) return [['src', ip]];
  return isIPv6(ip) && !ip.includes('%') ? labelled('c6a2', 'Source IPv6 Address', ip) : [];
}

function labelled(key: string, label: string, text: string | undefined): readonly Pair[] {
  if (text === undefined || text === '') return [];
  return [
    [key, value(text, maxCustomChars)],
    [`${key}Label`, label],
  ];
}

function rangeOf({ text }: OpenedEntry): string | undefined {
  const [first, last] = [text('cred', 'serial_first'), text('cred', 'serial_last')];
  return first === undefined || last === undefined ? undefined : `${first}-${last}`;
}

function joined(...words: readonly (string | undefined)[]): string {
  return words.filter((word) => word !== undefined).join(' ');
}

function millisecondsOf(time: string | undefined): string | undefined {
  const timeMs = Date.parse(time ?? '');
  return Number.isNaN(timeMs) ? undefined : String(timeMs);
}

/** In the header only the pipe and the backslash are escaped, and there is no way to write a line break. */
function headerField(text: string): string {
  return printable(text.toWellFormed(), 512).replaceAll(/[\\|]/g, (found) => `\\${found}`);
}

/** In the extension the equals sign and the backslash are, and a line break is written as `\n`. */
function value(text: string | undefined, maxChars = maxValueChars): string | undefined {
  if (text === undefined) return undefined;
  const cut = text.length > maxChars ? `${text.slice(0, maxChars)}…` : text;
  return cut
    .toWellFormed()
    .split(/\r\n|\r|\n/)
    .map((part) => printable(part, maxCustomChars + 1).replaceAll(/[\\=]/g, (found) => `\\${found}`))
    .join('\\n');
}
