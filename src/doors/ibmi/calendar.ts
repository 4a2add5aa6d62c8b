import { sha256 } from '../../kernel/index.ts';

export interface CalendarEvent {
  /** Tells events apart, and the same one in two exports alike: importing again moves it. */
  readonly key: string;
  readonly startMs: number;
  readonly endMs: number;
  readonly title: string;
  readonly text: string;
}

/**
 * A calendar that Outlook, Google and others import. Every time is UTC.
 * @see RFC 5545
 */
export function encodeCalendar(events: readonly CalendarEvent[], madeMs: number): string {
  const lines = [
    'BEGIN:VCALENDAR',
    'VERSION:2.0',
    'PRODID:-//sallyport//renewals//EN',
    'CALSCALE:GREGORIAN',
    ...events.flatMap(({ key, startMs, endMs, title, text }) => [
      'BEGIN:VEVENT',
      `UID:${sha256(key).toString('hex').slice(0, 32)}@sallyport`,
      `DTSTAMP:${instant(madeMs)}`,
      `DTSTART:${instant(startMs)}`,
      `DTEND:${instant(endMs)}`,
      `SUMMARY:${escapeText(title)}`,
      `DESCRIPTION:${escapeText(text)}`,
      'BEGIN:VALARM',
      'ACTION:DISPLAY',
      `DESCRIPTION:${escapeText(title)}`,
      'TRIGGER:-P2D',
      'END:VALARM',
      'END:VEVENT',
    ]),
    'END:VCALENDAR',
  ];
  return lines.map((line) => `${fold(line)}\r\n`).join('');
}

/** RFC 5545 section 3.3.5, form 2. */
const instant = (timeMs: number): string => new Date(timeMs).toISOString().replaceAll(/[-:]|\.\d+/g, '');

/** RFC 5545 section 3.3.11; controls have no place in it. */
function escapeText(text: string): string {
  return text
    .replaceAll(/[\\;,]/g, String.raw`\$&`)
    .replaceAll(/\r?\n/g, String.raw`\n`)
    .replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '?');
}

/** RFC 5545 section 3.1: 75 octets in a line, the rest behind a space; no character is cut in two. */
function fold(line: string): string {
  let [folded, sizeBytes] = ['', 0];
  for (const character of line.match(/./gsu) ?? []) {
    const bytes = Buffer.byteLength(character);
    if (sizeBytes + bytes > 75) {
      folded += '\r\n ';
      sizeBytes = 1;
    }
    folded += character;
    sizeBytes += bytes;
  }
  return folded;
}
