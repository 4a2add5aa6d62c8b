import {
  assert as check,
  configureGlobal,
  constantFrom,
  integer,
  nat,
  oneof,
  property,
  string as textOf,
  uint8Array,
} from 'fast-check';
import { BerWriter } from 'ldapts';
import { describe, expect, it } from 'vitest';
import { guidToBytes, guidToText, sidToText } from '../../src/identity/active-directory/identifiers.ts';
import { parseDomainLogin } from '../../src/identity/active-directory/names.ts';
import { encodeQuestion, parseSrvAnswer } from '../../src/identity/active-directory/srv-query.ts';
import { readStartTlsAnswer } from '../../src/identity/ldap/dial.ts';
import { escapeDnValue, fillDnTemplate } from '../../src/identity/ldap/distinguished-name.ts';
import { allOf, anyOf, equals, parseFilter } from '../../src/identity/ldap/filter.ts';
import type { Filter } from '../../src/identity/ldap/filter.ts';
import { parseGeneralizedTime } from '../../src/identity/ldap/generalized-time.ts';
import { parseServerUrl } from '../../src/identity/ldap/server-address.ts';

configureGlobal({ seed: 20_261_123, numRuns: 2_000 });

/** Text rich in what LDAP, DNs and C take for syntax. */
const hostile = oneof(
  textOf({ unit: 'binary', maxLength: 60 }),
  textOf({ unit: constantFrom(...'*()\\\0,+"<>;=# &|!~:/a'.split('')), maxLength: 60 }),
);

/** RFC 4514 as a reader: one relative DN, its value unescaped; undefined when a special character stands bare. */
function readRdn(rdn: string): { readonly type: string; readonly value: string } | undefined {
  const match = /^([a-z]+)=((?:[A-Za-z0-9._@-]|\\[0-9a-f]{2})*)$/.exec(rdn);
  if (match === null) return undefined;
  const octets: number[] = [];
  for (const [, hex, character] of (match[2] ?? '').matchAll(/\\([0-9a-f]{2})|(.)/gs)) {
    octets.push(hex === undefined ? (character ?? '').charCodeAt(0) : Number.parseInt(hex, 16));
  }
  return { type: match[1] ?? '', value: Buffer.from(octets).toString('utf8') };
}

interface Element {
  readonly tag: number;
  readonly content: Buffer;
}

/** BER as a reader of its own: definite lengths, one element after another. */
function readElements(bytes: Buffer): readonly Element[] {
  const elements: Element[] = [];
  for (let at = 0; at < bytes.length;) {
    const tag = bytes[at] ?? 0;
    let length = bytes[at + 1] ?? 0;
    at += 2;
    if (length >= 0x80) {
      const count = length - 0x80;
      length = bytes.readUIntBE(at, count);
      at += count;
    }
    if (at + length > bytes.length) throw new Error('too short');
    elements.push({ tag, content: bytes.subarray(at, at + length) });
    at += length;
  }
  return elements;
}

function encoded(filter: Filter): Buffer {
  const writer = new BerWriter();
  filter.write(writer);
  return Buffer.from(writer.buffer);
}

const wellFormed = hostile.map((text) => text.toWellFormed());

describe('values on their way to a directory', () => {
  it('come back from a DN as they were, and never end it', () => {
    check(
      property(wellFormed, (value) => {
        expect(readRdn(`uid=${escapeDnValue(value)}`)).toEqual({ type: 'uid', value });
        const dn = fillDnTemplate('uid={login},ou=people,dc=test', value);
        expect(dn.endsWith(',ou=people,dc=test')).toBe(true);
        expect(readRdn(dn.slice(0, -',ou=people,dc=test'.length))).toEqual({ type: 'uid', value });
      }),
    );
  });

  it('stand in a filter as one value, whatever they hold', () => {
    check(
      property(wellFormed, uint8Array({ maxLength: 40 }), (text, bytes) => {
        const scope = parseFilter('(&(objectClass=person)(!(employeeType=robot)))');
        const [and, ...rest] = readElements(
          encoded(allOf(scope, anyOf([equals('member', text), equals('objectGUID', Buffer.from(bytes))]))),
        );
        expect(rest).toHaveLength(0);
        expect(and?.tag).toBe(0xa0);
        const [first, second, ...others] = readElements(and?.content ?? Buffer.alloc(0));
        expect(others).toHaveLength(0);
        expect(first?.tag).toBe(0xa0);
        expect(second?.tag).toBe(0xa1);
        const assertions = readElements(second?.content ?? Buffer.alloc(0)).map(({ tag, content }) => [
          tag,
          ...readElements(content).map((element) => [element.tag, element.content.toString('hex')]),
        ]);
        const octets = (value: Buffer): readonly [number, string] => [4, value.toString('hex')];
        expect(assertions).toEqual([
          [0xa3, octets(Buffer.from('member')), octets(Buffer.from(text))],
          [0xa3, octets(Buffer.from('objectGUID')), octets(Buffer.from(bytes))],
        ]);
      }),
    );
  });
});

