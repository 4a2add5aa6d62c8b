import { describe, expect, test } from 'vitest';
import { serialRuns } from '../../src/ssh/krl-serials.ts';
import type { SerialRuns } from '../../src/ssh/krl-serials.ts';
import { encodeSerials } from '../../src/ssh/krl-sections.ts';
import { seededNumbers, walkSections } from './krl-fixtures.ts';

type Form = 'list' | 'range' | 'bitmap';

interface Open {
  readonly form: Form;
  readonly first: bigint;
  readonly last: bigint;
  readonly serials: bigint;
}

/** Bytes of one finished subsection by PROTOCOL.krl, or Infinity where OpenSSH could not read it. */
function sizeOf({ form, first, last, serials }: Open): number {
  if (form === 'list') return 5 + 8 * Number(serials);
  if (form === 'range') return 5 + 16;
  const width = last - first + 1n;
  return width > 16_384n ? Infinity : 5 + 8 + 4 + Number(width / 8n) + 1;
}

/** The fewest bytes of all ways to give each run a form and to continue or open a subsection: tried one by one. */
function fewestBytes(runs: SerialRuns, at = 0, open?: Open): number {
  const closed = open === undefined ? 0 : sizeOf(open);
  const [first, last] = [runs.firsts[at], runs.lasts[at]];
  if (first === undefined || last === undefined) return closed;
  const serials = last - first + 1n;
  const choices = (['list', 'range', 'bitmap'] as const).map(
    (form) => closed + fewestBytes(runs, at + 1, { form, first, last, serials }),
  );
  if (open !== undefined && open.form !== 'range')
    choices.push(fewestBytes(runs, at + 1, { ...open, last, serials: open.serials + serials }));
  return Math.min(...choices);
}

function randomRuns(random: () => number): SerialRuns {
  const [gapBits, runBits] = [1 + random() * 13, random() * 12];
  const serials: bigint[] = [];
  let next = BigInt(1 + Math.floor(random() * 100));
  for (let run = 1 + Math.floor(random() * 6); run > 0; run -= 1) {
    const length = Math.ceil(2 ** (random() * runBits));
    for (let i = 0; i < length; i += 1) serials.push(next + BigInt(i));
    next += BigInt(length + 1 + Math.floor(2 ** (random() * gapBits)));
  }
  return serialRuns(serials);
}

describe('the size of serials', () => {
  test('is within one byte per bitmap of the best of all ways, for 2,000 small sets', () => {
    const random = seededNumbers(5);
    const formsSeen = new Set<number>();
    for (let round = 0; round < 2000; round += 1) {
      const runs = randomRuns(random);
      const bytes = encodeSerials(runs);
      const sections = walkSections(bytes);
      for (const { type } of sections) formsSeen.add(type);
      const bitmaps = sections.filter(({ type }) => type === 0x22).length;
      const best = fewestBytes(runs);
      expect(bytes.length, `set ${round}: ${[...runs.firsts].join()}`).toBeGreaterThanOrEqual(best);
      expect(bytes.length - best, `set ${round}: ${[...runs.firsts].join()}`).toBeLessThanOrEqual(
        1 + bitmaps,
      );
    }
    expect(formsSeen).toEqual(new Set([0x20, 0x21, 0x22]));
  });

  test.each([
    ['every second of 100,000 odd numbers', 2, 25_329],
    ['one tenth', 10, 127_000],
    ['one hundredth', 100, 770_000],
    ['spread over 2^40', 2 ** 40 / 100_000, 800_113],
  ])('%s takes no more than was found on paper', (_name, step, most) => {
    const random = seededNumbers(6);
    const chosen = new Set<bigint>();
    if (step === 2) for (let i = 0n; i < 100_000n; i += 1n) chosen.add(2n * i + 1n);
    while (chosen.size < 100_000) chosen.add(1n + BigInt(Math.floor(random() * step * 100_000)));
    const bytes = encodeSerials(serialRuns(chosen));
    expect(108 + bytes.length, 'with header, CA key and section').toBeLessThanOrEqual(most);
    expect(bytes.length).toBeLessThanOrEqual(800_005);
  });

  test('a bitmap takes exactly 16,384 bits, and one more starts another', () => {
    const every = (last: number) => serialRuns(Array.from({ length: last / 2 }, (_, i) => BigInt(2 * i + 2)));
    const widths = (runs: SerialRuns) =>
      walkSections(encodeSerials(runs)).map(({ body }) => body.length - 12);
    expect(widths(every(16_384))).toEqual([2048]); // serials 2 to 16,384: 16,383 bits
    expect(widths(serialRuns([...every(16_384).firsts, 16_385n]))).toEqual([2049]); // full, with the sign byte
    expect(walkSections(encodeSerials(every(16_388))).length).toBe(2);
  });
});
