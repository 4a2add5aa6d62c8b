import { describe, expect, it } from 'vitest';
import { tilesOverLeaves } from '../../src/accounting/index.ts';
import { edgeTiles, tileRoot } from '../../src/accounting/tiles.ts';
import { emptyRoot, leafHash, pushLeaf, rootOf } from '../../src/accounting/tree.ts';
import * as reader from '../../src/accounting/verify/tree.ts';
import { dayDrafts, makeLog } from './log-fixture.ts';

// The leaves and roots that the reference implementation of RFC 6962 tests with
// (google/certificate-transparency, cpp/merkletree/merkle_tree_test.cc).
const leaves = [
  '',
  '00',
  '10',
  '2021',
  '3031',
  '40414243',
  '5051525354555657',
  '606162636465666768696a6b6c6d6e6f',
];
const roots = [
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
];
const emptyHash = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

describe('the tree of RFC 6962', () => {
  it('has the published roots, in the writer and in the reader', () => {
    const frontier: Buffer[] = [];
    const left = new reader.LeftPart();
    expect(emptyRoot().toString('hex')).toBe(emptyHash);
    expect(left.root().toString('hex')).toBe(emptyHash);
    for (const [nth, leaf] of leaves.entries()) {
      const bytes = Buffer.from(leaf, 'hex');
      pushLeaf(frontier, BigInt(nth), leafHash(bytes));
      left.push(reader.leafHash(bytes), 0);
      expect(rootOf(frontier).toString('hex')).toBe(roots[nth]);
      expect(left.root().toString('hex')).toBe(roots[nth]);
    }
  });
});

describe('tiles', () => {
  it.each([
    [0n, []],
    [1n, ['0 0 1']],
    [256n, ['1 0 1']],
    [257n, ['1 0 1', '0 1 1']],
    [70_000n, ['2 0 1', '1 1 17', '0 273 112']],
    [65_536n, ['2 0 1']],
  ])('on the right edge of %s entries', (size, expected) => {
    expect(edgeTiles(size).map(({ level, index, width }) => `${level} ${index} ${width}`)).toEqual(expected);
  });

  it('give the root of the log, level by level', async () => {
    const log = makeLog(dayDrafts(515));
    const level1 = await log.readTile(1, 0n, 2);
    const level0 = await log.readTile(0, 2n, 3);
    expect(level1.subarray(0, 32)).toEqual(tileRoot(await log.readTile(0, 0n, 256)));
    const whole = new reader.LeftPart();
    for (const hash of reader.splitHashes(level1)) whole.push(hash, 1);
    for (const hash of reader.splitHashes(level0)) whole.push(hash, 0);
    expect(whole.root()).toEqual(log.head.root);
  });

  it('of a third level come from the levels below', async () => {
    const leaf = leafHash(Buffer.from('x'));
    const readTile = tilesOverLeaves((_from, count) =>
      Buffer.concat(Array.from({ length: count }, () => leaf)),
    );
    let expected = leaf;
    for (let height = 0; height < 16; height += 1) {
      const left = new reader.LeftPart();
      left.push(expected, 0);
      left.push(expected, 0);
      expected = left.root();
    }
    expect(await readTile(2, 0n, 1)).toEqual(expected);
  });
});
