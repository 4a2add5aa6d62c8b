import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalJson, type EntryValue, parseCheckpoint } from '../../src/accounting/index.ts';
import { parseCanonical, parseEntry } from '../../src/accounting/verify/entry.ts';
import { parsePinnedKey } from '../../src/accounting/verify/note.ts';
import { verifyBundle } from '../../src/accounting/verify/index.ts';
import { codeOf, dayDrafts, exportLog, inPieces, makeLog, openedBy } from '../accounting/log-fixture.ts';

const runs = { seed: 20_261_123, numRuns: 500 };
const log = makeLog(dayDrafts(12));

const value: fc.Arbitrary<EntryValue> = fc.letrec<{ value: EntryValue }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.string({ unit: 'binary' }),
    fc.maxSafeInteger(),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(fc.string({ unit: 'binary', maxLength: 6 }), tie('value'), { maxKeys: 5 }),
  ),
})).value;

describe('canonical JSON', () => {
  it('means the value that was written, and the reader takes it as canonical', () => {
    fc.assert(
      fc.property(value, (inner) => {
        const text = canonicalJson({ inner });
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify({ inner })));
        expect(parseCanonical(Buffer.from(text))).toBeDefined();
      }),
      runs,
    );
  });

  it('is taken in one form only', () => {
    fc.assert(
      fc.property(value, fc.nat(), fc.constantFrom(' ', '\n', '0', ',', '"', '\\'), (inner, at, extra) => {
        const text = canonicalJson({ inner });
        const place = at % (text.length + 1);
        const changed = text.slice(0, place) + extra + text.slice(place);
        const read = parseCanonical(Buffer.from(changed));
        // What is still taken says something else, and is the canonical form of that.
        if (read !== undefined) {
          expect(canonicalJson(read)).toBe(changed.toWellFormed());
          expect(changed).not.toBe(text);
        }
      }),
      runs,
    );
  });
});

describe('readers of hostile bytes', () => {
  it('refuse them with a code, a reason or undefined, and never otherwise', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const text = Buffer.from(bytes).toString('latin1');
        expect(codeOf(() => parseCheckpoint(text))).toBe('accounting.bad_checkpoint');
        expect(typeof openedBy(log.key, text)).toBe('string');
        expect(parsePinnedKey(text)).toBeUndefined();
        expect(typeof parseEntry(bytes)).toBe('string');
      }),
      runs,
    );
  });

  it('refuse them behind any part of a true bundle', async () => {
    const bundle = await exportLog(log);
    await fc.assert(
      fc.asyncProperty(fc.nat(bundle.length - 1), fc.uint8Array({ maxLength: 200 }), async (at, bytes) => {
        const spliced = Buffer.concat([bundle.subarray(0, at), bytes, bundle.subarray(at + bytes.length)]);
        fc.pre(!spliced.equals(bundle));
        const verdict = await verifyBundle(inPieces(spliced, 97), { verifierKey: log.key });
        expect([1, 3]).toContain(verdict.exitCode);
        expect(verdict.integrity.detail).toMatch(/^[ -~]+$/);
      }),
      runs,
    );
  });
});
