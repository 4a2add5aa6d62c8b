import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { generateKeyPairSync } from 'node:crypto';
import { assembleKrl, ListWorker, type RevokedSet } from '../../src/revocation/index.ts';
import { publicKeyFromKeyObject } from '../../src/ssh/index.ts';

const caKey = publicKeyFromKeyObject(generateKeyPairSync('ed25519').publicKey).blob;
const nowMs = Date.UTC(2026, 10, 24);
/** Every third serial, the largest first: the order is not the worker's business. */
const long: RevokedSet = {
  caKey,
  serials: BigUint64Array.from({ length: 30_000 }, (_, nth) => BigInt(3 * (30_000 - nth))),
  keyIds: ['sp-1'],
  keyFingerprints: [`SHA256:${'A'.repeat(43)}`],
};

let worker: ListWorker;
beforeEach(() => {
  worker = new ListWorker();
});
afterEach(() => worker.close());

describe('a long list', () => {
  it('is the same from the thread as from here', async () => {
    const list = await worker.assemble(long, 7n, nowMs);
    expect(list).toEqual(assembleKrl(long, 7n, nowMs));
    expect(await worker.isIntact({ ...list, version: 7n }, [caKey])).toBe(true);
    const changed = Buffer.from(list.bytes);
    changed[1000] = (changed[1000] ?? 0) ^ 1;
    expect(await worker.isIntact({ ...list, bytes: changed, version: 7n }, [caKey])).toBe(false);
    expect(await worker.isIntact({ ...list, version: 8n }, [caKey])).toBe(false);
  });

  it('leaves the event loop to others while it is made', async () => {
    let turns = 0;
    const counting = setInterval(() => (turns += 1), 0);
    await worker.assemble(long, 1n, nowMs);
    clearInterval(counting);
    // Made here, it would be none.
    expect(turns).toBeGreaterThan(3);
  });

  it('comes although the thread dies', async () => {
    const [first, second] = [worker.assemble(long, 1n, nowMs), worker.assemble(long, 2n, nowMs)];
    await worker.close();
    expect(await first).toEqual(assembleKrl(long, 1n, nowMs));
    expect(await second).toEqual(assembleKrl(long, 2n, nowMs));
    expect(await worker.assemble(long, 3n, nowMs)).toEqual(assembleKrl(long, 3n, nowMs));
  });

  it('that does not read back is refused with its code', async () => {
    const twice = { ...long, keyFingerprints: ['SHA256:short'] };
    await expect(worker.assemble(twice, 1n, nowMs)).rejects.toMatchObject({
      code: expect.stringMatching(/^(?:ssh|revocation)\./) as string,
    });
  });
});
