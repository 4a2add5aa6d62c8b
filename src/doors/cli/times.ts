import { parseRfc3339, printable } from '../../kernel/index.ts';
import { usage } from './report.ts';

const units: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };
const maxTtlSeconds = 366 * 86_400;

/**
 * Reads a length of time as people write it: `8h`, `90m`, `1h30m`, `45s`. A bare number is refused: whoever writes `8` does
 * not mean seconds. @returns seconds. @throws CodedError `cli.usage` for anything else, zero, and more than a year.
 */
export function parseDuration(text: string): number {
  if (/^\d{1,9}$/.test(text))
    throw usage(`“${text}” is a number without a unit.`, `Say ${text}h for hours, or ${text}m for minutes.`);
  const parts = /^(?:\d{1,9}[dhms])+$/.test(text) ? [...text.matchAll(/(\d+)([dhms])/g)] : [];
  const seconds = parts.reduce((sum, [, count, unit = '']) => sum + Number(count) * (units[unit] ?? 0), 0);
  if (seconds < 1)
    throw usage(`“${printable(text, 40)}” is not a length of time.`, 'Write it like 8h, 90m, 1h30m or 45s.');
  if (seconds > maxTtlSeconds)
    throw usage(`“${printable(text, 40)}” is more than a year.`, 'Write it like 8h, 90m, 1h30m or 45s.');
  return seconds;
}

/** A length of time to the second, as `parseDuration` reads it: `8h`, `1h30m`, whole days as `30d`. */
export function formatDuration(lengthSeconds: number): string {
  if (lengthSeconds >= 86_400 && lengthSeconds % 86_400 === 0) return `${lengthSeconds / 86_400}d`;
  const [hours, minutes] = [Math.floor(lengthSeconds / 3600), Math.floor((lengthSeconds % 3600) / 60)];
  const parts = [[hours, 'h'] as const, [minutes, 'm'] as const, [lengthSeconds % 60, 's'] as const];
  return parts.map(([count, unit]) => (count === 0 ? '' : `${count}${unit}`)).join('');
}

/**
 * Reads a moment: RFC 3339 with its zone, a UTC day `2026-11-23`, or `now`.
 * @returns RFC 3339 in UTC. @throws CodedError `cli.usage`
 */
export function parseMoment(text: string, nowMs: number): string {
  const timeMs =
    text === 'now'
      ? nowMs
      : parseRfc3339(/^\d{4}-\d{2}-\d{2}$/.test(text) ? `${text}T00:00:00Z` : text.replace(' ', 'T'));
  if (timeMs === undefined) {
    throw usage(
      `“${printable(text, 40)}” is not a time.`,
      'Write it like 2026-11-23T16:20:00Z, 2026-11-23T17:20:00+01:00 or 2026-11-23 (UTC).',
    );
  }
  return new Date(timeMs).toISOString();
}

const two = (value: number): string => String(value).padStart(2, '0');

/** `2026-11-23 17:20:05 +01:00`, in the zone of this computer; `UTC` where that is it. */
export function formatLocal(timeMs: number): string {
  return `${formatSeconds(timeMs)} ${zoneOf(timeMs)}`;
}

/** `2026-11-23 17:20:05` in the zone of this computer, for tables. */
export function formatSeconds(timeMs: number): string {
  return `${formatShort(timeMs)}:${two(new Date(timeMs).getSeconds())}`;
}

/** `2026-11-23 17:20` in the zone of this computer, for tables. */
export function formatShort(timeMs: number): string {
  const time = new Date(timeMs);
  const day = `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
  return `${day} ${two(time.getHours())}:${two(time.getMinutes())}`;
}

/** `+01:00`, or `UTC`: the zone that the two above use at that moment. */
export function zoneOf(timeMs: number): string {
  const east = -new Date(timeMs).getTimezoneOffset();
  if (east === 0) return 'UTC';
  return `${east < 0 ? '-' : '+'}${two(Math.trunc(Math.abs(east) / 60))}:${two(Math.abs(east) % 60)}`;
}

/** `in 7 h 59 min`, `3 days ago`, `now`. */
export function formatRelative(timeMs: number, nowMs: number): string {
  const span = formatSpan(Math.abs(timeMs - nowMs) / 1000);
  if (span === '') return 'now';
  return timeMs > nowMs ? `in ${span}` : `${span} ago`;
}

/** The two largest units of a length of time. */
function formatSpan(lengthSeconds: number): string {
  const seconds = Math.floor(lengthSeconds);
  if (seconds < 60) return seconds === 0 ? '' : `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  const minutes = Math.floor((seconds % 3600) / 60);
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h${minutes === 0 ? '' : ` ${minutes} min`}`;
  const days = Math.floor(seconds / 86_400);
  return days === 1 ? '1 day' : `${days} days`;
}

/** Both: `2026-11-23 17:20:05 UTC (in 8 h)`. */
export function formatWhen(timeMs: number, nowMs: number): string {
  return `${formatLocal(timeMs)} (${formatRelative(timeMs, nowMs)})`;
}

/** Certificate times as milliseconds; "forever" is the last instant that RFC 3339 can write. */
export function secondsToMs(seconds: bigint): number {
  const last = 253_402_300_799n;
  return Number(seconds > last ? last : seconds) * 1000;
}
