import { CodedError } from '../../kernel/index.ts';

/** Somebody was quicker, or what a change relies on does not hold any more. */
export function conflict(why: string): CodedError {
  return new CodedError('store.conflict', why, {
    next: 'Ask again; if the refusal stays, ask your administrator.',
  });
}
