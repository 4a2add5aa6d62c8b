import { describe, expect, it } from 'vitest';
import { openUntilMs, TimeZone } from '../../src/policy/windows.ts';
import type { WeeklyWindow } from '../../src/policy/windows.ts';

const everyDay = [0, 1, 2, 3, 4, 5, 6];

function makeWindow(days: readonly number[], from: string, to: string, zone = 'Europe/Berlin'): WeeklyWindow {
  const minutes = (text: string): number => Number(text.slice(0, 2)) * 60 + Number(text.slice(3));
  return {
    days: new Set(days),
    fromMinute: minutes(from),
    toMinute: minutes(to),
    zone: new TimeZone(zone),
    text: '',
    line: 1,
  };
}

/** When it closes as RFC 3339, looking a day ahead; `closed` when it is not open. */
function closing(window: WeeklyWindow | readonly WeeklyWindow[], at: string, hours = 24): string {
  const windows = 'days' in window ? [window] : window;
  const untilMs = openUntilMs(windows, Date.parse(at), Date.parse(at) + hours * 3_600_000);
  return untilMs === undefined ? 'closed' : new Date(untilMs).toISOString().replace('.000Z', 'Z');
}

describe('a weekly window', () => {
  // 2027-01-15 is a Friday; Berlin is an hour ahead of UTC in winter.
  const office = makeWindow([1, 2, 3, 4, 5], '08:00', '18:00');

  it.each([
    ['a second before it opens', '2027-01-15T06:59:59Z', 'closed'],
    ['when it opens', '2027-01-15T07:00:00Z', '2027-01-15T17:00:00Z'],
    ['a millisecond before it closes', '2027-01-15T16:59:59.999Z', '2027-01-15T17:00:00Z'],
    ['when it closes', '2027-01-15T17:00:00Z', 'closed'],
    ['on another day', '2027-01-16T10:00:00Z', 'closed'],
    ['in summer', '2027-07-15T06:00:00Z', '2027-07-15T16:00:00Z'],
    ['in summer, by the hour of winter', '2027-07-15T16:30:00Z', 'closed'],
  ])('%s', (_, at, expected) => {
    expect(closing(office, at)).toBe(expected);
  });

  it('that passes midnight belongs to the day on which it opens', () => {
    const night = makeWindow([5], '22:00', '06:00', 'UTC');
    expect(closing(night, '2027-01-15T21:59:00Z')).toBe('closed');
    expect(closing(night, '2027-01-15T22:00:00Z')).toBe('2027-01-16T06:00:00Z');
    expect(closing(night, '2027-01-16T05:59:00Z')).toBe('2027-01-16T06:00:00Z');
    expect(closing(night, '2027-01-16T22:30:00Z')).toBe('closed');
    expect(closing(night, '2027-01-15T05:00:00Z')).toBe('closed');
  });

  it('from 00:00 to 24:00 is a whole day, and seven of them never close', () => {
    expect(closing(makeWindow([5], '00:00', '24:00', 'UTC'), '2027-01-15T12:00:00Z')).toBe(
      '2027-01-16T00:00:00Z',
    );
    expect(closing(makeWindow(everyDay, '00:00', '24:00'), '2027-01-15T12:00:00Z')).toBe(
      '2027-01-16T12:00:00Z',
    );
  });

  it('goes on into another that begins where it ends, or before', () => {
    const early = makeWindow([5], '06:00', '12:00', 'UTC');
    const late = makeWindow([5], '12:00', '20:00', 'UTC');
    const over = makeWindow([5], '11:00', '14:00', 'UTC');
    const gap = makeWindow([5], '12:01', '20:00', 'UTC');
    expect(closing([late, early], '2027-01-15T07:00:00Z')).toBe('2027-01-15T20:00:00Z');
    expect(closing([early, over], '2027-01-15T07:00:00Z')).toBe('2027-01-15T14:00:00Z');
    expect(closing([early, gap], '2027-01-15T07:00:00Z')).toBe('2027-01-15T12:00:00Z');
    expect(closing([], '2027-01-15T07:00:00Z')).toBe('closed');
  });

  it('follows zones of half and quarter hours, and days that differ from those in UTC', () => {
    expect(closing(makeWindow([5], '00:00', '01:00', 'Asia/Kathmandu'), '2027-01-14T18:15:00Z')).toBe(
      '2027-01-14T19:15:00Z',
    );
    expect(closing(makeWindow([4], '16:00', '17:00', 'Pacific/Marquesas'), '2027-01-15T02:00:00Z')).toBe(
      '2027-01-15T02:30:00Z',
    );
    expect(closing(makeWindow([6], '01:00', '02:00', 'Pacific/Kiritimati'), '2027-01-15T11:30:00Z')).toBe(
      '2027-01-15T12:00:00Z',
    );
  });
});

