import { CodedError, printable } from '../../kernel/index.ts';

/** A stretch of time in each week, in UTC, in which people may be cut off. */
export interface WeeklyWindow {
  /** 0 is Sunday. */
  readonly day: number;
  readonly startMinute: number;
  readonly minutes: number;
}

export interface Slot {
  readonly startMs: number;
  readonly endMs: number;
}

const days = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
const minuteMs = 60_000;
const dayMs = 1440 * minuteMs;
const weekMs = 7 * dayMs;
/** Thursday, 1 January 1970: the first Sunday was three days later. */
const firstSundayMs = 3 * dayMs;

/**
 * Reads `sun 02:00-04:00` (UTC); an end before the start lies on the next day.
 * @throws CodedError `ibmi.bad_window`, also for one under 15 minutes
 */
export function parseWindow(text: string): WeeklyWindow {
  const [, word = '', h1 = '', m1 = '', h2 = '', m2 = ''] =
    /^([a-z]{3}) ([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)$/.exec(text.trim().toLowerCase()) ?? [];
  const day = days.indexOf(word);
  const [start, end] = [Number(h1) * 60 + Number(m1), Number(h2) * 60 + Number(m2)];
  const minutes = (end - start + 1440) % 1440;
  if (day < 0 || minutes < 15)
    throw new CodedError('ibmi.bad_window', `“${printable(text, 40)}” is no maintenance window.`, {
      next: 'Write day and times in UTC, at least 15 minutes: sun 02:00-04:00.',
    });
  return { day, startMinute: start, minutes };
}

/** Changes are made so long before a certificate ends, if there is time: something may go wrong. */
export const leadDays = 7;

/**
 * The last window that leaves a week before the end; when that is over, the next one before the end.
 * @returns undefined when there is none left: it cannot wait for a window
 */
export function chooseSlot(window: WeeklyWindow, notAfterMs: number, nowMs: number): Slot | undefined {
  const slotFrom = (startMs: number): Slot => ({ startMs, endMs: startMs + window.minutes * minuteMs });
  const offsetMs = firstSundayMs + window.day * dayMs + window.startMinute * minuteMs;
  const lastBefore = (timeMs: number): Slot =>
    slotFrom(offsetMs + Math.floor((timeMs - window.minutes * minuteMs - offsetMs) / weekMs) * weekMs);
  const calm = lastBefore(notAfterMs - leadDays * dayMs);
  if (calm.startMs >= nowMs) return calm;
  const next = slotFrom(offsetMs + Math.ceil((nowMs - offsetMs) / weekMs) * weekMs);
  return next.endMs <= notAfterMs ? next : undefined;
}
