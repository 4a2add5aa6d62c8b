import { endianness } from 'node:os';
import { badSerial } from './krl-errors.ts';

/**
 * A set of serials as inclusive runs `firsts[i]` to `lasts[i]`. In normal form the runs ascend, and at least one free
 * serial lies between neighbours. A run may span 2^64-1 serials: it is never expanded.
 */
export interface SerialRuns {
  readonly firsts: BigUint64Array;
  readonly lasts: BigUint64Array;
}

const maxSerial = (1n << 64n) - 1n;
// The halves of a 64-bit element seen through a Uint32Array: arithmetic on bigints would cost ten times as much.
export const lowHalf = endianness() === 'LE' ? 0 : 1;
export const highHalf = 1 - lowHalf;
const highUnit = 2 ** 32;

/** The same memory as 32-bit halves: element `i` has them at `2 * i + lowHalf` and `2 * i + highHalf`. */
export function halves(serials: BigUint64Array): Uint32Array {
  return new Uint32Array(serials.buffer, serials.byteOffset, serials.length * 2);
}

/** `a[i] - b[j]`: exact below 2^53, of the right sign and size above. */
export function difference(a: Uint32Array, i: number, b: Uint32Array, j: number): number {
  const high = (a[2 * i + highHalf] ?? 0) - (b[2 * j + highHalf] ?? 0);
  return high * highUnit + ((a[2 * i + lowHalf] ?? 0) - (b[2 * j + lowHalf] ?? 0));
}

/**
 * The runs of single serials, given in any order, also more than once.
 * @throws CodedError `ssh.krl_bad_serial` for 0 and for what does not fit 64 bits.
 */
export function serialRuns(serials: Iterable<bigint>): SerialRuns {
  if (serials instanceof BigUint64Array) return normalRuns(serials, serials);
  const list = [...serials];
  for (const serial of list) {
    if (serial < 1n || serial > maxSerial) throw badSerial(`${serial} is not a serial that can be revoked`);
  }
  const array = BigUint64Array.from(list);
  return normalRuns(array, array);
}

/**
 * Normal form of the runs `firsts[i]` to `lasts[i]`, which may overlap and come in any order. The arrays are not changed;
 * the answer may share them.
 * @throws CodedError `ssh.krl_bad_serial` for serial 0 and for a run that ends before it starts.
 */
export function normalRuns(firsts: BigUint64Array, lasts: BigUint64Array): SerialRuns {
  if (firsts.length !== lasts.length) throw badSerial('there are runs without an end');
  if (firsts !== lasts) checkUpright(firsts, lasts);
  const [starts, ends] = sorted(firsts, lasts);
  if (starts[0] === 0n) throw badSerial('OpenSSH cannot revoke serial 0 by serial');
  // Sorted apart, the k-th start and the k-th end need not belong together. Yet the union breaks after the k-th end exactly
  // where the next start lies beyond it: as many runs have ended there as have begun.
  const [s, e] = [halves(starts), halves(ends)];
  const count = starts.length;
  let runs = Math.min(count, 1);
  for (let k = 1; k < count; k += 1) if (difference(s, k, e, k - 1) > 1) runs += 1;
  if (runs === count) return { firsts: starts, lasts: ends };
  const merged = { firsts: new BigUint64Array(runs), lasts: new BigUint64Array(runs) };
  const [f, l] = [halves(merged.firsts), halves(merged.lasts)];
  let run = 0;
  for (let k = 0; k < count; k += 1) {
    if (k === 0 || difference(s, k, e, k - 1) > 1) {
      f[2 * run] = s[2 * k] ?? 0;
      f[2 * run + 1] = s[2 * k + 1] ?? 0;
      run += 1;
    }
    l[2 * run - 2] = e[2 * k] ?? 0;
    l[2 * run - 1] = e[2 * k + 1] ?? 0;
  }
  return merged;
}

function checkUpright(firsts: BigUint64Array, lasts: BigUint64Array): void {
  const [a, b] = [halves(firsts), halves(lasts)];
  for (let i = 0; i < firsts.length; i += 1)
    if (difference(b, i, a, i) < 0) throw badSerial(`the run ${firsts[i]} to ${lasts[i]} is upside down`);
}

/** Each array in ascending order: itself where it is so already, else a sorted copy. */
function sorted(firsts: BigUint64Array, lasts: BigUint64Array): [BigUint64Array, BigUint64Array] {
  const starts = ascending(firsts);
  return [starts, firsts === lasts ? starts : ascending(lasts)];
}

/** Whether a set in normal form holds the serial, by binary search. */
export function containsSerial(runs: SerialRuns, serial: bigint): boolean {
  let low = 0;
  let high = runs.firsts.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((runs.firsts[middle] ?? 0n) <= serial) low = middle + 1;
    else high = middle;
  }
  return low > 0 && serial <= (runs.lasts[low - 1] ?? 0n);
}

function ascending(serials: BigUint64Array): BigUint64Array {
  const h = halves(serials);
  for (let i = 1; i < serials.length; i += 1) {
    if (difference(h, i, h, i - 1) < 0) return serials.slice().sort();
  }
  return serials;
}
