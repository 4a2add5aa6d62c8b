import * as fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import {
  calendarEvents,
  chooseSlot,
  encodeCalendar,
  leadDays,
  parseProbeReport,
  parseWindow,
  planRenewals,
  type ServedCertificate,
} from '../../../src/doors/ibmi/index.ts';
import { codeOfSync } from '../../support/code-of.ts';

const dayMs = 86_400_000;
/** A Monday. */
const now = Date.UTC(2026, 10, 30, 9);
const window = parseWindow('sun 02:00-04:00');

const served = (changes: Partial<ServedCertificate> = {}): ServedCertificate => ({
  host: 'prod.example.com',
  applications: ['telnet', 'signon'],
  subject: 'CN=prod',
  serial: '10',
  notAfterMs: now + 40 * dayMs,
  ...changes,
});

describe('a maintenance window', () => {
  it('is the last one that leaves a week', () => {
    const slot = chooseSlot(window, Date.UTC(2027, 0, 9, 9), now);
    expect(new Date(slot?.startMs ?? 0).toISOString()).toBe('2026-12-27T02:00:00.000Z');
    expect(new Date(slot?.endMs ?? 0).toISOString()).toBe('2026-12-27T04:00:00.000Z');
  });

  it('is the next one when the week is no longer there, and none when even that is too late', () => {
    const end = (day: number): number | undefined =>
      chooseSlot(window, Date.UTC(2026, 11, day, 9), now)?.startMs;
    expect(end(8)).toBe(Date.UTC(2026, 11, 6, 2));
    expect(end(5)).toBeUndefined();
    expect(chooseSlot(window, now - dayMs, now)).toBeUndefined();
  });

  it('may reach into the next day', () => {
    expect(parseWindow('SAT 23:30-01:00')).toEqual({ day: 6, startMinute: 1410, minutes: 90 });
  });

  test.each([
    '',
    'sun',
    'sun 02:00',
    'sun 02:00-02:10',
    'sun 02:00-02:00',
    'son 02:00-04:00',
    'sun 24:00-25:00',
    'sun 2:00-4:00',
    'sun 02:00-04:00 CET',
  ])('is not “%s”', (text) => {
    expect(codeOfSync(() => parseWindow(text))).toBe('ibmi.bad_window');
  });

  test('whatever the dates, it lies on its day, ahead, and before the end', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 6 }),
        fc.integer({ min: 0, max: 1439 }),
        fc.integer({ min: 15, max: 1439 }),
        fc.integer({ min: -100, max: 400 * 24 }),
        (day, startMinute, minutes, hours) => {
          const notAfterMs = now + hours * 3_600_000;
          const slot = chooseSlot({ day, startMinute, minutes }, notAfterMs, now);
          if (slot === undefined) return notAfterMs < now + 7 * dayMs + minutes * 60_000;
          const start = new Date(slot.startMs);
          return (
            start.getUTCDay() === day &&
            start.getUTCHours() * 60 + start.getUTCMinutes() === startMinute &&
            slot.startMs >= now &&
            slot.endMs <= notAfterMs
          );
        },
      ),
      { seed: 20_261_130, numRuns: 2000 },
    );
    expect(leadDays).toBe(7);
  });
});

describe('renewals', () => {
  it('are what ends within the days, the most urgent first, with label and whom they cut', () => {
    const renewals = planRenewals(
      [
        served(),
        served({ host: 'test', applications: ['ldap'], notAfterMs: now + 3 * dayMs }),
        served({ host: 'old', applications: ['unheard-of'], notAfterMs: now - dayMs }),
        served({ host: 'later', notAfterMs: now + 61 * dayMs }),
      ],
      { days: 60, window, nowMs: now },
    );
    expect(
      renewals.map(({ host, daysLeft, nextLabel, slot }) => [host, daysLeft, nextLabel, slot !== undefined]),
    ).toEqual([
      ['old', -1, 'tls-2026-11', false],
      ['test', 3, 'directory-2026-11', false],
      ['prod.example.com', 40, 'telnet-2026-12', true],
    ]);
    expect(renewals[2]?.cuts.map((whom) => whom.split(' ')[0])).toEqual(['new', 'every']);
  });

  it('never get a label that is in use', () => {
    const [renewal] = planRenewals([served({ label: 'telnet-2026-12' })], { days: 60, window, nowMs: now });
    expect(renewal?.nextLabel).toBe('telnet-2026-12-2');
  });

  it('of one host and window are one event', () => {
    const renewals = planRenewals(
      [
        served(),
        served({ applications: ['ldap'], serial: '11' }),
        served({ host: 'b' }),
        served({ host: 'c', notAfterMs: now }),
      ],
      { days: 60, window, nowMs: now },
    );
    const events = calendarEvents(renewals);
    expect(events.map(({ title }) => title)).toEqual([
      'New TLS certificate on b',
      'New TLS certificate on prod.example.com',
    ]);
    expect(events[1]?.text).toContain('serial 11');
    expect(events[1]?.text).toContain('Cuts every 5250 session');
  });
});

