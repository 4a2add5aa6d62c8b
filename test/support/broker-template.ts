import { createCipheriv, scryptSync } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { cp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemRandom } from '../../src/kernel/index.ts';
import { openKeyFile, type KeyPurpose } from '../../src/keys/index.ts';
import { keyFile } from '../../src/main/load.ts';
import { init } from '../../src/main/operator/init.ts';

/** Where `global-setup.ts` lets the tests of one run share what is dear to make. */
export const sharedFolderVariable = 'SALLYPORT_TEST_SHARED';

let template: Promise<string> | undefined;

/**
 * Copies a broker's folder that the real `init` made, without people. It is made once in a run, whichever test comes first, so
 * the brokers of a run have the same CA and the same name of their logs.
 */
export async function copyOfInit(folder: string): Promise<void> {
  template ??= makeOnce();
  // Not cpSync: that one gives every folder the usual mode, and the broker refuses a key folder that others can read.
  await cp(await template, folder, { recursive: true });
}

async function makeOnce(): Promise<string> {
  const shared = process.env[sharedFolderVariable] ?? ownFolder();
  const made = join(shared, 'broker');
  if (existsSync(made)) return made;
  const making = mkdtempSync(join(shared, 'making-'));
  const quiet = { note: () => undefined, askSecret: async () => '' };
  await init({ folder: making, caType: 'ed25519', dnsNames: [], admin: undefined }, quiet);
  const passphrase = readFileSync(join(making, 'secrets', 'keys.passphrase'), 'utf8').trim();
  for (const purpose of ['ssh-user-ca', 'ssh-host-ca', 'ssh-lists', 'accounting-log', 'tls-ca'] as const)
    await sealCheaply(keyFile(join(making, 'keys'), purpose), purpose, passphrase);
  try {
    renameSync(making, made);
  } catch (error) {
    // Two test files began at the same moment: the first one's is as good.
    if (!existsSync(made)) throw error;
    rmSync(making, { recursive: true });
  }
  return made;
}

/** Outside of a test run (the benchmarks): one for this process. */
function ownFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-template-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** The same key at the least cost that the reader takes: a start opens three, and the real cost is tested with the key files. */
async function sealCheaply(path: string, purpose: KeyPurpose, passphrase: string): Promise<void> {
  const privateKey = await openKeyFile(path, purpose, passphrase);
  const { format, publicKey } = JSON.parse(readFileSync(path, 'utf8')) as Record<string, string>;
  const kdf = { name: 'scrypt', n: 1 << 14, r: 8, p: 1, salt: systemRandom(16).toString('base64') };
  const bound = { format, purpose, publicKey, kdf };
  const secret = scryptSync(passphrase, Buffer.from(kdf.salt, 'base64'), 32, { N: kdf.n, maxmem: 1 << 26 });
  const nonce = systemRandom(12);
  const cipher = createCipheriv('aes-256-gcm', secret, nonce).setAAD(Buffer.from(JSON.stringify(bound)));
  const ciphertext = cipher.update(privateKey.export({ format: 'der', type: 'pkcs8' }));
  cipher.final();
  const sealed = { nonce, tag: cipher.getAuthTag(), ciphertext };
  const inBase64 = Object.entries(sealed).map(([name, bytes]) => [name, bytes.toString('base64')]);
  const envelope = { ...bound, cipher: { name: 'aes-256-gcm', ...Object.fromEntries(inBase64) } };
  writeFileSync(path, JSON.stringify(envelope));
}
