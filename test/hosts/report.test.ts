import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { mostReportedEvents, parseReportedEvents } from '../../src/hosts/report.ts';
import { codeOfSync } from '../support/code-of.ts';

const at = '2026-11-30T08:01:02Z';
const atMs = Date.UTC(2026, 10, 30, 8, 1, 2);
const ca = `SHA256:${'C'.repeat(43)}`;

describe('the events of a report', () => {
  it('are read in their order, each with what it says', () => {
    const lines = [
      `login 7 ${at} Accepted password for alice from 192.0.2.7 port 1 ssh2`,
      `session 8 ${at} ended 42 ${ca} 4711 alice`,
      `gap 9 ${at} journal-rotated`,
      `alert 10 ${at} fail2ban banned 192.0.2.9 in sshd`,
    ];
    expect(parseReportedEvents(lines, 7n)).toEqual([
      { kind: 'login', seq: 7n, atMs, line: 'Accepted password for alice from 192.0.2.7 port 1 ssh2' },
      { kind: 'session', seq: 8n, atMs, what: 'ended', serial: 42n, caFingerprint: ca, account: 'alice' },
      { kind: 'gap', seq: 9n, atMs, why: 'journal-rotated' },
      { kind: 'alert', seq: 10n, atMs, source: 'fail2ban', text: 'banned 192.0.2.9 in sshd' },
    ]);
    expect(parseReportedEvents([], 1n)).toEqual([]);
  });

  it.each([
    ['a word that is none', `logout 1 ${at} x`],
    ['a hole in the count', `login 2 ${at} x`],
    ['a number with a zero in front', `login 01 ${at} x`],
    ['no number', `login x ${at} y`],
    ['no time', `login 1 yesterday x`],
    ['nothing after the time', `login 1 ${at}`],
    ['a line beyond all bounds', `login 1 ${at} ${'x'.repeat(3000)}`],
    ['a session of an unknown end', `session 1 ${at} died 42 ${ca} 4711 alice`],
    ['a serial over 64 bits', `session 1 ${at} ended 18446744073709551616 ${ca} 4711 alice`],
    ['a session of no CA', `session 1 ${at} ended 42 SHA256:x 4711 alice`],
    ['an alert of nobody', `alert 1 ${at} Who? x`],
    ['an alert without words', `alert 1 ${at} fail2ban`],
    ['a gap in many words', `gap 1 ${at} the journal rotated`],
    ['the name of a property', `constructor 1 ${at} x`],
    ['an empty line', ''],
  ])('are refused whole for %s', (_why, line) => {
    expect(codeOfSync(() => parseReportedEvents([line], 1n))).toBe('hosts.malformed');
  });

  it('are refused when there are too many', () => {
    const lines = Array.from({ length: mostReportedEvents + 1 }, (_, nth) => `gap ${nth + 1} ${at} x`);
    expect(codeOfSync(() => parseReportedEvents(lines, 1n))).toBe('hosts.malformed');
    expect(parseReportedEvents(lines.slice(1), 2n)).toHaveLength(mostReportedEvents);
  });

  it('of any text are read or refused with a code', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ maxLength: 200 }), { maxLength: 5 }), (texts) => {
        for (const lines of [texts, texts.map((text, nth) => `session ${nth + 1} ${at} ${text}`)])
          expect(['accepted', 'hosts.malformed']).toContain(codeOfSync(() => parseReportedEvents(lines, 1n)));
      }),
      { numRuns: 1000, seed: 20261130 },
    );
  });
});
