import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  createLogAppender,
  emptyLogHead,
  type EncodedEntry,
  type EntryDraft,
  maxEntryBytes,
} from '../../src/accounting/index.ts';
import { checkOpenings, parseEntry } from '../../src/accounting/verify/entry.ts';
import { codeOf, newSigner, origin, seededBytes } from './log-fixture.ts';

const appender = createLogAppender({ signer: newSigner(), origin, random: seededBytes(1) });
const timeMs = Date.UTC(2026, 10, 23, 16, 20, 0, 7);
const draft: EntryDraft = { type: 'auth.login', outcome: 'success', timeMs };

function encode(changes: Partial<EntryDraft>): EncodedEntry {
  const [entry] = appender.append(emptyLogHead(origin), [{ ...draft, ...changes }]).entries;
  if (entry === undefined) throw new Error('no entry came back');
  return entry;
}
const json = (entry: EncodedEntry): Record<string, unknown> => JSON.parse(entry.bytes.toString()) as never;

describe('an entry', () => {
  it('holds exactly these bytes', () => {
    const entry = encode({
      actor: { uid: 'corp:1', kind: 'person' },
      subject: { uid: 'corp:2' },
      fields: { cred: { serial: '7', principals: ['b', 'a'] }, corr: { request: 'r1' } },
    });
    const id = String(json(entry)['id']);
    expect(entry.bytes.toString()).toBe(
      `{"actor":{"kind":"person","uid":"corp:1"},"corr":{"request":"r1"},"cred":{"principals":["b","a"],"serial":"7"},` +
        `"id":"${id}","outcome":"success","subject":{"uid":"corp:2"},"time":"2026-11-23T16:20:00.007Z","type":"auth.login","v":1}`,
    );
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(Number.parseInt(id.replaceAll('-', '').slice(0, 12), 16)).toBe(timeMs);
    expect(entry.openings).toBeUndefined();
    expect(entry.leafHash).toEqual(createHash('sha256').update(Buffer.of(0)).update(entry.bytes).digest());
  });

  it('never has the same id or salt twice, and all four variants of a UUID occur', () => {
    const drafts = Array.from({ length: 500 }, () => ({ ...draft, personal: { 'src.ip': '192.0.2.1' } }));
    const { entries } = appender.append(emptyLogHead(origin), drafts);
    const ids = entries.map((entry) => String(json(entry)['id']));
    expect(new Set(ids).size).toBe(500);
    expect(new Set(entries.map(({ openings }) => openings)).size).toBe(500);
    expect(new Set(ids.map((id) => id[19]))).toEqual(new Set(['8', '9', 'a', 'b']));
  });

  it('holds commitments in the place of personal values, and says where they are', () => {
    const personal = { reason: 'Umzug – “é”', 'src.ip': '2001:db8::1', 'actor.name': 'alice', 'src.ua': '' };
    const actor = { uid: 'corp:1', kind: 'person' } as const;
    const entry = encode({ actor, fields: { src: { port: 22 } }, personal });
    const fields = json(entry);
    expect(fields['personal']).toEqual(['actor.name', 'reason', 'src.ip', 'src.ua']);
    expect(entry.bytes.toString()).not.toMatch(/alice|Umzug|2001:db8/);
    const openings = JSON.parse(entry.openings ?? '') as Record<string, { salt: string; value: string }>;
    for (const [path, value] of Object.entries(personal)) {
      const opening = openings[path];
      expect(opening?.value).toBe(value);
      const salt = Buffer.from(opening?.salt ?? '', 'base64url');
      expect(salt).toHaveLength(16);
      const [first = '', second] = path.split('.');
      const place = second === undefined ? fields[first] : (fields[first] as Record<string, unknown>)[second];
      expect(place).toBe(`sha256:${createHash('sha256').update(salt).update(value).digest('base64url')}`);
    }
    expect(fields['src']).toMatchObject({ port: 22 });
    expect(actor).toEqual({ uid: 'corp:1', kind: 'person' });
    const read = parseEntry(entry.bytes);
    if (typeof read === 'string') throw new Error(read);
    expect(checkOpenings(Buffer.from(entry.openings ?? ''), read)).toEqual({
      opened: 4,
      erased: 0,
      withheld: 0,
    });
  });

  it('commits to values of every length, and leaves the draft as it was', () => {
    const actor = { uid: 'corp:1', kind: 'person' } as const;
    for (const sign of ['x', 'é', '漢', '😀'])
      for (const count of [0, 1, 167, 168, 251, 252, 335, 336, 337, 503, 504, 505, 1008, 1009, 2000]) {
        const value = sign.repeat(count);
        const entry = encode({
          actor,
          personal: { 'actor.name': value, 'src.ua': `${value}"`, reason: value },
        });
        const read = parseEntry(entry.bytes);
        if (typeof read === 'string') throw new Error(read);
        const opened = checkOpenings(Buffer.from(entry.openings ?? ''), read);
        expect(opened, `${count} of ${sign}`).toEqual({ opened: 3, erased: 0, withheld: 0 });
      }
    expect(actor).toEqual({ uid: 'corp:1', kind: 'person' });
  });

  it('keeps what a browser may send: a lone surrogate in a personal value becomes U+FFFD', () => {
    expect(encode({ personal: { 'src.ua': 'a\ud800' } }).openings).toContain('a\ufffd');
  });

  it('takes 65,535 bytes and not one more', () => {
    const spare = maxEntryBytes - encode({ fields: { target: { value: '' } } }).bytes.length;
    expect(encode({ fields: { target: { value: 'x'.repeat(spare) } } }).bytes).toHaveLength(maxEntryBytes);
    const more = { target: { value: 'x'.repeat(spare + 1) } };
    expect(codeOf(() => encode({ fields: more }))).toBe('accounting.entry_too_large');
    const long = { reason: 'x'.repeat(131_072) };
    expect(codeOf(() => encode({ personal: long }))).toBe('accounting.entry_too_large');
  });

  it.each<[string, Partial<EntryDraft>]>([
    ['a refusal without a reason code', { outcome: 'denied' }],
    ['a time that is none', { timeMs: Number.NaN }],
    ['a time before 1970', { timeMs: -1 }],
    ['a time with a fraction', { timeMs: 1.5 }],
    ['a time past the year 9999', { timeMs: 253_402_300_800_000 }],
    ['a field of the frame', { fields: { v: 2 } }],
    ['a field called personal', { fields: { personal: [] } }],
    ['a field with a dot', { fields: { 'a.b': 1 } }],
    ['a field with capitals', { fields: { Cred: 1 } }],
    ['a personal value where there is one', { fields: { src: { ip: 'x' } }, personal: { 'src.ip': 'y' } }],
    ['a personal value in a string', { fields: { src: 'x' }, personal: { 'src.ip': 'y' } }],
    ['a personal value in a list', { fields: { src: [] }, personal: { 'src.ip': 'y' } }],
    ['a personal value for the frame', { personal: { id: 'x' } }],
    ['a personal value three levels deep', { personal: { 'a.b.c': 'x' } }],
    ['a personal value without a path', { personal: { '': 'x' } }],
    ['a personal value at constructor', { personal: { 'src.constructor': 'x' } }],
    ['a personal value at __proto__', { personal: { ['__proto__']: 'x' } }],
  ])('is refused with %s', (_name, changes) => {
    expect(codeOf(() => encode(changes))).toBe('accounting.bad_draft');
  });

  it('is refused with a number that JSON readers round', () => {
    expect(codeOf(() => encode({ fields: { cred: { serial: 2 ** 53 } } }))).toBe('accounting.not_canonical');
  });
});

