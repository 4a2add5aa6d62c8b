import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isCodedError } from '../../src/kernel/index.ts';
import { parsePeople } from '../../src/identity/index.ts';
import { encodePeople } from '../../src/identity/built-in/people-file.ts';
import { canonicalLogin, isCanonicalName } from '../../src/identity/built-in/login.ts';

const fixed = { seed: 20261123, numRuns: 1000 };

/** Either people, or the one coded error: nothing else may come out. */
function read(text: string): ReturnType<typeof parsePeople> | undefined {
  try {
    return parsePeople(text);
  } catch (error) {
    if (isCodedError(error, 'identity.people_file_invalid')) return undefined;
    throw error;
  }
}

const name = fc.stringMatching(/^[a-z][a-z0-9._-]{0,20}$/);
const record = fc.record({
  id: fc.uuid(),
  login: name,
  groups: fc.uniqueArray(name, { maxLength: 5 }),
  disabled: fc.boolean(),
  password: fc.record({
    scheme: fc.constant('scrypt' as const),
    N: fc.constantFrom(2 ** 14, 2 ** 15, 2 ** 16),
    r: fc.constant(8),
    p: fc.constantFrom(1, 2, 3),
    salt: fc.uint8Array({ minLength: 16, maxLength: 64 }).map((bytes) => Buffer.from(bytes)),
    hash: fc.uint8Array({ minLength: 32, maxLength: 64 }).map((bytes) => Buffer.from(bytes)),
  }),
});
const people = fc.uniqueArray(record, {
  maxLength: 5,
  comparator: (a, b) => a.id === b.id || a.login === b.login,
});

describe('the file of people, fuzzed', () => {
  it('comes back as it was written', () => {
    fc.assert(
      fc.property(people, (list) => {
        expect(read(encodePeople(list))).toEqual(list);
      }),
      { ...fixed, numRuns: 300 },
    );
  });
  it('gives people or one coded error for any text', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        expect(read(text)).toBeUndefined();
      }),
      fixed,
    );
  });
  it('gives people or one coded error for any JSON in the place of people', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.jsonValue(), record), { minLength: 1 }), (list) => {
        const read1 = read(JSON.stringify({ version: 1, people: list }));
        // Buffers in the records are no base64 text, so nothing of this can be right.
        expect(read1).toBeUndefined();
      }),
      fixed,
    );
  });
  it('that lost or changed a byte is refused, or says something that is valid by itself', () => {
    fc.assert(
      fc.property(people, fc.nat(), fc.nat(127), (list, at, byte) => {
        const bytes = Buffer.from(encodePeople(list));
        bytes[at % bytes.length] = byte;
        const after = read(bytes.toString());
        if (after !== undefined) expect(read(encodePeople(after))).toEqual(after);
      }),
      fixed,
    );
  });
});

describe('login names, fuzzed', () => {
  it('are canonical or nothing, and canonical ones stay as they are', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: 'grapheme' }), name), (typed) => {
        const login = canonicalLogin(typed);
        if (login === undefined) return;
        expect(isCanonicalName(login)).toBe(true);
        expect(canonicalLogin(login)).toBe(login);
        expect(typed.trim().toLowerCase()).toBe(login);
      }),
      fixed,
    );
  });
  it('are the same person only when they differ by ASCII case and spaces around', () => {
    fc.assert(
      fc.property(name, fc.nat(65_535), fc.nat(20), (login, unit, at) => {
        const character = String.fromCharCode(unit);
        const changed = login.slice(0, at % login.length) + character + login.slice((at % login.length) + 1);
        if (canonicalLogin(changed) === login && login.length > 1)
          expect(character === ' ' || character.toLowerCase() === login[at % login.length]).toBe(true);
      }),
      fixed,
    );
  });
});
