import { isCodedError } from '../../src/kernel/index.ts';

/** The code of the CodedError that the work fails with, `accepted` when it does not; any other fault is the test's own. */
export async function codeOf(work: Promise<unknown> | (() => unknown)): Promise<string> {
  try {
    await (typeof work === 'function' ? work() : work);
  } catch (error) {
    if (isCodedError(error)) return error.code;
    throw error;
  }
  return 'accepted';
}

/** The same for work that is done when it returns. */
export function codeOfSync(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (isCodedError(error)) return error.code;
    throw error;
  }
  return 'accepted';
}