describe('parsers of what others send', () => {
  it('read or refuse any filter, server address and time without a fault', () => {
    check(
      property(hostile, (text) => {
        for (const input of [text, `(${text})`, `(uid=${text})`])
          expect(() => parseFilter(input)).not.toThrow();
        for (const input of [text, `ldaps://${text}`, `ldap://h:${text}`]) {
          const url = parseServerUrl(input);
          if (url !== undefined) expect(url.host).toMatch(/^[A-Za-z0-9._:-]+$/);
        }
        expect(() => parseGeneralizedTime(text)).not.toThrow();
      }),
    );
  });

  it('take from a name in a domain only what was typed', () => {
    const names = { domain: 'ad.test', netbiosName: 'ad', suffixes: new Set(['ad.test']) };
    check(
      property(
        hostile,
        constantFrom('', 'AD\\', 'ad.test\\', 'X\\'),
        constantFrom('', '@ad.test', '@x'),
        (text, before, after) => {
          const parsed = parseDomainLogin(before + text + after, names);
          if (parsed === undefined) return;
          expect(before + text + after).toContain(parsed.account);
          expect(parsed.account).not.toContain('\\');
          expect(parsed.account.trim()).toBe(parsed.account);
          if (parsed.form === 'principal') expect(parsed.suffix).toBe('ad.test');
        },
      ),
    );
  });

  it('turn GUIDs there and back, and refuse SIDs of the wrong length', () => {
    check(
      property(uint8Array({ maxLength: 80 }), (array) => {
        const bytes = Buffer.from(array);
        const guid = guidToText(bytes);
        expect(guid !== undefined).toBe(bytes.length === 16);
        if (guid !== undefined) expect(guidToBytes(guid)).toEqual(bytes);
        const sid = sidToText(bytes);
        if (sid !== undefined) {
          expect(bytes.length).toBe(8 + 4 * (bytes[1] ?? 0));
          expect(sid.split('-')).toHaveLength(3 + (bytes[1] ?? 0));
        }
      }),
    );
  });

  it('take no bytes but one successful answer for StartTLS', () => {
    const success = Buffer.from('300c02010178070a010004000400', 'hex');
    expect(readStartTlsAnswer(success)).toBe('accepted');
    for (let end = 0; end < success.length; end += 1)
      expect(readStartTlsAnswer(success.subarray(0, end))).toBe('incomplete');
    expect(() => readStartTlsAnswer(Buffer.concat([success, Buffer.from([0x30])]))).toThrow(/more than/);
    expect(() => readStartTlsAnswer(Buffer.alloc(4097, 0x30))).toThrow(/too long/);
    check(
      property(nat({ max: success.length - 1 }), integer({ min: 1, max: 255 }), (at, mask) => {
        const changed = Buffer.from(success);
        changed[at] = (changed[at] ?? 0) ^ mask;
        let verdict: string;
        try {
          verdict = readStartTlsAnswer(changed);
        } catch {
          verdict = 'refused';
        }
        // The matched DN and the diagnostic text (the last four bytes) say nothing about success.
        if (at < 10) expect(verdict).not.toBe('accepted');
      }),
    );
    check(
      property(uint8Array({ maxLength: 64 }), (array) => {
        try {
          expect(['accepted', 'incomplete']).toContain(readStartTlsAnswer(Buffer.from(array)));
        } catch (error) {
          expect(error).toBeInstanceOf(Error);
        }
      }),
    );
  });

  it('read SRV answers with or without compression, and end on any other bytes', () => {
    const name = '_ldap._tcp.dc._msdcs.ad.test.example';
    const question = encodeQuestion(name);
    const answer = (target: Buffer): Buffer =>
      Buffer.concat([
        Buffer.from([0x12, 0x34, 0x85, 0, 0, 1, 0, 1, 0, 0, 0, 0]),
        question,
        Buffer.from([0xc0, 12, 0, 33, 0, 1, 0, 0, 3, 0x84, 0, 6 + target.length, 0, 0, 0, 100, 1, 0x85]),
        target,
      ]);
    const compressed = answer(Buffer.from([3, 100, 99, 49, 0xc0, 33]));
    const plain = answer(Buffer.concat([Buffer.from([3, 100, 99, 49]), question.subarray(21, -4)]));
    const expected = [{ name: 'dc1.ad.test.example', port: 389, priority: 0, weight: 100 }];
    expect(parseSrvAnswer(compressed, 0x1234, question)).toEqual(expected);
    expect(parseSrvAnswer(plain, 0x1234, question)).toEqual(expected);
    expect(() => parseSrvAnswer(compressed, 0x1235, question)).toThrow(/another question/);
    expect(() =>
      parseSrvAnswer(compressed, 0x1234, encodeQuestion('_ldap._tcp.dc._msdcs.ad.evil.example')),
    ).toThrow(/another question/);
    for (let end = 0; end < compressed.length; end += 1)
      expect(() => parseSrvAnswer(compressed.subarray(0, end), 0x1234, question)).toThrow(Error);
    const loop = answer(Buffer.from([3, 100, 99, 49, 0xc0, 72]));
    expect(() => parseSrvAnswer(loop, 0x1234, question)).toThrow(/forwards/);
    check(
      property(nat({ max: compressed.length - 1 }), integer({ min: 0, max: 255 }), (at, value) => {
        const changed = Buffer.from(compressed);
        changed[at] = value;
        try {
          expect(parseSrvAnswer(changed, 0x1234, question).length).toBeLessThanOrEqual(256);
        } catch (error) {
          expect(error).toBeInstanceOf(Error);
        }
      }),
    );
  });
});
