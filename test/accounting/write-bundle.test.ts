import { describe, expect, it } from 'vitest';
import { type BundleOptions, writeBundle } from '../../src/accounting/index.ts';
import { verifyBundle } from '../../src/accounting/verify/index.ts';
import { isCodedError } from '../../src/kernel/index.ts';
import { dayDrafts, exportLog, inPieces, makeLog } from './log-fixture.ts';

const log = makeLog(dayDrafts(300));
const refusal = async (changes: Partial<BundleOptions>): Promise<string> => {
  try {
    await exportLog(log, changes);
  } catch (error) {
    if (isCodedError(error)) return error.code;
    throw error;
  }
  return 'written';
};

describe('writeBundle', () => {
  it.each([
    [5n, 5n],
    [6n, 5n],
    [-1n, 5n],
    [0n, 301n],
    [300n, 301n],
    [0n, 0n],
  ])('refuses the range [%s, %s)', async (from, to) => {
    expect(await refusal({ from, to })).toBe('accounting.bad_range');
  });

  it('refuses entries that are missing, moved or too many', async () => {
    expect(await refusal({ entries: log.entries.toSpliced(7, 1) })).toBe('accounting.bundle_gap');
    expect(await refusal({ entries: log.entries.slice(0, -1) })).toBe('accounting.bundle_gap');
    expect(await refusal({ entries: log.entries.toReversed() })).toBe('accounting.bundle_gap');
    expect(await refusal({ to: 299n, entries: log.entries })).toBe('accounting.bundle_gap');
    expect(await refusal({ entries: [] })).toBe('accounting.bundle_gap');
  });

  it('refuses openings that cannot be read, and a checkpoint that is none', async () => {
    for (const openings of ['', '[]', '{"src.ip":', 'null']) {
      const entries = log.entries.map((entry) => (entry.index === 9n ? { ...entry, openings } : entry));
      expect(await refusal({ entries }), openings).toBe('accounting.bad_openings');
    }
    expect(await refusal({ checkpoint: 'x' })).toBe('accounting.bad_checkpoint');
  });

  it('exports what a damaged store holds, and the verifier names the entry', async () => {
    const damaged = (index: bigint, bytes: Buffer): Promise<Buffer> =>
      exportLog(log, {
        entries: log.entries.map((entry) => (entry.index === index ? { ...entry, bytes } : entry)),
      });
    for (const bytes of [Buffer.from('no JSON'), Buffer.from('{}'), Buffer.from('a\nb'), Buffer.alloc(0)]) {
      const verdict = await verifyBundle(inPieces(await damaged(123n, bytes)), { verifierKey: log.key });
      expect(verdict).toMatchObject({ integrity: { state: 'failed', index: 123n }, exitCode: 1 });
    }
  });

  it('comes in pieces of bounded size, the same bytes each time', async () => {
    const { checkpoint, entries, readTile, signer } = log;
    const options = { checkpoint, from: 0n, to: 300n, entries, readTile, signer };
    const pieces: Buffer[] = [];
    for await (const piece of writeBundle(options)) pieces.push(piece);
    expect(Math.max(...pieces.map((piece) => piece.length))).toBeLessThan(128 * 1024);
    expect(pieces.length).toBeGreaterThan(1);
    expect(Buffer.concat(pieces)).toEqual(await exportLog(log));
  });
});
