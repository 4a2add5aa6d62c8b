import { createHash } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { StoredEntry } from '../../src/broker/index.ts';
import { createLine, createSyslogMessage, type LineContext } from '../../src/doors/sinks/index.ts';
import { printable } from '../../src/kernel/index.ts';
import { context } from '../doors/sinks/stored.ts';
import { readCef, readFrames, readSyslog } from '../support/line-readers.ts';
import { loadOcsfSchema, ocsfFaults } from '../support/ocsf-schema.ts';

const runs = { numRuns: 2000, seed: 1 };
const schema = loadOcsfSchema();

/** Whatever breaks a line, a field or a record somewhere, and text that looks like the next one. */
const nasty = fc.constantFrom(
  '\n',
  '\r',
  '\r\n',
  '\u0000',
  '\u001B[2J',
  '\u0085',
  '\u2028',
  '\u2029',
  '\uFEFF',
  '\u202E',
  '\uD800',
  '\uDC00',
  '"',
  '\\',
  ']',
  '[',
  '|',
  '=',
  ' ',
  ' =',
  '\\=',
  '\\n',
  '\\\\',
  "'",
  '{',
  '}',
  ',',
  '<110>1 ',
  '-',
  'CEF:0|',
  ' src=10.0.0.1',
  ' cs1=7 cs1Label=serial',
  '"] [evil@1 x="',
  '"},{"index":"9"',
  '\n<110>1 - - - - - -',
  'é',
  '😀',
  'x'.repeat(1200),
  'x='.repeat(3000),
);
const hostile = fc
  .array(fc.oneof({ weight: 3, arbitrary: nasty }, fc.string({ unit: 'binary', maxLength: 8 })), {
    minLength: 1,
    maxLength: 8,
  })
  .map((parts) => parts.join(''));

interface Texts {
  readonly uid: string;
  readonly name: string;
  readonly ua: string;
  readonly ip: string;
  readonly reason: string;
  readonly code: string;
  readonly target: string;
  readonly principals: readonly string[];
  readonly hostname: string;
  readonly version: string;
}
const texts: fc.Arbitrary<Texts> = fc.record({
  uid: hostile,
  name: hostile,
  ua: hostile,
  ip: fc.oneof(hostile, fc.ipV4(), fc.ipV6()),
  reason: hostile,
  code: hostile,
  target: hostile,
  principals: fc.array(hostile, { maxLength: 4 }),
  hostname: hostile,
  version: hostile,
});

const salt = Buffer.alloc(16);
const commitmentTo = (value: string): string =>
  `sha256:${createHash('sha256').update(salt).update(value).digest('base64url')}`;

/** An entry as no broker of ours writes it: even types and outcomes are hostile where `wild` says so. */
function entryOf(about: Texts, wild: string | undefined): StoredEntry {
  const { uid, name, ua, ip, reason, code, target, principals } = about;
  const personal = { 'actor.name': name, 'src.ua': ua, 'src.ip': ip, reason };
  const entry = {
    v: 1,
    id: '01a20846-fe00-7081-beca-efc3207cbd61',
    time: '2026-11-23T12:00:00.000Z',
    type: wild ?? 'cred.revoke',
    outcome: wild ?? 'denied',
    reason_code: code,
    actor: { uid, kind: 'person', name: commitmentTo(name) },
    src: { ip: commitmentTo(ip), ua: commitmentTo(ua) },
    reason: commitmentTo(reason),
    subject: { uid },
    target: { kind: target, value: target },
    cred: { kind: 'ssh-user', serial: '7', principals },
    personal: Object.keys(personal),
  };
  return {
    index: 7n,
    leafHash: Buffer.alloc(32, 7),
    bytes: Buffer.from(JSON.stringify(entry)),
    openings: JSON.stringify(
      Object.fromEntries(
        Object.entries(personal).map(([path, value]) => [path, { salt: salt.toString('base64url'), value }]),
      ),
    ),
  };
}

