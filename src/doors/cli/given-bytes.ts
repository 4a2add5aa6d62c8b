import { readFileSync, statSync } from 'node:fs';
import { CodedError } from '../../kernel/index.ts';
import { fileFault } from '../client/index.ts';
import { usage } from './report.ts';

/**
 * What is in a file that the command line names and that may be larger than `readGivenFile` takes, or is no text.
 * @throws CodedError `cli.usage` for one that is too large, `client.cannot_read`; both with `givenFile`, so that they end with code 2
 */
export function readGivenBytes(path: string, maxBytes: number): Buffer {
  try {
    const { size } = statSync(path);
    if (size > maxBytes)
      throw usage(`${path} is too large: ${size} bytes.`, `It may have ${maxBytes} bytes.`);
    return readFileSync(path);
  } catch (error) {
    if (error instanceof CodedError) throw error;
    const fault = fileFault('client.cannot_read', 'read', path, error);
    throw new CodedError('client.cannot_read', fault.message, {
      ...(fault.next === undefined ? {} : { next: fault.next }),
      details: { ...fault.details, givenFile: path },
      cause: error,
    });
  }
}
