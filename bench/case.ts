import type { Row } from './report.ts';

/** What a case may ask of its run. */
export interface BenchContext {
  /** Interleaved rounds, 5 or more. */
  readonly rounds: number;
  /** Smaller inputs, for a first look: rows that would not be fair with them carry no gate. */
  readonly quick: boolean;
  /** A folder of the run's own, removed at its end. */
  readonly folder: string;
  /** Tells the person who waits what is going on. */
  readonly progress: (text: string) => void;
  /** Something that the table must say and no ratio can: what could not be measured here, and why. */
  readonly note: (text: string) => void;
}

/** One thing to measure. A case measures its own limits and peers in the same run, and gives the ratios. */
export interface BenchCase {
  /** What it is asked for by. */
  readonly name: string;
  run(context: BenchContext): Promise<readonly Row[]>;
}
