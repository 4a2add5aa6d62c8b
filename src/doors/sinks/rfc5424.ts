import { printable } from '../../kernel/index.ts';
import { gravityOf, titleOf } from './event-words.ts';
import type { LineContext, OpenedEntry } from './opened-entry.ts';

/** The number that RFC 5612 keeps for examples; whoever has one of their own configures it. */
export const exampleEnterpriseNumber = 32473;

/** Log audit (RFC 5424 section 6.2.1, table 1). */
const facility = 13;
/** Informational, warning, error (table 2). */
const severities = { usual: 6, notable: 4, grave: 3 } as const;
/** Longer values are cut: many receivers take no message over 8 KiB (RFC 5425 section 4.3.1). JSON carries everything. */
const maxValueChars = 1000;
const byteOrderMark = '\uFEFF';

/** Parameter name to place in the entry; personal values have their own list. */
const parameters: readonly (readonly [name: string, ...path: string[]])[] = [
  ['reason_code', 'reason_code'],
  ['actor', 'actor', 'uid'],
  ['actor_kind', 'actor', 'kind'],
  ['auth', 'actor', 'auth'],
  ['session', 'actor', 'session'],
  ['subject', 'subject', 'uid'],
  ['req', 'corr', 'request'],
  ['cred_kind', 'cred', 'kind'],
  ['serial', 'cred', 'serial'],
  ['serial_first', 'cred', 'serial_first'],
  ['serial_last', 'cred', 'serial_last'],
  ['ca', 'cred', 'ca_fp'],
  ['kfp', 'cred', 'key_fp'],
  ['key_id', 'cred', 'key_id'],
  ['principals', 'cred', 'principals'],
  ['not_before', 'cred', 'not_before'],
  ['not_after', 'cred', 'not_after'],
  ['profile', 'cred', 'profile'],
  ['rule', 'decision', 'rule'],
  ['policy', 'decision', 'version'],
  ['target_kind', 'target', 'kind'],
  ['target', 'target', 'value'],
  ['hits', 'target', 'hits'],
  ['sessions_ended', 'sessions', 'ended'],
  ['change', 'change', 'what'],
  ['list_version', 'artifact', 'version'],
  ['sha256', 'artifact', 'sha256'],
  ['version', 'system', 'version'],
];
const personalParameters: readonly (readonly [name: string, path: string])[] = [
  ['actor_name', 'actor.name'],
  ['subject_name', 'subject.name'],
  ['ip', 'src.ip'],
  ['ua', 'src.ua'],
  ['reason', 'reason'],
];

/**
 * A message of RFC 5424, without framing: facility 13, severity by outcome, MSGID the type of the entry, its fields in structured
 * data below `sallyport@` the enterprise number, and a few words after a BOM.
 */
export function rfc5424(entry: OpenedEntry, context: LineContext): string {
  const code = entry.text('reason_code');
  const words = `${titleOf(entry.type)}: ${entry.outcome}${code === undefined ? '' : ` (${code})`}`;
  return `${header(entry, context)} ${structuredData(entry, context)} ${byteOrderMark}${clean(words)}`;
}

/**
 * A line of another format as the MSG of a message of RFC 5424. Without a BOM, which this RFC allows for MSG of any encoding:
 * readers of JSON and CEF stumble over one.
 */
export function inRfc5424(entry: OpenedEntry, context: LineContext, line: string): string {
  return `${header(entry, context)} - ${line}`;
}

function header({ outcome, time, type }: OpenedEntry, { hostname }: LineContext): string {
  const priority = facility * 8 + severities[gravityOf(outcome)];
  // PROCID: none, as several brokers may write one log.
  return `<${priority}>1 ${time === '' ? '-' : time} ${headerField(hostname, 255)} sallyport - ${headerField(type, 32)}`;
}

/** Section 6: PRINTUSASCII, as much as there is room for, or the NILVALUE. */
function headerField(text: string, maxChars: number): string {
  return text.replaceAll(/[^!-~]/g, '_').slice(0, maxChars) || '-';
}

function structuredData(entry: OpenedEntry, { origin, version, enterpriseNumber }: LineContext): string {
  const own: (readonly [string, string | undefined])[] = [
    ['idx', String(entry.index)],
    ['id', entry.id],
    ['log', origin],
    ['leaf', entry.leafHash],
    ['outcome', entry.outcome],
    ...parameters.map(([name, ...path]) => [name, entry.text(...path)] as const),
    ...personalParameters.map(([name, path]) => [name, entry.personal(path)] as const),
    ['erased', entry.erased.length === 0 ? undefined : entry.erased.join(' ')],
    ['altered', entry.altered.length === 0 ? undefined : entry.altered.join(' ')],
  ];
  const broker: (readonly [string, string | undefined])[] = [
    ['software', 'Sallyport'],
    ['swVersion', version],
    ['enterpriseId', String(enterpriseNumber)],
  ];
  // Section 7.1: the times of this broker are UTC and say so; whether its clock is right it cannot know.
  return `[sallyport@${enterpriseNumber}${written(own)}][origin${written(broker)}][timeQuality tzKnown="1"]`;
}

function written(pairs: readonly (readonly [name: string, value: string | undefined])[]): string {
  return pairs
    .map(([name, value]) => (value === undefined ? '' : ` ${name}="${escaped(clean(value))}"`))
    .join('');
}

/** Section 6.3.3: these three and no others. */
function escaped(value: string): string {
  return value.replaceAll(/["\\\]]/g, (found) => `\\${found}`);
}

function clean(text: string): string {
  return printable(text.toWellFormed(), maxValueChars);
}
