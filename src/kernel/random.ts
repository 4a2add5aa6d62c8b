import { randomBytes } from 'node:crypto';

/** Randomness as an argument: returns `sizeBytes` fresh bytes that the caller owns. */
export type RandomBytes = (sizeBytes: number) => Buffer;

export const systemRandom: RandomBytes = (sizeBytes) => randomBytes(sizeBytes);

/**
 * Draws 4 KiB at a time and hands out each byte once: a small draw costs as much as hashing an entry or a tenth of a
 * signature. What is handed out is a view that the caller owns.
 */
export function pooledRandom(random: RandomBytes): RandomBytes {
  let pool = Buffer.alloc(0);
  return (sizeBytes) => {
    if (pool.length < sizeBytes) pool = Buffer.from(random(Math.max(4096, sizeBytes)));
    const fresh = pool.subarray(0, sizeBytes);
    pool = pool.subarray(sizeBytes);
    return fresh;
  };
}
