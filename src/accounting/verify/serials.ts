/**
 * Serials seen, as runs: memory grows with the holes, not with the serials. Both ends of a run are included. A run keeps the time
 * it began with when it grows at either end; where two runs meet, the earlier one counts.
 */
export class SerialRuns {
  readonly #runs: { first: bigint; last: bigint; sinceMs: number }[] = [];

  /** Number of runs; one when the serials are dense. */
  get count(): number {
    return this.#runs.length;
  }

  has(serial: bigint): boolean {
    const run = this.#runs[this.#place(serial) - 1];
    return run !== undefined && serial <= run.last;
  }

  /** Adds first..last, seen at `atMs`. @returns false, and adds nothing, when any of them was there before. */
  add(first: bigint, last: bigint, atMs: number): boolean {
    const place = this.#place(first);
    const before = this.#runs[place - 1];
    const after = this.#runs[place];
    if ((before !== undefined && first <= before.last) || (after !== undefined && after.first <= last))
      return false;
    const joinsBefore = before?.last === first - 1n;
    const joinsAfter = after?.first === last + 1n;
    if (joinsBefore && joinsAfter) {
      before.last = after.last;
      before.sinceMs = Math.min(before.sinceMs, after.sinceMs);
      this.#runs.splice(place, 1);
    } else if (joinsBefore) before.last = last;
    else if (joinsAfter) after.first = first;
    else this.#runs.splice(place, 0, { first, last, sinceMs: atMs });
    return true;
  }

  /**
   * The smallest serial from `from` on that is missing although a larger one was seen by `beforeMs`. A hole younger than that may
   * still be filled: requests that ran side by side commit in any order.
   */
  firstHole(beforeMs: number, from = 1n): bigint | undefined {
    let expected = from;
    for (const { first, last, sinceMs } of this.#runs) {
      if (first > expected && sinceMs <= beforeMs) return expected;
      expected = last + 1n;
    }
    return undefined;
  }

  /** How many runs start at or before this serial. */
  #place(serial: bigint): number {
    let low = 0;
    let high = this.#runs.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#runs[middle]?.first ?? serial) <= serial) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
