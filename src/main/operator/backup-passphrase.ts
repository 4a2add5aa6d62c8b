import type { OperatorIo } from '../../doors/cli/index.ts';
import { CodedError } from '../../kernel/index.ts';
import { readPrivateLine } from '../../keys/index.ts';

/** A new passphrase for something else than a backup. @throws CodedError as `readBackupPassphrase` */
export function readNewPassphrase(what: string, file: string | undefined, io: OperatorIo): Promise<string> {
  return readSecret(`the passphrase of ${what}`, file, io, 'new');
}

/**
 * The passphrase of a backup, from a private file or a person; a new one is asked for twice.
 * @throws CodedError `main.no_passphrase`, `main.passphrases_differ`, `keys.loose_permissions`, `keys.unreadable`, `cli.no_terminal`
 */
export async function readBackupPassphrase(
  file: string | undefined,
  io: OperatorIo,
  use: 'new' | 'known',
): Promise<string> {
  return readSecret('the passphrase of the backup', file, io, use);
}

/** What it is called begins with a small letter: `the passphrase of the backup`. */
export async function readSecret(
  what: string,
  file: string | undefined,
  io: OperatorIo,
  use: 'new' | 'known',
): Promise<string> {
  const passphrase =
    file === undefined
      ? await io.askSecret(what.replace('the p', 'P'))
      : readPrivateLine(file, 'The passphrase file');
  if (passphrase === '') {
    throw new CodedError('main.no_passphrase', `${what.replace('the p', 'The p')} is empty.`, {
      next: 'Put one into the file of --passphrase-file, or type it.',
    });
  }
  if (file === undefined && use === 'new' && (await io.askSecret('The same again')) !== passphrase)
    throw new CodedError('main.passphrases_differ', 'The two passphrases differ.', { next: 'Try again.' });
  return passphrase;
}
