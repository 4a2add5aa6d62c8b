import { beforeAll, describe, expect, it } from 'vitest';
import { type Verdict, verifyBundle } from '../../src/accounting/verify/index.ts';
import { dayDrafts, exportLog, inPieces, makeLog, newSigner, seeded, type TestLog } from './log-fixture.ts';

/** A bundle cut into lines (with their LFs), each with the entry that it belongs to. */
interface Cut {
  readonly lines: readonly Buffer[];
  /** Index of the entry that a line is part of or, for a tile line, comes first below it; undefined outside of the body. */
  readonly owners: readonly (bigint | undefined)[];
}

function cut(bundle: Buffer): Cut {
  const lines: Buffer[] = [];
  for (let at = 0; at < bundle.length;) {
    const end = bundle.indexOf(0x0a, at) + 1;
    lines.push(bundle.subarray(at, end));
    at = end;
  }
  const texts = lines.map((line) => line.toString('latin1'));
  const edgeStart = texts.findIndex((text) => text.startsWith('tile '));
  const bodyStart = edgeStart + partialTiles(BigInt(texts[2]?.trim() ?? 0));
  const endStart = texts.findIndex((text) => text.startsWith('sallyport-bundle-end'));
  let owner: bigint | undefined;
  const owners = texts.map((text, nth) => {
    if (nth < bodyStart || nth >= endStart) return undefined;
    if (text.startsWith('tile '))
      return texts
        .slice(nth)
        .map(entryIndex)
        .find((index) => index !== undefined);
    owner = entryIndex(text) ?? owner;
    return owner;
  });
  return { lines, owners };
}

function entryIndex(text: string): bigint | undefined {
  const [, digits] = /^entry (\d+)\n$/.exec(text) ?? [];
  return digits === undefined ? undefined : BigInt(digits);
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
  /** Entries of which one must be named; undefined where the fault lies outside of the body. */
  readonly where: readonly (bigint | undefined)[];
}

type Below = (limit: number) => number;

const mutators: readonly ((cut: Cut, below: Below, foreign: Cut) => Mutation)[] = [
  function changeByte({ lines, owners }, below) {
    const nth = below(lines.length);
    const line = Buffer.from(lines[nth] ?? '');
    const at = below(line.length);
    line[at] = (line[at] ?? 0) ^ (1 + below(255));
    return { name: 'change a byte', bytes: Buffer.concat(lines.with(nth, line)), where: [owners[nth]] };
  },
  function deleteByte({ lines, owners }, below) {
    const nth = below(lines.length);
    const line = lines[nth] ?? Buffer.alloc(0);
    const at = below(line.length);
    const shorter = Buffer.concat([line.subarray(0, at), line.subarray(at + 1)]);
    return { name: 'delete a byte', bytes: Buffer.concat(lines.with(nth, shorter)), where: [owners[nth]] };
  },
  function insertByte({ lines, owners }, below) {
    const nth = below(lines.length);
    const line = lines[nth] ?? Buffer.alloc(0);
    const at = below(line.length);
    const longer = Buffer.concat([line.subarray(0, at), Buffer.of(below(256)), line.subarray(at)]);
    // A line break put before a line break is an empty line behind the line: it is the next line's fault.
    return {
      name: 'insert a byte',
      bytes: Buffer.concat(lines.with(nth, longer)),
      where: [owners[nth], owners[nth + 1]],
    };
  },
  function deleteLine({ lines, owners }, below) {
    const nth = below(lines.length);
    return { name: 'delete a line', bytes: Buffer.concat(lines.toSpliced(nth, 1)), where: [owners[nth]] };
  },
  function deleteEntry({ lines, owners }, below) {
    const nth = anEntry({ lines, owners }, below);
    return { name: 'delete an entry', bytes: Buffer.concat(lines.toSpliced(nth, 3)), where: [owners[nth]] };
  },
  function repeatLine({ lines, owners }, below) {
    const nth = below(lines.length);
    const bytes = Buffer.concat(lines.toSpliced(nth, 0, lines[nth] ?? Buffer.alloc(0)));
    return { name: 'repeat a line', bytes, where: [owners[nth], owners[nth + 1]] };
  },
  function repeatEntry({ lines, owners }, below) {
    const nth = anEntry({ lines, owners }, below);
    const bytes = Buffer.concat(lines.toSpliced(nth, 0, ...lines.slice(nth, nth + 3)));
    return { name: 'repeat an entry', bytes, where: [owners[nth + 3]] };
  },
  function swapLines(whole, below) {
    const { lines, owners } = whole;
    for (;;) {
      const [one, other] = [below(lines.length), below(lines.length)].sort((a, b) => a - b) as [
        number,
        number,
      ];
      const [first, second] = [lines[one], lines[other]];
      if (first === undefined || second === undefined || first.equals(second)) continue;
      const bytes = Buffer.concat(lines.with(one, second).with(other, first));
      return { name: 'swap two lines', bytes, where: [owners[one]] };
    }
  },
  function swapEntries(whole, below) {
    const { lines, owners } = whole;
    const drawn = new Set<number>();
    while (drawn.size < 2) drawn.add(anEntry(whole, below));
    const [one = 0, other = 0] = [...drawn].sort((a, b) => a - b);
    const first = lines.slice(one, one + 3);
    const second = lines.slice(other, other + 3);
    const swapped = lines.toSpliced(other, 3, ...first).toSpliced(one, 3, ...second);
    return { name: 'swap two entries', bytes: Buffer.concat(swapped), where: [owners[one]] };
  },
  function truncate({ lines, owners }, below) {
    const nth = below(lines.length);
    const line = lines[nth] ?? Buffer.alloc(0);
    const bytes = Buffer.concat([...lines.slice(0, nth), line.subarray(0, below(line.length))]);
    return { name: 'truncate', bytes, where: [owners[nth]] };
  },
  function append({ lines }, below) {
    const tail = below(2) === 0 ? Buffer.of(below(256)) : (lines[below(lines.length)] ?? Buffer.of(1));
    return { name: 'append', bytes: Buffer.concat([...lines, tail]), where: [undefined] };
  },
  function splice(whole, below, foreign) {
    const nth = anEntry(whole, below);
    const from = foreign.owners.indexOf(whole.owners[nth]);
    const bytes = Buffer.concat(whole.lines.toSpliced(nth, 3, ...foreign.lines.slice(from, from + 3)));
    return { name: 'splice an entry of another log', bytes, where: [whole.owners[nth]] };
  },
  function spliceLine(whole, below, foreign) {
    for (;;) {
      const nth = below(whole.lines.length);
      const line = foreign.lines[nth];
      if (line === undefined || line.equals(whole.lines[nth] ?? line)) continue;
      const bytes = Buffer.concat(whole.lines.with(nth, line));
      return { name: 'splice a line of another log', bytes, where: [whole.owners[nth]] };
    }
  },
];

