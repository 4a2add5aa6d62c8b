import type { DecisionStep, PolicyRefusal } from './grant.ts';

/** One part that refuses: the step for explain and the refusal for the person. */
export interface RefusedPart extends PolicyRefusal {
  readonly part: string;
  readonly line?: number;
}

/** Collects the steps of a decision, and the refusals of the profile being tried. */
export class Attempt {
  readonly steps: DecisionStep[] = [];
  #refusals: PolicyRefusal[] = [];

  /** Refusals of the profile being tried. */
  get refusalCount(): number {
    return this.#refusals.length;
  }

  refuse({ part, line, code, message, forLog }: RefusedPart): void {
    this.#refusals.push(forLog === undefined ? { code, message } : { code, message, forLog });
    const step = { part, outcome: 'refused', because: message } as const;
    this.steps.push(line === undefined ? step : { ...step, line });
  }

  skip(part: string, because: string, line: number): void {
    this.steps.push({ part, outcome: 'skipped', because, line });
  }

  give(part: string, because: string, line: number): void {
    this.steps.push({ part, outcome: 'given', because, line });
  }

  /** The refusals so far; the next profile starts without them. */
  takeRefusals(): readonly PolicyRefusal[] {
    const refusals = this.#refusals;
    this.#refusals = [];
    return refusals;
  }
}
