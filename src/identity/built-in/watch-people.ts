import { CodedError } from '../../kernel/index.ts';
import type { DirectoryWatch } from '../watch.ts';
import { readPeopleFile, stampPeopleFile } from './people-file.ts';

/** Tells that the file changed, never what: everybody in it is asked about again from memory, which costs nothing. */
export function watchPeopleFile({
  name,
  file,
}: {
  readonly name: string;
  readonly file: string;
}): DirectoryWatch {
  return {
    method: 'file',
    async look({ cursor }) {
      try {
        const looked = await stampPeopleFile(file);
        if (looked !== undefined && looked === cursor) return { objects: [], cursor };
        // A file that cannot be read now says nothing about anybody.
        const { stamp } = await readPeopleFile(file);
        return {
          objects: [],
          everybody: cursor === undefined ? 'first_look' : 'file_changed',
          cursor: stamp,
        };
      } catch (error) {
        throw new CodedError('identity.directory_unavailable', `The people of “${name}” cannot be read.`, {
          next: 'The readiness page says what is wrong with the file.',
          cause: error,
        });
      }
    },
    close: () => undefined,
  };
}
