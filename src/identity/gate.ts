import { CodedError } from '../kernel/index.ts';
import type { LoginStanding } from './person.ts';

/** Runs work with a bound on how much runs at once and how much waits; see `createGate`. */
export type Gate = <Result>(work: () => Promise<Result>, standing?: LoginStanding) => Promise<Result>;

export interface GateOptions {
  readonly maxRunning: number;
  /** Places for whoever is trusted, and as many for everybody else. */
  readonly maxWaiting: number;
  /** Of those places, so many at most for one network. */
  readonly maxFromNetwork: number;
}

interface Waiting {
  readonly network: string | undefined;
  readonly start: () => void;
}

/**
 * Two queues, each in order of arrival, served in turn. A password costs a directory much (each scrypt tens of megabytes and a
 * thread, each bind a connection), so a burst of logins must wait, and a flood must be turned away. Strangers, from
 * however many addresses, cannot take the places of people who logged in from where they are before, and those cannot keep
 * strangers out for ever either.
 * The gate throws CodedError `identity.busy` when no place is left for the attempt.
 */
export function createGate({ maxRunning, maxWaiting, maxFromNetwork }: GateOptions): Gate {
  const trusted: Waiting[] = [];
  const strangers: Waiting[] = [];
  let turns = [trusted, strangers];
  let running = 0;

  const next = (): Waiting | undefined => {
    const queue = turns.find(({ length }) => length > 0);
    turns = queue === trusted ? [strangers, trusted] : [trusted, strangers];
    return queue?.shift();
  };
  const wait = (standing: LoginStanding | undefined): Promise<void> => {
    const queue = standing?.trusted === true ? trusted : strangers;
    const network = standing?.network;
    const neighbours = queue.filter((one) => network !== undefined && one.network === network);
    if (queue.length >= maxWaiting || neighbours.length >= maxFromNetwork) {
      throw new CodedError('identity.busy', 'Too many people are logging in at this moment.', {
        next: 'Try again in a few seconds.',
      });
    }
    return new Promise((start) => queue.push({ network, start }));
  };

  return async (work, standing) => {
    // Whoever leaves hands its place over without giving it up, so `running` stays as it is.
    if (running >= maxRunning) await wait(standing);
    else running += 1;
    try {
      return await work();
    } finally {
      const following = next();
      if (following === undefined) running -= 1;
      else following.start();
    }
  };
}