// Berlin 2027-03-28: 02:00 becomes 03:00 at 01:00Z. 2027-10-31: 03:00 becomes 02:00 at 01:00Z. Both are Sundays.
describe('a weekly window when the clock goes forward', () => {
  it.each([
    ['02:30', '04:00', '2027-03-28T00:59:59Z', 'closed'],
    ['02:30', '04:00', '2027-03-28T01:00:00Z', '2027-03-28T02:00:00Z'],
    ['01:00', '02:30', '2027-03-28T00:30:00Z', '2027-03-28T01:00:00Z'],
    ['01:00', '02:30', '2027-03-28T01:00:00Z', 'closed'],
    ['02:00', '03:00', '2027-03-28T00:59:59Z', 'closed'],
    ['02:00', '03:00', '2027-03-28T01:00:00Z', 'closed'],
    ['01:00', '05:00', '2027-03-28T00:00:00Z', '2027-03-28T03:00:00Z'],
  ])('%s-%s at %s: %s', (from, to, at, expected) => {
    expect(closing(makeWindow([0], from, to), at)).toBe(expected);
  });

  it('passes midnight with an hour less', () => {
    expect(closing(makeWindow([6], '22:00', '06:00'), '2027-03-27T21:00:00Z')).toBe('2027-03-28T04:00:00Z');
  });
});

describe('a weekly window when the clock goes back', () => {
  it.each([
    ['01:00', '02:30', '2027-10-31T00:10:00Z', '2027-10-31T00:30:00Z'],
    ['01:00', '02:30', '2027-10-31T00:30:00Z', 'closed'],
    ['01:00', '02:30', '2027-10-31T01:00:00Z', '2027-10-31T01:30:00Z'],
    ['02:30', '04:00', '2027-10-31T00:30:00Z', '2027-10-31T01:00:00Z'],
    ['02:30', '04:00', '2027-10-31T01:00:00Z', 'closed'],
    ['02:30', '04:00', '2027-10-31T01:30:00Z', '2027-10-31T03:00:00Z'],
    ['02:00', '03:00', '2027-10-31T00:00:00Z', '2027-10-31T02:00:00Z'],
    ['01:00', '05:00', '2027-10-30T23:00:00Z', '2027-10-31T04:00:00Z'],
  ])('%s-%s at %s: %s', (from, to, at, expected) => {
    expect(closing(makeWindow([0], from, to), at)).toBe(expected);
  });

  it('is found where the shift is half an hour (Lord Howe, 2027-04-04 02:00 becomes 01:30)', () => {
    const window = makeWindow([0], '01:00', '02:00', 'Australia/Lord_Howe');
    expect(closing(window, '2027-04-03T14:00:00Z')).toBe('2027-04-03T15:30:00Z');
  });

  it('is found where midnight itself is skipped (Cairo, 2027-04-30 00:00 becomes 01:00)', () => {
    const window = makeWindow([5], '00:00', '02:00', 'Africa/Cairo');
    expect(closing(window, '2027-04-29T21:59:00Z')).toBe('closed');
    expect(closing(window, '2027-04-29T22:00:00Z')).toBe('2027-04-29T23:00:00Z');
  });
});

describe('closing times over two years', () => {
  it.each(['Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'Africa/Cairo', 'Asia/Kolkata'])(
    'in %s they agree with reading the wall clock every quarter of an hour',
    (zone) => {
      const window = makeWindow([0, 2, 5, 6], '21:30', '02:45', zone);
      const wall = new Intl.DateTimeFormat('en-GB', {
        timeZone: zone,
        weekday: 'short',
        hour: '2-digit',
        minute: '2-digit',
      });
      const reads = (timeMs: number): boolean => {
        const [day = '', time = ''] = wall.format(timeMs).split(' ');
        const names = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
        const today = names.indexOf(day.replace(',', ''));
        if (time >= '21:30') return window.days.has(today);
        return time < '02:45' && window.days.has((today + 6) % 7);
      };
      const quarterMs = 15 * 60_000;
      let wasOpen = false;
      let openings = 0;
      for (let timeMs = Date.UTC(2026, 0, 1); timeMs < Date.UTC(2028, 0, 1); timeMs += quarterMs) {
        const untilMs = openUntilMs([window], timeMs, timeMs + quarterMs);
        if ((untilMs !== undefined) !== reads(timeMs))
          expect.fail(`${zone} ${new Date(timeMs).toISOString()}`);
        if (untilMs !== undefined && !wasOpen) {
          openings += 1;
          // Every quarter until the stated closing reads open, and the closing reads closed.
          const endMs = openUntilMs([window], timeMs, timeMs + 24 * 3_600_000) ?? 0;
          for (let at = timeMs; at < endMs; at += quarterMs)
            if (!reads(at)) expect.fail(new Date(at).toISOString());
          if (reads(endMs)) expect.fail(new Date(endMs).toISOString());
        }
        wasOpen = untilMs !== undefined;
      }
      expect(openings).toBeGreaterThan(400);
    },
  );
});
