import { CodedError } from '../kernel/index.ts';

/** What was erased is committed; only the files could not be rid of it. */
export function notScrubbed(why: string, cause?: unknown): CodedError {
  return new CodedError(
    'store.not_scrubbed',
    `What was to be erased is erased, and its bytes are still in the files of the database: ${why}.`,
    {
      next: 'A broker with `log.retention` tries again with every hour and every start. After `audit erase`, say it again with the id of the person once nobody else reads the database.',
      ...(cause === undefined ? {} : { cause }),
    },
  );
}
