import type { Node } from 'yaml';
import { printable } from '../kernel/index.ts';
import { didYouMean } from './did-you-mean.ts';
import { parseListedNetwork } from './networks.ts';
import type { ListedNetwork, Networks } from './networks.ts';
import type { Derivation, Transform } from './principals.ts';
import { readAttributeName } from './read-who.ts';
import type { ReadContext } from './read-who.ts';
import { TimeZone } from './windows.ts';
import type { WeeklyWindow } from './windows.ts';

const dayNames = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] as const;

/** Reads `8h`, `30m`, `1h30m`, `600s`. @returns seconds, or undefined for anything else. */
export function parseDuration(text: string): number | undefined {
  const parts = /^(?:(\d{1,4})h)?(?:(\d{1,5})m)?(?:(\d{1,6})s)?$/.exec(text.trim());
  if (parts === null || text.trim() === '') return undefined;
  return Number(parts[1] ?? 0) * 3600 + Number(parts[2] ?? 0) * 60 + Number(parts[3] ?? 0);
}

/** `8h`, `1h30m`, `45s`. */
export function formatDuration(seconds: number): string {
  const parts = [
    [Math.floor(seconds / 3600), 'h'],
    [Math.floor((seconds % 3600) / 60), 'm'],
    [seconds % 60, 's'],
  ] as const;
  const text = parts.map(([count, unit]) => (count === 0 ? '' : `${count}${unit}`)).join('');
  return text === '' ? '0s' : text;
}

/** Reads a list of networks; undefined when the setting is absent. */
export function readNetworks(
  { yaml }: ReadContext,
  node: Node | undefined,
  what: string,
): Networks | undefined {
  if (node === undefined) return undefined;
  const list: ListedNetwork[] = [];
  for (const item of yaml.list(node, what)) {
    const text = yaml.text(item, `an entry of ${what}`);
    if (text === undefined) continue;
    const network = parseListedNetwork(text.trim());
    if (typeof network === 'string') yaml.problem(item, `“${printable(text, 60)}” ${network}`);
    else if (list.some((other) => other.text === network.text))
      yaml.problem(item, `“${network.text}” is given twice`);
    else list.push(network);
  }
  return { list, line: yaml.lineOf(node) };
}

/** Reads one item of `principals.from`: `{attribute, transforms}`. */
export function readDerivation(context: ReadContext, node: Node): Derivation | undefined {
  const { yaml } = context;
  const fields = yaml.fields(node, 'principals.from', ['attribute', 'transforms']);
  const attribute = readAttributeName(context, fields.require('attribute'));
  const transforms: Transform[] = [];
  for (const item of yaml.list(fields.get('transforms'), 'transforms', true)) {
    const text = yaml.text(item, 'a transform');
    if (text === undefined) continue;
    const transform = parseTransform(text);
    if (transform !== undefined) transforms.push(transform);
    else {
      const near = didYouMean(text, ['strip-domain', 'lower', 'upper', 'max-length 8', 'max-length 10']);
      yaml.problem(
        item,
        `there is no transform “${printable(text, 40)}”${near || '; there are strip-domain, lower, upper and max-length N (1 to 128)'}`,
      );
    }
  }
  if (attribute === undefined) return undefined;
  const words = transforms.map((transform) =>
    transform.kind === 'max-length' ? `max-length ${transform.chars}` : transform.kind,
  );
  return {
    attribute,
    transforms,
    line: yaml.lineOf(node),
    described: [`attribute ${attribute}`, ...words].join(', '),
  };
}

function parseTransform(text: string): Transform | undefined {
  if (text === 'strip-domain' || text === 'lower' || text === 'upper') return { kind: text };
  const chars = Number(/^max-length[- ]([1-9]\d{0,2})$/.exec(text)?.[1] ?? Number.NaN);
  return chars <= 128 ? { kind: 'max-length', chars } : undefined;
}

/** Reads one item of `windows`: `{days, from, to, timezone}`. */
export function readWindow(context: ReadContext, node: Node): WeeklyWindow | undefined {
  const { yaml } = context;
  const fields = yaml.fields(node, 'a window', ['days', 'from', 'to', 'timezone']);
  const daysNode = fields.require('days');
  const days = new Set<number>();
  const dayTexts: string[] = [];
  for (const item of yaml.list(daysNode, 'days')) {
    const text = yaml.text(item, 'a day');
    if (text === undefined) continue;
    const range = parseDays(text.toLowerCase());
    if (range === undefined)
      yaml.problem(
        item,
        `“${printable(text, 40)}” is not a day: write mon to sun, or a range such as mon-fri`,
      );
    for (const day of range ?? []) days.add(day);
    dayTexts.push(text.toLowerCase());
  }
  const from = readTimeOfDay(context, fields.require('from'), 'from');
  const to = readTimeOfDay(context, fields.require('to'), 'to');
  const zone = readTimeZone(context, fields.require('timezone'));
  if (from === undefined || to === undefined || zone === undefined) return undefined;
  if (from.minute === 1440)
    return yaml.problem(node, 'a window cannot open at 24:00: write 00:00 and the next day');
  if (from.minute === to.minute)
    return yaml.problem(
      node,
      'a window that opens and closes at the same time is never open: for a whole day write 00:00 to 24:00',
    );
  return {
    days,
    fromMinute: from.minute,
    toMinute: to.minute,
    zone,
    text: `${dayTexts.join(',')} ${from.text}-${to.text} ${zone.name}`,
    line: yaml.lineOf(node),
  };
}

function parseDays(text: string): number[] | undefined {
  const [first = '', last = first, ...rest] = text.split('-');
  const start = dayNames.findIndex((name) => name === first);
  const end = dayNames.findIndex((name) => name === last);
  if (start < 0 || end < 0 || rest.length > 0) return undefined;
  return Array.from({ length: ((end - start + 7) % 7) + 1 }, (_, index) => (start + index) % 7);
}

function readTimeOfDay(
  { yaml }: ReadContext,
  node: Node | undefined,
  what: string,
): { minute: number; text: string } | undefined {
  const text = yaml.text(node, what)?.trim();
  if (node === undefined || text === undefined) return undefined;
  const parts = /^(\d{2}):([0-5]\d)$/.exec(text);
  const minute = parts === null ? Number.NaN : Number(parts[1]) * 60 + Number(parts[2]);
  return minute <= 1440
    ? { minute, text }
    : yaml.problem(node, `“${printable(text, 20)}” is not a time of day: write HH:MM, 00:00 to 24:00`);
}

function readTimeZone({ yaml }: ReadContext, node: Node | undefined): TimeZone | undefined {
  const name = yaml.text(node, 'timezone');
  if (node === undefined || name === undefined) return undefined;
  if (/^[A-Za-z][A-Za-z0-9_+-]*(?:\/[A-Za-z0-9_+-]+)*$/.test(name)) {
    try {
      return new TimeZone(name);
    } catch (error) {
      // Intl tells of an unknown zone in this way only.
      if (!(error instanceof RangeError)) throw error;
    }
  }
  const near = didYouMean(name, Intl.supportedValuesOf('timeZone'));
  return yaml.problem(node, `“${printable(name, 60)}” is not an IANA time zone such as Europe/Berlin${near}`);
}
