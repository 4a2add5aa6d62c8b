import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatUtc, parseRfc3339, toRfc3339 } from '../../src/kernel/index.ts';

describe('a moment in words', () => {
  it.each([
    ['2026-11-23T16:20:05.999Z', '2026-11-23 16:20:05 UTC'],
    ['1970-01-01T00:00:00.000Z', '1970-01-01 00:00:00 UTC'],
    ['9999-12-31T23:59:59.000Z', '9999-12-31 23:59:59 UTC'],
  ])('%s for a machine is %s for people', (machine, people) => {
    const timeMs = Date.parse(machine);
    expect(toRfc3339(timeMs)).toBe(machine);
    expect(formatUtc(timeMs)).toBe(people);
    // The form for people is not one that anything of ours reads back.
    expect(parseRfc3339(people)).toBeUndefined();
  });

  it('is the same for a machine as ECMAScript writes it, whichever moments came before', () => {
    const moment = fc.oneof(
      fc.integer({ min: -5000, max: 200_000 }),
      fc.integer({ min: -8.64e15, max: 8.64e15 }),
    );
    fc.assert(
      fc.property(moment, (timeMs) => {
        expect(toRfc3339(timeMs)).toBe(new Date(timeMs).toISOString());
      }),
      {
        numRuns: 2000,
      },
    );
    expect(() => toRfc3339(Number.NaN)).toThrow(RangeError);
  });
});
