import { median } from './measure.ts';

/** Work that runs beside the loop that is watched. Resolves when it is done. */
export type Beside = () => Promise<void>;

/** `busy` turns without a pause, as under load; `resting` sleeps a millisecond between two turns, which is taken off. */
export type Pace = 'busy' | 'resting';

const leastMs = 300;

/**
 * The longest time, in seconds, between two turns of this process's event loop while the work goes on, and for 0.3 seconds at
 * least. Wall time: whoever asks something waits that long, whatever kept the loop, other processes of the machine included.
 */
export async function longestGap(beside: Beside, pace: Pace): Promise<number> {
  const state = { done: false, longestMs: 0 };
  const work = beside().finally(() => {
    state.done = true;
  });
  const restMs = pace === 'busy' ? 0 : 1;
  const end = performance.now() + leastMs;
  let last = performance.now();
  while (!state.done || last < end) {
    await new Promise((resolve) => (pace === 'busy' ? setImmediate(resolve) : setTimeout(resolve, restMs)));
    const now = performance.now();
    state.longestMs = Math.max(state.longestMs, now - last - restMs);
    last = now;
  }
  await work;
  return state.longestMs / 1000;
}

/** Gaps of several rounds, each with the seconds that U took in the same round. */
export interface Gaps {
  readonly gaps: number[];
  readonly units: number[];
}

/** The median of the rounds' longest gaps, in U of the same round. */
export function inUnits({ gaps, units }: Gaps): number {
  return median(gaps.map((gap, round) => gap / (units[round] ?? NaN)));
}
