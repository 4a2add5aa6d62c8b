import { median } from './measure.ts';

/** Work that runs beside the loop that is watched. Resolves when it is done. */
export type Beside = () => Promise<void>;

/** The longest time between two turns of this process's event loop, in seconds. */
export interface Gap {
  /** What somebody who asks something waits, whatever kept the loop: other processes and threads of the machine too. */
  readonly wall: number;
  /** CPU of the loop's own thread within one turn: what the loop did itself. */
  readonly own: number;
}

/** Watches the loop while the work goes on, and for at least `leastMs`. */
export async function longestGap(beside: Beside, leastMs: number): Promise<Gap> {
  const longest = { wall: 0, own: 0 };
  const state = { done: false };
  const work = beside().finally(() => {
    state.done = true;
  });
  const end = performance.now() + leastMs;
  let last = { wall: performance.now(), own: ownCpuMs() };
  while (!state.done || last.wall < end) {
    await new Promise((resolve) => setImmediate(resolve));
    const now = { wall: performance.now(), own: ownCpuMs() };
    longest.wall = Math.max(longest.wall, now.wall - last.wall);
    longest.own = Math.max(longest.own, now.own - last.own);
    last = now;
  }
  await work;
  return { wall: longest.wall / 1000, own: longest.own / 1000 };
}

function ownCpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

/** Gaps of several rounds, each with the seconds that U took in the same round. */
export interface Gaps {
  readonly gaps: Gap[];
  readonly units: number[];
}

/** The median of the rounds' longest gaps, in U of the same round. */
export function inUnits({ gaps, units }: Gaps, by: keyof Gap = 'wall'): number {
  return median(gaps.map((gap, round) => gap[by] / (units[round] ?? NaN)));
}
