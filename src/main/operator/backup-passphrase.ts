import type { OperatorIo } from '../../doors/cli/index.ts';
import { CodedError } from '../../kernel/index.ts';
import { readPrivateFile } from '../../keys/index.ts';

/**
 * The passphrase of a backup, from a private file or a person; a new one is asked for twice.
 * @throws CodedError `main.no_passphrase`, `main.passphrases_differ`, `keys.loose_permissions`, `keys.unreadable`, `cli.no_terminal`
 */
export async function readBackupPassphrase(
  file: string | undefined,
  io: OperatorIo,
  use: 'new' | 'known',
): Promise<string> {
  const passphrase =
    file === undefined
      ? await io.askSecret('Passphrase of the backup')
      : readPrivateFile(file, 'The passphrase file')
          .toString('utf8')
          .replace(/\r?\n$/, '');
  if (passphrase === '') {
    throw new CodedError('main.no_passphrase', 'The passphrase of the backup is empty.', {
      next: 'Put one into the file of --passphrase-file, or type it.',
    });
  }
  if (file === undefined && use === 'new' && (await io.askSecret('The same again')) !== passphrase)
    throw new CodedError('main.passphrases_differ', 'The two passphrases differ.', { next: 'Try again.' });
  return passphrase;
}
