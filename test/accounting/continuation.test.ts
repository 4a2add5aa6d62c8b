import { describe, expect, it } from 'vitest';
import { consistencyProof, rootAt } from '../../src/accounting/index.ts';
import { isContinuation } from '../../src/accounting/verify/tree.ts';
import { dayDrafts, makeLog } from './log-fixture.ts';

const log = makeLog(dayDrafts(300));
const size = BigInt(log.entries.length);
const at = async (before: bigint): Promise<{ size: bigint; root: Buffer }> => ({
  size: before,
  root: await rootAt(before, size, log.readTile),
});

describe('a continuation', () => {
  it('is shown by the proof of RFC 6962, between any two sizes', async () => {
    const sizes = [0n, 1n, 2n, 3n, 4n, 7n, 8n, 9n, 63n, 64n, 65n, 255n, 256n, 257n, size];
    for (const old of sizes) {
      for (const now of sizes.filter((other) => other >= old)) {
        const [before, after] = [await at(old), await at(now)];
        const proof = await consistencyProof(old, now, log.readTile);
        expect(isContinuation({ before, after, proof }), `${old} to ${now}`).toBe(true);
        if (old === 0n) continue;
        const wrong = { size: old, root: Buffer.alloc(32, 1) };
        expect(isContinuation({ before: wrong, after, proof })).toBe(false);
        expect(isContinuation({ before, after: { size: now, root: Buffer.alloc(32, 1) }, proof })).toBe(
          false,
        );
        expect(isContinuation({ before, after, proof: [...proof, Buffer.alloc(32)] })).toBe(false);
        if (proof.length > 0) {
          expect(isContinuation({ before, after, proof: proof.slice(1) })).toBe(false);
          expect(isContinuation({ before, after, proof: proof.slice(0, -1) })).toBe(false);
          for (const nth of proof.keys()) {
            const bent = proof.with(nth, Buffer.alloc(32, 7));
            expect(isContinuation({ before, after, proof: bent }), `${old} to ${now}, ${nth}`).toBe(false);
          }
        }
      }
    }
  });

  it('never leads to a smaller tree', async () => {
    const [before, after] = [await at(9n), await at(8n)];
    expect(isContinuation({ before, after, proof: [] })).toBe(false);
    expect(isContinuation({ before, after: await at(0n), proof: [] })).toBe(false);
  });

  it('of nothing needs no proof, and takes none', async () => {
    const [before, after] = [await at(0n), await at(9n)];
    expect(isContinuation({ before, after, proof: [] })).toBe(true);
    expect(isContinuation({ before, after, proof: [Buffer.alloc(32)] })).toBe(false);
  });
});
