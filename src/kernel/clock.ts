/** Time as an argument: everything that needs "now" takes a Clock. */
export interface Clock {
  /** Milliseconds since 1970-01-01T00:00:00Z. */
  nowMs(): number;
}

export const systemClock: Clock = { nowMs: () => Date.now() };

/** For how long something lasts. A clock may be set back or forward while it does; this is not. */
export interface Stopwatch {
  /** Milliseconds since some moment of this process; never less than before. */
  elapsedMs(): number;
}

export const systemStopwatch: Stopwatch = { elapsedMs: () => performance.now() };

// What one broker writes in a second names the same few seconds over and over.
const seconds = new Map<number, string>();
const maxSeconds = 64;

/** RFC 3339 in UTC with milliseconds, `2026-11-23T16:20:00.000Z`, of whole milliseconds. @throws RangeError for what is not a time */
export function toRfc3339(timeMs: number): string {
  const second = Math.floor(timeMs / 1000);
  let text = seconds.get(second);
  if (text === undefined) {
    text = new Date(second * 1000).toISOString().slice(0, -4);
    if (seconds.size >= maxSeconds) seconds.clear();
    seconds.set(second, text);
  }
  return `${text}${String(timeMs - second * 1000).padStart(3, '0')}Z`;
}

/** `2026-11-23 16:20:00 UTC`, for sentences that people read; a machine gets `toRfc3339`. */
export function formatUtc(timeMs: number): string {
  return `${toRfc3339(timeMs).slice(0, -5).replace('T', ' ')} UTC`;
}

const rfc3339 = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-]\d{2}:\d{2})$/;

/** @returns milliseconds since the epoch, or undefined when the text is not a complete RFC 3339 time with a zone. */
export function parseRfc3339(text: string): number | undefined {
  if (!rfc3339.test(text)) return undefined;
  const timeMs = Date.parse(text);
  return Number.isNaN(timeMs) ? undefined : timeMs;
}
