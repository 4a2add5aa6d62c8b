import { describe, expect, it } from 'vitest';
import { type Finding, verifyBundle } from '../../src/accounting/verify/index.ts';
import { dayDraft, dayDrafts, exportLog, inPieces, makeLog, seeded } from './log-fixture.ts';

/** A bundle cut into lines (with their LFs), each with the entry that it belongs to. */
interface Cut {
  readonly lines: readonly Buffer[];
  /** Index of the entry that a line is part of or, for a tile line, comes first below it; undefined outside of the body. */
  readonly owners: readonly (bigint | undefined)[];
  /** Positions of the lines in the file that are outside of the body. */
  readonly frame: readonly number[];
}

function splitLines(bytes: Buffer): Buffer[] {
  const lines: Buffer[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = bytes.indexOf(0x0a, at) + 1 || bytes.length;
    lines.push(bytes.subarray(at, end));
    at = end;
  }
  return lines;
}

function cut(bundle: Buffer): Cut {
  const lines = splitLines(bundle);
  const texts = lines.map((line) => line.toString('latin1'));
  const edgeStart = texts.findIndex((text) => text.startsWith('tile '));
  const bodyStart = edgeStart + partialTiles(BigInt(texts[2]?.trim() ?? 0));
  const endStart = texts.findIndex((text) => text.startsWith('sallyport-bundle-end'));
  const owners: (bigint | undefined)[] = texts.map(() => undefined);
  let owner: bigint | undefined;
  // From behind, so that a tile belongs to the entry that follows it.
  for (let nth = endStart - 1; nth >= bodyStart; nth -= 1) {
    if (!texts[nth]?.startsWith('tile ')) owner = entryIndex(texts.slice(Math.max(nth - 2, 0), nth + 1));
    owners[nth] = owner;
  }
  return { lines, owners, frame: [...owners.keys()].filter((nth) => owners[nth] === undefined) };
}

/** Index in the newest of these lines that names an entry. */
function entryIndex(texts: readonly string[]): bigint | undefined {
  const named = texts.findLast((text) => /^entry \d+\n$/.test(text));
  return named === undefined ? undefined : BigInt(named.slice(6));
}

/** How many tiles of the right edge hold something. */
function partialTiles(size: bigint): number {
  let count = 0;
  for (let rest = size; rest > 0n; rest /= 256n) if (rest % 256n > 0n) count += 1;
  return count;
}

interface Mutation {
  readonly name: string;
  readonly bytes: Buffer;
  /** Position of the line that was mutated, the first one where there are several. */
  readonly nth: number;
}

type Below = (limit: number) => number;

/** A byte anywhere: of a random line, so that short ones are hit as often as long ones, or of the whole file. */
function anyByte({ lines }: Cut, below: Below): { nth: number; at: number } {
  if (below(2) === 0) {
    const nth = below(lines.length);
    return { nth, at: below(lines[nth]?.length ?? 0) };
  }
  let at = below(lines.reduce((sum, line) => sum + line.length, 0));
  const nth = lines.findIndex((line) => {
    if (at < line.length) return true;
    at -= line.length;
    return false;
  });
  return { nth, at };
}

/** Position of the first line of a random entry. */
function anEntry({ lines, owners }: Cut, below: Below): number {
  for (;;) {
    const nth = below(lines.length);
    if (owners[nth] !== undefined && lines[nth]?.toString() === `entry ${owners[nth]}\n`) return nth;
  }
}

/** Two different numbers, the smaller one first. */
function pair(draw: () => number): readonly [number, number] {
  for (;;) {
    const [one, other] = [draw(), draw()];
    if (one !== other) return [Math.min(one, other), Math.max(one, other)];
  }
}

function replaceByte(lines: readonly Buffer[], nth: number, at: number, by: readonly number[]): Buffer {
  const line = lines[nth] ?? Buffer.alloc(0);
  return Buffer.concat(
    lines.with(nth, Buffer.concat([line.subarray(0, at), Buffer.from(by), line.subarray(at + 1)])),
  );
}

function changeByte(whole: Cut, below: Below): Mutation {
  const { nth, at } = anyByte(whole, below);
  const byte = whole.lines[nth]?.[at] ?? 0;
  return { name: 'change a byte', bytes: replaceByte(whole.lines, nth, at, [byte ^ (1 + below(255))]), nth };
}

function deleteByte({ lines }: Cut, nth: number, at: number): Mutation {
  // The line end before an empty line and the empty line itself: deleting either leaves the same bytes, without the empty line.
  const emptied = lines[nth]?.[at] === 0x0a && lines[nth + 1]?.length === 1;
  return { name: 'delete a byte', bytes: replaceByte(lines, nth, at, []), nth: emptied ? nth + 1 : nth };
}

function deletion(whole: Cut, below: Below): Mutation {
  const { lines } = whole;
  switch (below(3)) {
    case 0: {
      const { nth, at } = anyByte(whole, below);
      return deleteByte(whole, nth, at);
    }
    case 1: {
      const nth = below(lines.length);
      return { name: 'delete a line', bytes: Buffer.concat(lines.toSpliced(nth, 1)), nth };
    }
    default: {
      const nth = anEntry(whole, below);
      return { name: 'delete an entry', bytes: Buffer.concat(lines.toSpliced(nth, 3)), nth };
    }
  }
}

