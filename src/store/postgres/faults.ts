import { CodedError, isCodedError } from '../../kernel/index.ts';

/** What PostgreSQL or the network said, as a fault that a person can act on. Nothing was recorded. */
export function unavailable(error: unknown, what: string): CodedError {
  return new CodedError('store.unavailable', `${what}: ${reasonOf(error)}.`, {
    next: 'Check that the PostgreSQL server runs and can be reached, its disk and its log; nothing was recorded and nothing was released.',
    cause: error,
  });
}

/** The answer to a COMMIT was lost, and the server could not be asked since. */
export function unresolved(error: unknown): CodedError {
  return new CodedError(
    'store.unresolved',
    `The connection to the database was lost while this was being recorded, and the database cannot be asked what became of it: ${reasonOf(error)}.`,
    {
      next: 'Nothing was released. Whether it was recorded shows when the database answers again: look before you repeat it.',
      cause: error,
    },
  );
}

export function damaged(why: string): CodedError {
  return new CodedError(
    'store.damaged',
    `The accounting log in the database does not hold together: ${why}.`,
    {
      next: 'Nothing was written. Find out what became of the database (a restore, a failover to a replica that was behind), and keep it for whoever investigates.',
    },
  );
}

export function conflict(why: string): CodedError {
  return new CodedError('store.conflict', why, {
    next: 'Ask again; if the refusal stays, ask your administrator.',
  });
}

/** Our own words as they are, everything else as `unavailable`. */
export function asCoded(error: unknown, what: string): CodedError {
  return isCodedError(error) ? error : unavailable(error, what);
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown fault';
  // A refused connection to a name with two addresses is an error of errors, without words of its own.
  if (error instanceof AggregateError && error.message === '') return error.errors.map(reasonOf).join('; ');
  return error.message;
}
