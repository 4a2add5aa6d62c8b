const minuteMs = 60_000;
const dayMs = 24 * 60 * minuteMs;
const maxOffsets = 256;

/**
 * A weekly window, open exactly when a clock on the wall of its time zone reads a time within it, so that it follows the
 * change to and from summer time: an hour that is skipped is not there, an hour that comes twice counts twice.
 */
export interface WeeklyWindow {
  /** 0 Sunday to 6 Saturday: the days on which it opens. */
  readonly days: ReadonlySet<number>;
  /** Minutes since midnight on the wall: open from `fromMinute`, closed at `toMinute`; when that is not later, on the next day. */
  readonly fromMinute: number;
  readonly toMinute: number;
  readonly zone: TimeZone;
  /** `mon-fri 08:00-18:00 Europe/Berlin`. */
  readonly text: string;
  readonly line: number;
}

/** Offsets of one IANA time zone. */
export class TimeZone {
  readonly name: string;
  readonly #format: Intl.DateTimeFormat;
  readonly #offsets = new Map<number, number>();

  /** @throws RangeError for a name that is not known. */
  constructor(name: string) {
    this.name = name;
    this.#format = new Intl.DateTimeFormat('en-US', {
      timeZone: name,
      calendar: 'gregory',
      numberingSystem: 'latn',
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
  }

  /** What a wall clock shows minus UTC, in milliseconds. A few answers are kept: zones change on whole minutes. */
  offsetMs(timeMs: number): number {
    const minute = Math.floor(timeMs / minuteMs);
    const known = this.#offsets.get(minute);
    if (known !== undefined) return known;
    const startMs = minute * minuteMs;
    const part: Record<string, number> = {};
    for (const { type, value } of this.#format.formatToParts(startMs)) part[type] = Number(value);
    const { year = 0, month = 1, day = 1, hour = 0, minute: wallMinute = 0, second = 0 } = part;
    const offsetMs = Date.UTC(year, month - 1, day, hour, wallMinute, second) - startMs;
    if (this.#offsets.size >= maxOffsets) this.#offsets.clear();
    this.#offsets.set(minute, offsetMs);
    return offsetMs;
  }
}

/** @returns when the windows close next, in ms and not later than `horizonMs`, or undefined when none is open at `timeMs`. */
export function openUntilMs(
  windows: readonly WeeklyWindow[],
  timeMs: number,
  horizonMs: number,
): number | undefined {
  let untilMs = timeMs;
  while (untilMs < horizonMs) {
    const closings = windows.map((window) => closesMs(window, untilMs, horizonMs));
    const latestMs = Math.max(untilMs, ...closings.map((closing) => closing ?? untilMs));
    if (latestMs === untilMs) break;
    untilMs = latestMs;
  }
  return untilMs === timeMs ? undefined : Math.min(untilMs, horizonMs);
}

/** When one window, open at `timeMs`, closes; undefined when it is not open. */
function closesMs(window: WeeklyWindow, timeMs: number, horizonMs: number): number | undefined {
  let atMs = timeMs;
  for (;;) {
    const offsetMs = window.zone.offsetMs(atMs);
    const leftMs = leftOnWallMs(window, atMs + offsetMs);
    if (leftMs === 0) return atMs === timeMs ? undefined : atMs;
    const endMs = Math.min(atMs + leftMs, Math.max(horizonMs, atMs + 1));
    if (window.zone.offsetMs(endMs - 1) === offsetMs) {
      if (endMs >= horizonMs) return endMs;
      atMs = endMs;
    } else atMs = changeMs(window.zone, atMs, endMs - 1);
  }
}

/** How long the window stays open after a wall time (ms since 1970 as the wall reads), if no offset changes; 0 when closed. */
function leftOnWallMs(window: WeeklyWindow, wallMs: number): number {
  const midnightMs = Math.floor(wallMs / dayMs) * dayMs;
  const lengthMinutes =
    (window.toMinute > window.fromMinute ? 0 : 24 * 60) + window.toMinute - window.fromMinute;
  let leftMs = 0;
  for (const dayStartMs of [midnightMs - dayMs, midnightMs]) {
    if (!window.days.has(new Date(dayStartMs).getUTCDay())) continue;
    const opensMs = dayStartMs + window.fromMinute * minuteMs;
    const endsMs = opensMs + lengthMinutes * minuteMs;
    if (opensMs <= wallMs && wallMs < endsMs) leftMs = Math.max(leftMs, endsMs - wallMs);
  }
  return leftMs;
}

/** The first whole minute after `fromMs` with another offset than at `fromMs`, given that the one at `toMs` differs. */
function changeMs(zone: TimeZone, fromMs: number, toMs: number): number {
  const offsetMs = zone.offsetMs(fromMs);
  let low = Math.floor(fromMs / minuteMs);
  let high = Math.floor(toMs / minuteMs);
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (zone.offsetMs(middle * minuteMs) === offsetMs) low = middle;
    else high = middle;
  }
  return high * minuteMs;
}
