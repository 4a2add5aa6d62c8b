import { CodedError } from '../kernel/index.ts';

/** Remembers one-time names until they could no longer be used anyway. */
export interface ReplayMemory {
  /**
   * Records a name that is usable until `untilSecond` (whole seconds since 1970, inclusive). @returns `used` when it was recorded
   * before, `forgotten` when it may have been: names that were usable as long or longer are forgotten, which happens only when the
   * clock was set forward and back. @throws CodedError `identity.busy` when the memory is full of names that are still usable: forgetting one of them
   * would let it be used twice.
   */
  record(name: string, untilSecond: number, nowMs: number): 'new' | 'used' | 'forgotten';
  readonly size: number;
}

/** Holds up to `capacity` names. Each costs one insertion; whole seconds expire at once. */
export function createReplayMemory(capacity: number): ReplayMemory {
  const seen = new Set<string>();
  const bySecond = new Map<number, string[]>();
  let sweptSecond = Number.NEGATIVE_INFINITY;
  let forgottenSecond = Number.NEGATIVE_INFINITY;

  const sweep = (nowSecond: number): void => {
    for (const [second, names] of bySecond) {
      if (second >= nowSecond) continue;
      for (const name of names) seen.delete(name);
      bySecond.delete(second);
      forgottenSecond = Math.max(forgottenSecond, second);
    }
    sweptSecond = nowSecond;
  };

  return {
    record(name, untilSecond, nowMs) {
      const nowSecond = Math.floor(nowMs / 1000);
      if (nowSecond !== sweptSecond) sweep(nowSecond);
      if (seen.has(name)) return 'used';
      if (untilSecond <= forgottenSecond) return 'forgotten';
      if (seen.size >= capacity) {
        throw new CodedError(
          'identity.busy',
          'The broker has too many requests to remember at this moment.',
          {
            next: 'Try again in a minute.',
          },
        );
      }
      seen.add(name);
      const names = bySecond.get(untilSecond);
      if (names === undefined) bySecond.set(untilSecond, [name]);
      else names.push(name);
      return 'new';
    },
    get size() {
      return seen.size;
    },
  };
}