function swap(whole: Cut, below: Below): Mutation {
  const { lines } = whole;
  switch (below(3)) {
    case 0: {
      const { nth, at } = anyByte(whole, below);
      const bytes = Buffer.concat(lines);
      const place = lines.slice(0, nth).reduce((sum, line) => sum + line.length, at);
      bytes.subarray(place, place + 2).reverse();
      return { name: 'swap two bytes', bytes, nth };
    }
    case 1: {
      const [one, other] = pair(() => below(lines.length));
      const [first = Buffer.alloc(0), second = Buffer.alloc(0)] = [lines[one], lines[other]];
      const bytes = Buffer.concat(lines.with(one, second).with(other, first));
      return { name: 'swap two lines', bytes, nth: one };
    }
    default: {
      const [one, other] = pair(() => anEntry(whole, below));
      const [first, second] = [lines.slice(one, one + 3), lines.slice(other, other + 3)];
      const swapped = lines.toSpliced(other, 3, ...first).toSpliced(one, 3, ...second);
      return { name: 'swap two entries', bytes: Buffer.concat(swapped), nth: one };
    }
  }
}

function truncation(whole: Cut, below: Below): Mutation {
  const { nth, at } = anyByte(whole, below);
  const kept = [...whole.lines.slice(0, nth), whole.lines[nth]?.subarray(0, at) ?? Buffer.alloc(0)];
  return { name: 'truncate', bytes: Buffer.concat(kept), nth };
}

const kinds = [changeByte, deletion, swap, truncation] as const;

/** Number of the first line, from 1, that is not as it was. */
function firstDifference(before: readonly Buffer[], after: readonly Buffer[]): number {
  const nth = before.findIndex((line, at) => after[at]?.equals(line) !== true);
  return 1 + (nth < 0 ? before.length : nth);
}

describe('an exported log', () => {
  const judge = async (
    bytes: Buffer,
    verifierKey: string,
  ): Promise<Finding & { readonly exitCode: number }> => {
    const { integrity, exitCode, facts } = await verifyBundle(inPieces(bytes), { verifierKey });
    expect(facts === undefined).toBe(integrity.state !== 'verified');
    return { ...integrity, exitCode };
  };
  /** Asserts that a mutation is found, and where it is. */
  const expectFound = async (whole: Cut, { name, bytes, nth }: Mutation, key: string): Promise<void> => {
    const found = await judge(bytes, key);
    const told = `${name} in line ${nth + 1}: ${found.detail}`;
    expect([1, 3], told).toContain(found.exitCode);
    expect(found.exitCode, told).toBe(found.state === 'incomplete' ? 3 : 1);
    expect(firstDifference(whole.lines, splitLines(bytes)), told).toBe(nth + 1);
    expect(found.line, told).toBe(nth + 1);
    expect(found.index, told).toBe(whole.owners[nth]);
  };

  it.each([
    { of: 'a long log', count: 530, from: 0n, to: 530n, each: 40, seed: 11 },
    { of: 'a part of it', count: 530, from: 200n, to: 521n, each: 40, seed: 12 },
    { of: 'a short log', count: 40, from: 0n, to: 40n, each: 200, seed: 13 },
  ])(
    'gives away $each changed bytes, deletions, swaps and truncations each of $of, and their lines',
    async ({ count, from, to, each, seed }) => {
      const log = makeLog(dayDrafts(count));
      const whole = cut(await exportLog(log, { from, to }));
      const original = Buffer.concat(whole.lines);
      expect(await judge(original, log.key)).toMatchObject({ state: 'verified' });
      const below = seeded(seed);
      const seen = new Set<string>();
      for (const kind of kinds) {
        for (let made = 0; made < each;) {
          const mutation = kind(whole, below);
          // Two equal lines or bytes that changed places changed nothing.
          if (mutation.bytes.equals(original)) continue;
          await expectFound(whole, mutation, log.key);
          seen.add(mutation.name);
          made += 1;
        }
      }
      expect(seen.size).toBe(8);
    },
    300_000,
  );

  it('gives away each byte of its header, checkpoint, right edge and end', async () => {
    // Two partial tiles, and as little of everything as there can be.
    const small = makeLog(dayDrafts(257).map(({ timeMs }) => ({ ...dayDraft(0), timeMs })));
    const whole = cut(await exportLog(small));
    expect(whole.frame).toHaveLength(11);
    for (const nth of whole.frame) {
      for (const [at, byte] of (whole.lines[nth] ?? Buffer.alloc(0)).entries()) {
        for (const other of [byte ^ 1, 0x0a, 0x39]) {
          if (other === byte) continue;
          const bytes = replaceByte(whole.lines, nth, at, [other]);
          await expectFound(whole, { name: `${other} for byte ${at}`, bytes, nth }, small.key);
        }
        await expectFound(whole, deleteByte(whole, nth, at), small.key);
      }
    }
  }, 300_000);
});
