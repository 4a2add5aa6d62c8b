import { sha256, type Clock } from '../kernel/index.ts';
import type { UsedProofs } from './dpop.ts';
import { createReplayMemory } from './replay-memory.ts';

/** Remembers what a machine may say only once. */
export interface Nonces {
  /**
   * Uses up what `owner` called `nonce`, which was made at `madeMs` and is refused after `untilMs` anyway. @returns `used` when any
   * broker has met it, `forgotten` when that may be. @throws CodedError `identity.busy`, `store.…`
   */
  use(
    owner: string,
    nonce: string,
    times: { readonly madeMs: number; readonly untilMs: number },
  ): Promise<'new' | 'used' | 'forgotten'>;
}

/** Told apart from the proofs of people in the memory that brokers share: those are 0 and 1. */
const kind = Buffer.of(2);

export function createNonces(options: {
  readonly clock: Clock;
  /** Where several brokers remember together. Without it only this process does. */
  readonly shared?: UsedProofs | undefined;
}): Nonces {
  const { clock, shared } = options;
  const memory = createReplayMemory(1_000_000);
  return {
    async use(owner, nonce, { madeMs, untilMs }) {
      const name = sha256(`${owner} ${nonce}`).subarray(0, 16);
      const untilSecond = Math.ceil(untilMs / 1000);
      const here = memory.record(name.toString('latin1'), untilSecond, clock.nowMs());
      if (here !== 'new' || shared === undefined) return here;
      const madeSecond = Math.floor(madeMs / 1000);
      return shared.recordProof({ name: Buffer.concat([kind, name]), madeSecond, untilSecond });
    },
  };
}