describe('a calendar', () => {
  const event = {
    key: 'k',
    startMs: now,
    endMs: now + 7_200_000,
    title: 'A, b; c\\d',
    text: 'one\ntwo\u001b',
  };

  it('is what RFC 5545 says: CRLF, UTC, escapes, an alarm', () => {
    const lines = encodeCalendar([event], now).split('\r\n');
    expect(lines.slice(0, 3)).toEqual([
      'BEGIN:VCALENDAR',
      'VERSION:2.0',
      'PRODID:-//sallyport//renewals//EN',
    ]);
    expect(lines.slice(-3)).toEqual(['END:VEVENT', 'END:VCALENDAR', '']);
    expect(lines).toContain('DTSTART:20261130T090000Z');
    expect(lines).toContain('DTEND:20261130T110000Z');
    expect(lines).toContain(String.raw`SUMMARY:A\, b\; c\\d`);
    expect(lines).toContain(String.raw`DESCRIPTION:one\ntwo?`);
    expect(lines).toContain('TRIGGER:-P2D');
  });

  it('names one event alike in two exports', () => {
    const uid = (madeMs: number): string | undefined => /UID:(.+)/.exec(encodeCalendar([event], madeMs))?.[1];
    expect(uid(now)).toBe(uid(now + dayMs));
  });

  test('never has a line over 75 octets, and unfolds to what went in', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 300 }), (text) => {
        const calendar = encodeCalendar([{ ...event, text }], now);
        const unfolded = calendar.replaceAll('\r\n ', '');
        const description = /\r\nDESCRIPTION:(.*)\r\nBEGIN:VALARM/s.exec(unfolded)?.[1] ?? '';
        return (
          calendar.split('\r\n').every((line) => Buffer.byteLength(line) <= 75 && !line.includes('\n')) &&
          (text.includes('\uFFFD') || !calendar.includes('\uFFFD')) &&
          (/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\\;,]/u.test(text) || description === text)
        );
      }),
      { seed: 20_261_130, numRuns: 500 },
    );
  });
});

describe('a report of the probe', () => {
  const tls = (sha256: string): object => ({
    chain: [{ subject: 'CN=prod', serial: '10', sha256, notAfter: '2027-01-01T00:00:00.000Z' }],
  });
  const report = (ports: readonly object[]): string => JSON.stringify({ hosts: [{ host: 'prod', ports }] });

  it('gives each certificate of a host once, with all that serve it', () => {
    const text = report([
      { application: 'telnet', tls: tls('aa') },
      { application: 'signon', tls: tls('aa') },
      { application: 'ldap', tls: tls('bb') },
      { application: 'ftp' },
    ]);
    expect(parseProbeReport(text).map(({ applications }) => applications)).toEqual([
      ['telnet', 'signon'],
      ['ldap'],
    ]);
  });

  test.each([
    ['nothing', ''],
    ['a list', '[]'],
    ['no hosts', '{}'],
    ['hosts that are none', '{"hosts":{}}'],
    ['a host without a name', '{"hosts":[{"ports":[]}]}'],
    [
      'a certificate without an end',
      report([{ application: 'telnet', tls: { chain: [{ subject: 'a', serial: '1', sha256: 'x' }] } }]),
    ],
    [
      'an end that is no time',
      report([
        {
          application: 'telnet',
          tls: { chain: [{ subject: 'a', serial: '1', sha256: 'x', notAfter: '2027' }] },
        },
      ]),
    ],
    ['a chain that is none', report([{ application: 'telnet', tls: { chain: 'x' } }])],
    ['too many ports', report(Array.from({ length: 101 }, () => ({})))],
    ['a text that is too long', report([{ application: 'x'.repeat(1025), tls: tls('aa') }])],
  ])('with %s is refused', (_title, text) => {
    expect(codeOfSync(() => parseProbeReport(text))).toBe('ibmi.bad_report');
  });

  test('of any JSON is read or refused', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 5 }), (text) =>
        ['accepted', 'ibmi.bad_report'].includes(codeOfSync(() => parseProbeReport(text))),
      ),
      { seed: 20_261_130, numRuns: 1000 },
    );
  });
});
