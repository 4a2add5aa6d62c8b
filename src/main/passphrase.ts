import { CodedError } from '../kernel/index.ts';
import { readPrivateLine } from '../keys/index.ts';
import type { Config } from './config.ts';

/**
 * The passphrase of the key files from where the configuration says: a private file, an environment variable, or a person.
 * @throws CodedError `main.no_passphrase`, `keys.loose_permissions`, `keys.unreadable`, and what `ask` throws
 */
export async function readPassphrase(
  source: Config['keys']['passphrase'],
  environment: Readonly<Record<string, string | undefined>>,
  ask: (question: string) => Promise<string>,
): Promise<string> {
  if ('file' in source) {
    const passphrase = readPrivateLine(source.file, 'The passphrase file');
    if (passphrase !== '') return passphrase;
    throw missing(`the file ${source.file} is empty`);
  }
  if ('environment' in source) {
    const passphrase = environment[source.environment];
    if (passphrase !== undefined && passphrase !== '') return passphrase;
    throw missing(`the environment variable ${source.environment} is not set`);
  }
  return ask('Passphrase of the CA keys: ');
}

function missing(why: string): CodedError {
  return new CodedError('main.no_passphrase', `There is no passphrase for the CA keys: ${why}.`, {
    next: 'Provide it there, or change keys.passphrase in the configuration.',
  });
}