describe('the reader of entries', () => {
  const good = json(encode({ personal: { 'src.ip': 'x' } }));
  const sorted = (value: Record<string, unknown>): Buffer =>
    Buffer.from(
      JSON.stringify(Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))),
    );

  const { ip: commitment = '' } = good['src'] as { readonly ip?: string };

  it('accepts what the writer wrote, and types that it does not know', () => {
    expect(parseEntry(sorted(good))).toMatchObject({ type: 'auth.login', personal: ['src.ip'] });
    expect(parseEntry(sorted({ ...good, type: 'some.day.later' }))).toMatchObject({ type: 'some.day.later' });
  });

  it.each([
    ['version', { v: 2 }],
    ['version', { v: '1' }],
    ['id', { id: 'x' }],
    ['id', { id: '018f0000-0000-4000-8000-000000000000' }],
    ['id', { id: String(good['id']).replace('-7', '-8') }],
    ['id', { id: String(good['id']).toUpperCase() }],
    ['id', { time: '2026-11-23T16:20:00.008Z' }],
    ['id', { time: '2027-11-23T16:20:00.007Z' }],
    ['id', { id: String(good['id']).replace(/^./, '1') }],
    ['time', { id: `ffffffff-ffff-7000-8000-000000000000`, time: '1969-12-31T23:59:59.999Z' }],
    ['time', { time: '2026-11-23T16:20:00Z' }],
    ['time', { time: '2026-06-30T23:59:60.000Z' }],
    ['time', { time: '2026-11-23T24:00:00.000Z' }],
    ['time', { time: '2026-02-30T16:20:00.000Z' }],
    ['time', { time: '2026-11-23T16:20:00.000+01:00' }],
    ['type', { type: 'login' }],
    ['type', { type: 7 }],
    ['outcome', { outcome: 'maybe' }],
    ['reason code', { outcome: 'denied' }],
    ['reason code', { reason_code: 7 }],
    ['reason code', { reason_code: '' }],
    ['personal', { personal: [] }],
    ['personal', { personal: 'src.ip' }],
    ['personal', { personal: ['src.ip', 'src.ip'] }],
    ['personal', { personal: ['src.ip', 'src.ua'] }],
    ['personal', { personal: ['src.ip', 7] }],
    ['personal', { personal: ['src.ip.x'] }],
    ['personal', { src: { ip: '192.0.2.1' } }],
    ['personal', { src: { ip: `${commitment.slice(0, -1)}B` } }],
    ['personal', { src: { ip: `${commitment}=` } }],
    ['personal', { personal: ['src'], src: [commitment] }],
    ['personal', { personal: [''], '': commitment }],
    ['personal', { personal: ['Src'], Src: commitment }],
    ['personal', { personal: ['1src'], '1src': commitment }],
    ['personal', { personal: ['src.Ip'], src: { Ip: commitment } }],
    ['personal', { personal: ['src.'], src: { '': commitment } }],
    ['personal', { personal: ['src.é'], src: { é: commitment } }],
    ['personal', { personal: ['a'.repeat(33)], ['a'.repeat(33)]: commitment }],
    ['personal', { personal: [`src.${'a'.repeat(33)}`], src: { ['a'.repeat(33)]: commitment } }],
  ])('refuses another %s: %j', (part, change) => {
    expect(parseEntry(sorted({ ...good, ...change }))).toContain(part);
  });

  it('accepts paths as long as they may be', () => {
    const name = `a${'_9'.repeat(15)}z`;
    for (const change of [
      { personal: [name], [name]: commitment },
      { personal: [`${name}.${name}`], [name]: { [name]: commitment } },
    ])
      expect(parseEntry(sorted({ ...good, ...change }))).toMatchObject({ personal: change.personal });
  });

  it('refuses openings of more than 131,072 bytes', () => {
    const place = (value: string): Record<string, unknown> => {
      const digest = createHash('sha256').update(Buffer.alloc(16)).update(value).digest('base64url');
      return { ...good, src: { ip: `sha256:${digest}` } };
    };
    const open = (value: string): unknown => {
      const entry = parseEntry(sorted(place(value)));
      if (typeof entry === 'string') throw new Error(entry);
      const line = `{"src.ip":{"salt":"${'A'.repeat(22)}","value":"${value}"}}`;
      return checkOpenings(Buffer.from(line), entry);
    };
    const frame = '{"src.ip":{"salt":"","value":""}}'.length + 22;
    expect(open('x'.repeat(131_072 - frame))).toMatchObject({ opened: 1 });
    expect(open('x'.repeat(131_073 - frame))).toContain('longer');
  });

  it('refuses bytes that are too many or not canonical', () => {
    expect(parseEntry(sorted({ ...good, x: 'x'.repeat(65_536) }))).toContain('longer');
    expect(parseEntry(Buffer.from(` ${sorted(good).toString()}`))).toContain('canonical');
  });

  it.each([
    '',
    '{}',
    '[]',
    '{"src.ip":"gone"}',
    '{"src.ip":null}',
    '{"src.ip":"erased","src.ua":"erased"}',
    '{"src.ua":"erased"}',
    '{"src.ip":{"salt":"AAAAAAAAAAAAAAAAAAAAAA","value":"x"}}',
    '{"src.ip":{"salt":"","value":"x"}}',
    '{"src.ip":{"value":"x"}}',
    '{"src.ip":"erased"} ',
  ])('refuses the openings %s', (line) => {
    const entry = parseEntry(sorted(good));
    if (typeof entry === 'string') throw new Error(entry);
    expect(typeof checkOpenings(Buffer.from(line), entry)).toBe('string');
    expect(checkOpenings(Buffer.from('{"src.ip":"erased"}'), entry)).toMatchObject({ erased: 1 });
  });
});