/** Line number of the first line of a random entry that is not the last one. */
function anEntry({ lines, owners }: Cut, below: Below): number {
  for (;;) {
    const nth = below(lines.length);
    const next = owners[nth + 3];
    if (owners[nth] !== undefined && next !== undefined && next !== owners[nth]) {
      if (lines[nth]?.toString() === `entry ${owners[nth]}\n`) return nth;
    }
  }
}

describe('an exported log', () => {
  let log: TestLog;
  let other: TestLog;
  const judge = (bytes: Buffer): Promise<Verdict> => verifyBundle(inPieces(bytes), { verifierKey: log.key });

  beforeAll(() => {
    log = makeLog(dayDrafts(530));
    other = makeLog(dayDrafts(530), newSigner(), 2);
  });

  it.each([
    { of: 'all', from: 0n, to: 530n, rounds: 600, seed: 11 },
    { of: 'a part', from: 200n, to: 521n, rounds: 400, seed: 12 },
  ])(
    'gives away each of $rounds mutations of $of, and where it is',
    async ({ from, to, rounds, seed }) => {
      const whole = cut(await exportLog(log, { from, to }));
      const foreign = cut(await exportLog(other, { from, to }));
      const original = Buffer.concat(whole.lines);
      expect((await judge(original)).exitCode).toBe(0);
      const below = seeded(seed);
      const seen = new Set<string>();
      let located = 0;
      for (let round = 0; round < rounds; round += 1) {
        const mutation = mutators[round % mutators.length]?.(whole, below, foreign);
        if (mutation === undefined || mutation.bytes.equals(original)) throw new Error('nothing was mutated');
        seen.add(mutation.name);
        const verdict = await judge(mutation.bytes);
        const found = { round, name: mutation.name, ...verdict.integrity };
        expect([1, 3], JSON.stringify(found.detail)).toContain(verdict.exitCode);
        expect(['failed', 'incomplete'], JSON.stringify(found.detail)).toContain(verdict.integrity.state);
        expect(verdict.facts).toBeUndefined();
        expect(found.line).toBeGreaterThan(0);
        expect(mutation.where, `round ${round}, ${mutation.name}: ${found.detail}`).toContain(found.index);
        if (found.index !== undefined) located += 1;
      }
      expect(seen.size).toBe(mutators.length);
      expect(located).toBeGreaterThan(rounds * 0.8);
    },
    300_000,
  );
});
