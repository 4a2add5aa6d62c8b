import { existsSync } from 'node:fs';
import type { CaType, OperatorIo, Outcome } from '../../doors/cli/index.ts';
import { CodedError, systemRandom } from '../../kernel/index.ts';
import { createKeyFile, createSigner, generatePrivateKey } from '../../keys/index.ts';
import { fingerprint, formatPublicKey, publicKeyFromKeyObject } from '../../ssh/index.ts';
import { loadConfig } from '../config.ts';
import { keyFile, openKey } from '../load.ts';
import { readPassphrase } from '../passphrase.ts';

/**
 * Makes the key of the host CA for a broker's folder from before there was one, under the passphrase that the other keys have.
 * @throws CodedError `keys.exists` when it is there already, `keys.…`
 */
export async function initHostCa(
  options: { readonly configFile: string; readonly caType: CaType },
  io: OperatorIo,
): Promise<Outcome> {
  const config = loadConfig(options.configFile);
  const file = keyFile(config.keys.folder, 'ssh-host-ca');
  if (existsSync(file)) {
    throw new CodedError('keys.exists', `There is a key of the host CA at ${file}; nothing was changed.`, {
      next: 'Keep it: another key would be a CA that no client knows.',
    });
  }
  const passphrase = await readPassphrase(config.keys.passphrase, process.env, (question) =>
    io.askSecret(question),
  );
  // One key under another passphrase would keep the broker from starting.
  await openKey(config, 'ssh-user-ca', passphrase);
  io.note('Making the key of the host CA…');
  const privateKey = await generatePrivateKey(options.caType);
  await createKeyFile(file, { privateKey, purpose: 'ssh-host-ca' }, passphrase, systemRandom);
  const key = publicKeyFromKeyObject(createSigner(privateKey).publicKey);
  const hostCaFingerprint = fingerprint(key.blob);
  return {
    value: { file, hostCaFingerprint, publicKey: formatPublicKey(key, 'sallyport-host-ca') },
    lines: [
      `Made the key of the SSH host CA: ${file}  (${hostCaFingerprint})`,
      'Next: back it up with the others; copy it to the other brokers on the same database; start the broker.',
    ],
  };
}
