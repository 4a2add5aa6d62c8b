import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  consistencyProof,
  inclusionProof,
  rootAt,
  TileTree,
  tilesOverLeaves,
  type ReadTile,
} from '../../src/accounting/index.ts';
import { isCodedError } from '../../src/kernel/index.ts';

const sha = (prefix: number, ...parts: Buffer[]): Buffer =>
  createHash('sha256')
    .update(Buffer.concat([Buffer.of(prefix), ...parts]))
    .digest();
const leaves = Array.from({ length: 530 }, (_, nth) => sha(0, Buffer.from(String(nth))));
const readTile = tilesOverLeaves((from, count) =>
  Buffer.concat(leaves.slice(Number(from), Number(from) + count)),
);

const known = new Map<string, Buffer>();
/** MTH, PATH and PROOF word for word from RFC 6962 section 2.1, over plain lists. */
function mth(from: number, to: number): Buffer {
  if (to - from === 1) return leaves[from] ?? Buffer.alloc(0);
  const name = `${from} ${to}`;
  const root =
    known.get(name) ?? sha(1, mth(from, from + split(to - from)), mth(from + split(to - from), to));
  known.set(name, root);
  return root;
}
function split(n: number): number {
  let power = 1;
  while (power * 2 < n) power *= 2;
  return power;
}
function path(m: number, from: number, to: number): Buffer[] {
  if (to - from === 1) return [];
  const k = split(to - from);
  return m < k
    ? [...path(m, from, from + k), mth(from + k, to)]
    : [...path(m - k, from + k, to), mth(from, from + k)];
}
function subproof(m: number, from: number, to: number, whole: boolean): Buffer[] {
  if (m === to - from) return whole ? [] : [mth(from, to)];
  const k = split(to - from);
  return m <= k
    ? [...subproof(m, from, from + k, whole), mth(from + k, to)]
    : [...subproof(m - k, from + k, to, false), mth(from, from + k)];
}

const sizes = [1, 2, 3, 4, 5, 7, 8, 100, 255, 256, 257, 300, 511, 512, 513, 530];

describe('proofs', () => {
  it('of inclusion are those of RFC 6962', async () => {
    for (const size of sizes) {
      for (let index = 0; index < size; index += size > 20 ? 13 : 1) {
        const proof = await inclusionProof(BigInt(index), BigInt(size), readTile);
        expect(proof, `${index} in ${size}`).toEqual(path(index, 0, size));
      }
    }
  });

  it('of consistency are those of RFC 6962', async () => {
    for (const size of sizes) {
      for (let before = 1; before <= size; before += size > 20 ? 11 : 1) {
        const proof = await consistencyProof(BigInt(before), BigInt(size), readTile);
        expect(proof, `${before} in ${size}`).toEqual(subproof(before, 0, size, true));
      }
      expect(await consistencyProof(0n, BigInt(size), readTile)).toEqual([]);
    }
  });

  it('over kept tiles are the same, whatever was asked before, and read a full tile once', async () => {
    const reads: string[] = [];
    const counted: ReadTile = async (level, index, width) => {
      reads.push(`${level} ${index} ${width}`);
      return readTile(level, index, width);
    };
    const tree = new TileTree(counted);
    const asked = sizes.flatMap((size) =>
      Array.from({ length: 12 }, (_, nth) => [Math.floor((nth * size) / 12), size] as const),
    );
    // All at once and in no order of size: what one proof keeps must not mislead another.
    for (const round of [asked, asked.toReversed()]) {
      await Promise.all(
        round.map(async ([index, size]) => {
          const proof = await inclusionProof(BigInt(index), BigInt(size), tree);
          expect(proof, `${index} in ${size}`).toEqual(path(index, 0, size));
        }),
      );
    }
    for (const [index, size] of asked) {
      if (index === 0) continue;
      const proof = await consistencyProof(BigInt(index), BigInt(size), tree);
      expect(proof, `${index} in ${size}`).toEqual(subproof(index, 0, size, true));
      expect(await rootAt(BigInt(index), BigInt(size), tree)).toEqual(mth(0, index));
    }
    reads.length = 0;
    await inclusionProof(3n, 530n, tree);
    await inclusionProof(300n, 530n, tree);
    expect(reads.filter((read) => read.endsWith(' 256'))).toEqual([]);
  });

  it('are right when more tiles are asked for than are kept', async () => {
    const tree = new TileTree(readTile, 1);
    for (let index = 0; index < 530; index += 67)
      expect(await inclusionProof(BigInt(index), 530n, tree)).toEqual(path(index, 0, 530));
  });

  it('are refused for what the log has not', async () => {
    const codes = await Promise.all(
      [
        inclusionProof(5n, 5n, readTile),
        inclusionProof(-1n, 5n, readTile),
        consistencyProof(6n, 5n, readTile),
      ].map((proof) =>
        proof.then(
          () => 'given',
          (error: unknown) => (isCodedError(error) ? error.code : 'other'),
        ),
      ),
    );
    expect(codes).toEqual(Array(3).fill('accounting.bad_range'));
  });
});
