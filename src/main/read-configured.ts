import { CodedError, isCodedError } from '../kernel/index.ts';
import { readTrustedFile } from '../keys/index.ts';

/**
 * A file that the configuration names and that others must not be able to change.
 * @param field what names it, for the next step. @throws CodedError `main.unreadable_config`, `keys.loose_permissions`
 */
export function readConfigured(path: string, what: string, field: string): Buffer {
  try {
    return readTrustedFile(path, what);
  } catch (error) {
    if (!isCodedError(error, 'keys.unreadable')) throw error;
    throw new CodedError('main.unreadable_config', error.message, {
      next: `Check ${field}.`,
      cause: error,
    });
  }
}
