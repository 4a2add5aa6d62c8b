import { join } from 'node:path';
import type { KeyPurpose } from '../keys/index.ts';

/** The key files of a broker, by what they are for, below `keys.folder`. */
export const keyFiles = {
  'ssh-user-ca': 'ssh-user-ca.key',
  'ssh-lists': 'ssh-lists.key',
  'accounting-log': 'accounting-log.key',
  'tls-ca': 'tls-ca.key',
} as const satisfies Readonly<Record<KeyPurpose, string>>;

export function keyFile(folder: string, purpose: KeyPurpose): string {
  return join(folder, keyFiles[purpose]);
}
