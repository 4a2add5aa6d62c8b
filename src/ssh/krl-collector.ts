import { krlLimit } from './krl.ts';
import { badSerial, tooLarge } from './krl-errors.ts';
import { halves, lowHalf, normalRuns } from './krl-serials.ts';
import type { SerialRuns } from './krl-serials.ts';

const maxSerial = (1n << 64n) - 1n;

/** How many more runs a whole list may bring, over all its CAs. */
export interface RunBudget {
  runsLeft: number;
}

/**
 * Gathers the serials of one CA from list, range and bitmap subsections, in any order, as runs.
 * @throws CodedError `ssh.krl_bad_serial`, `ssh.krl_too_large` from every method that adds
 */
export class SerialCollector {
  readonly #budget: RunBudget;
  #firsts = new BigUint64Array(16);
  #lasts = new BigUint64Array(16);
  #count = 0;

  constructor(budget: RunBudget) {
    this.#budget = budget;
  }

  /** @param list big-endian serials, 8 bytes each */
  addList(list: Buffer): void {
    const count = list.length / 8;
    const start = this.#reserve(count);
    const bytes = Buffer.from(this.#firsts.buffer, start * 8, count * 8);
    list.copy(bytes);
    if (lowHalf === 0) bytes.swap64();
    const h = halves(this.#firsts.subarray(start, start + count));
    for (let i = 0; i < h.length; i += 2) {
      if (h[i] === 0 && h[i + 1] === 0) throw badSerial('a list names serial 0');
    }
    this.#lasts.set(this.#firsts.subarray(start, start + count), start);
  }

  addRange(first: bigint, last: bigint): void {
    if (first === 0n || last < first)
      throw badSerial(`the range ${first} to ${last} starts at 0 or is upside down`);
    const at = this.#reserve(1);
    this.#firsts[at] = first;
    this.#lasts[at] = last;
  }

  /** @param bitmap big-endian: its lowest bit stands for `offset` */
  addBitmap(offset: bigint, bitmap: Buffer): void {
    const bits = bitmap.length * 8;
    const isSet = (bit: number) =>
      bit < bits && (((bitmap[bitmap.length - 1 - (bit >>> 3)] ?? 0) >>> (bit & 7)) & 1) === 1;
    for (let bit = 0; bit < bits; bit += 1) {
      if (!isSet(bit)) continue;
      const first = offset + BigInt(bit);
      while (isSet(bit + 1)) bit += 1;
      const last = offset + BigInt(bit);
      if (last > maxSerial) throw badSerial('a bitmap runs past 2^64-1');
      this.addRange(first, last);
    }
  }

  /** The set in normal form. The collector must not be used again. */
  finish(): SerialRuns {
    return normalRuns(this.#firsts.slice(0, this.#count), this.#lasts.slice(0, this.#count));
  }

  #reserve(count: number): number {
    this.#budget.runsLeft -= count;
    if (this.#budget.runsLeft < 0) throw tooLarge(`more than ${krlLimit.runs} runs of serials`);
    const start = this.#count;
    this.#count += count;
    if (this.#count > this.#firsts.length) {
      const sizeRuns = Math.max(this.#count, this.#firsts.length * 2);
      this.#firsts = grown(this.#firsts, sizeRuns);
      this.#lasts = grown(this.#lasts, sizeRuns);
    }
    return start;
  }
}

function grown(array: BigUint64Array, length: number): BigUint64Array<ArrayBuffer> {
  const larger = new BigUint64Array(length);
  larger.set(array);
  return larger;
}
