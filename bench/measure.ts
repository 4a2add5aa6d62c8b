import { readFileSync } from 'node:fs';

/** What one unit of work cost: seconds of CPU (this process with its threads and ended children) and of wall time. */
export interface Sample {
  readonly cpu: number;
  readonly wall: number;
}

/** One way to do a piece of work. */
export interface Contender {
  /** Makes ready what the next run needs; costs nothing. */
  prepare?(): void | Promise<void>;
  /** Does some of the work and says how many units it did. */
  run(): number | Promise<number>;
  /** Whose CPU time counts, where it is another process that works: seconds since any fixed point. */
  cpuSeconds?(): number;
}

/** Linux counts the CPU time of other processes in hundredths of a second, whatever the kernel's own tick is (USER_HZ). */
const ticksPerSecond = 100;

/** CPU seconds of a process, from /proc; `children` adds those of its children that have ended and were waited for. */
export function processCpuSeconds(pid: number | 'self', children: 'with children' | 'alone'): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  // The command name in brackets may hold anything: the numbers begin behind it, with field 3 of proc(5).
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = (field: number): number => Number(fields[field - 3]);
  const own = ticks(14) + ticks(15);
  return (children === 'alone' ? own : own + ticks(16) + ticks(17)) / ticksPerSecond;
}

/** Memory of a process in MB: what it holds now, or the most that it ever held. NaN when it is gone. */
export function memoryMb(pid: number, which: 'VmRSS' | 'VmHWM'): number {
  try {
    const [, kib] =
      new RegExp(`^${which}:\\s+(\\d+) kB`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
    return Number(kib) / 1024;
  } catch {
    // It ended a moment ago.
    return NaN;
  }
}

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  const own = (user + system) / 1e6;
  if (process.platform !== 'linux') return own;
  return own + processCpuSeconds('self', 'with children') - processCpuSeconds('self', 'alone');
}

/** Measures one run. */
export async function measure(contender: Contender): Promise<Sample> {
  await contender.prepare?.();
  const cpuNow = (): number => contender.cpuSeconds?.() ?? cpuSeconds();
  const [wallStart, cpuStart] = [performance.now(), cpuNow()];
  const units = await contender.run();
  const [cpu, wall] = [cpuNow() - cpuStart, (performance.now() - wallStart) / 1000];
  return { cpu: cpu / units, wall: wall / units };
}

/**
 * Runs the contenders in turn, round after round, so that whatever else the machine does falls on all of them alike. One
 * round before these, not counted, warms up.
 */
export async function race<Name extends string>(
  rounds: number,
  contenders: Readonly<Record<Name, Contender>>,
): Promise<Record<Name, Sample[]>> {
  const names = Object.keys(contenders) as Name[];
  const empty: [Name, Sample[]][] = names.map((name) => [name, []]);
  const samples = Object.fromEntries(empty) as Record<Name, Sample[]>;
  for (let round = 0; round <= rounds; round += 1) {
    for (const name of names) {
      const sample = await measure(contenders[name]);
      if (round > 0) samples[name].push(sample);
    }
  }
  return samples;
}

/** How many times faster `ours` is than `theirs`: the median of the rounds' own ratios. */
export function speedRatio(
  ours: readonly Sample[],
  theirs: readonly Sample[],
  by: keyof Sample = 'cpu',
): number {
  return median(ours.map((sample, round) => (theirs[round]?.[by] ?? NaN) / sample[by]));
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const high = sorted[middle] ?? NaN;
  return sorted.length % 2 === 1 ? high : ((sorted[middle - 1] ?? NaN) + high) / 2;
}

/** A contender that repeats one unit of work for about this long. The clock is read once for every `batch` units. */
export function repeated(milliseconds: number, batch: number, unit: () => void): Contender {
  return {
    run() {
      const end = performance.now() + milliseconds;
      let units = 0;
      do {
        for (let i = 0; i < batch; i += 1) unit();
        units += batch;
      } while (performance.now() < end);
      return units;
    },
  };
}

/** Like `repeated`, for work that is waited for: one unit after another. */
export function repeatedAsync(milliseconds: number, unit: () => Promise<unknown>): Contender {
  return {
    async run() {
      const end = performance.now() + milliseconds;
      let units = 0;
      do {
        for (let i = 0; i < 16; i += 1) await unit();
        units += 16;
      } while (performance.now() < end);
      return units;
    },
  };
}

/** The limit measured just before and just after a contender, in the same round. */
export function around(before: readonly Sample[], after: readonly Sample[]): Sample[] {
  return before.map((sample, round) => {
    const next = after[round] ?? sample;
    return { cpu: (sample.cpu + next.cpu) / 2, wall: (sample.wall + next.wall) / 2 };
  });
}

/** How many units a second: of CPU, or of the wall clock. */
export function rate(of: readonly Sample[], by: keyof Sample = 'cpu'): string {
  return `${Math.round(median(of.map((sample) => 1 / sample[by])))}/s`;
}