const contextOf = ({ hostname, version }: Texts): LineContext => ({ ...context, hostname, version });
/** What docs/operations/sinks.md says becomes of a value in syslog. */
const shown = (text: string): string => printable(text.toWellFormed(), 1000);
const shownInCef = (text: string, maxChars = 1023): string =>
  (text.length > maxChars ? `${text.slice(0, maxChars)}…` : text)
    .toWellFormed()
    .split(/\r\n|\r|\n/)
    .map((part) => printable(part, 5000))
    .join('\n');

describe('hostile text', () => {
  it('stays one RFC 5424 message that reads back to the same values', () => {
    fc.assert(
      fc.property(texts, (about) => {
        const line = createLine('rfc5424', contextOf(about))(entryOf(about, undefined));
        const { data, hostname, msg } = readSyslog(line);
        expect([...data.keys()]).toEqual(['sallyport@32473', 'origin', 'timeQuality']);
        const own = Object.fromEntries(data.get('sallyport@32473') ?? []);
        expect(own).toMatchObject({
          actor: shown(about.uid),
          actor_name: shown(about.name),
          ua: shown(about.ua),
          ip: shown(about.ip),
          reason: shown(about.reason),
          reason_code: shown(about.code),
          target: shown(about.target),
        });
        expect(own['principals']).toBe(
          about.principals.length === 0 ? undefined : shown(about.principals.join(' ')),
        );
        expect(hostname).toMatch(/^[!-~]{1,255}$/);
        expect(msg.startsWith('Certificate revoked: denied')).toBe(true);
        // Framed by its length in bytes, whatever it holds.
        const bytes = Buffer.from(line);
        const frame = Buffer.concat([Buffer.from(`${bytes.length} `), bytes]);
        expect(readFrames(Buffer.concat([frame, frame]))).toEqual([line, line]);
      }),
      runs,
    );
  });

  it('stays one CEF event that reads back to the same values', () => {
    fc.assert(
      fc.property(texts, (about) => {
        const { header, extension } = readCef(createLine('cef', contextOf(about))(entryOf(about, undefined)));
        expect(header).toEqual([
          'Sallyport',
          'Sallyport',
          printable(about.version.toWellFormed(), 512),
          'cred.revoke',
          'Certificate revoked',
          '5',
        ]);
        const expected: Record<string, string> = {
          suid: shownInCef(about.uid),
          suser: shownInCef(about.name),
          requestClientApplication: shownInCef(about.ua),
          msg: shownInCef(about.reason),
          reason: shownInCef(about.code),
          cs5: shownInCef(`${about.target} ${about.target}`, 4000),
        };
        for (const [key, value] of Object.entries(expected))
          expect([key, extension.get(key) ?? '']).toEqual([key, value]);
        expect(extension.get('cs1')).toBe('7');
        expect(extension.get('src') ?? '10.0.0.1').toMatch(/^[\d.]+$/);
      }),
      runs,
    );
  });

  it('stays one line of JSON that reads back to the same values', () => {
    fc.assert(
      fc.property(texts, (about) => {
        for (const format of ['json', 'ocsf'] as const) {
          const line = createLine(format, contextOf(about))(entryOf(about, undefined));
          expect(line).not.toMatch(/[\r\n]/);
          const read = JSON.parse(line) as {
            readonly personal?: Readonly<Record<string, string>>;
            readonly unmapped?: { readonly personal: Readonly<Record<string, string>> };
          };
          const { 'actor.name': name, reason } = read.personal ?? read.unmapped?.personal ?? {};
          expect([name, reason]).toEqual([about.name, about.reason]);
          if (format === 'ocsf') expect(ocsfFaults(schema, read)).toEqual([]);
        }
      }),
      runs,
    );
  });

  it('does no harm as type and outcome, in any format, nor in any format over syslog', () => {
    fc.assert(
      fc.property(texts, hostile, (about, wild) => {
        const stored = entryOf(about, wild);
        const about2 = contextOf(about);
        readSyslog(createLine('rfc5424', about2)(stored));
        readCef(createLine('cef', about2)(stored));
        expect(ocsfFaults(schema, JSON.parse(createLine('ocsf', about2)(stored)))).toEqual([]);
        for (const format of ['cef', 'ocsf', 'json'] as const)
          expect(createSyslogMessage(format, about2)(stored)).not.toMatch(/[\r\n]/);
      }),
      runs,
    );
  });
});
