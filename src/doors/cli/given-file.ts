import { readSmallFile } from '../client/index.ts';
import { CodedError } from '../../kernel/index.ts';
import { usage } from './report.ts';

/**
 * What is in a file that the command line names. Whatever is wrong with the file, the command line is wrong: exit code 2, with
 * the code of the cause.
 * @param next what to do when there is no such file.
 * @throws CodedError `cli.usage`, `client.cannot_read`, and those of `parse`, all with `givenFile` in their details.
 */
export function readGivenFile<Value>(path: string, next: string, parse: (text: string) => Value): Value {
  return parseGiven(path, () => {
    const text = readSmallFile(path);
    if (text === undefined) throw usage(`There is no file ${path}.`, next);
    return parse(text);
  });
}

/** What `parse` makes of a file that the command line names: what it throws names the file, and ends with exit code 2. */
export function parseGiven<Value>(path: string, parse: () => Value): Value {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    // The one who names two files must learn which of them it is.
    const message = error.message.includes(path) ? error.message : `${path}: ${error.message}`;
    // Of this form by its constructor.
    throw new CodedError(error.code as `${string}.${string}`, message, {
      ...(error.next === undefined ? {} : { next: error.next }),
      details: { ...error.details, givenFile: path },
      cause: error,
    });
  }
}
