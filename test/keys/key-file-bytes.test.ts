import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, vi } from 'vitest';
import { systemRandom } from '../../src/kernel/index.ts';
import { createKeyFile, generatePrivateKey, openKeyFile } from '../../src/keys/index.ts';
import { codeOf, passphrase, temporaryFolder } from './fixtures.ts';

// The derivation alone is made cheap, so that every byte can be tried with the right passphrase. It takes in all that scrypt does.
vi.mock('node:crypto', async (original) => {
  const crypto = await original<typeof import('node:crypto')>();
  type Done = (error: Error | null, key: Buffer) => void;
  const scrypt = (secret: string, salt: Buffer, size: number, options: object, done: Done): void =>
    done(null, Buffer.from(crypto.hkdfSync('sha256', secret, salt, JSON.stringify(options), size)));
  return { ...crypto, scrypt };
});

it('a key file is refused after a change of any one byte', async () => {
  const folder = temporaryFolder();
  const path = join(folder, 'sealed.key');
  const privateKey = await generatePrivateKey('ed25519');
  await createKeyFile(path, { privateKey, purpose: 'ssh-user-ca' }, passphrase, systemRandom);
  const bytes = readFileSync(path);
  const open = (): Promise<string> => codeOf(() => openKeyFile(path, 'ssh-user-ca', passphrase));
  expect(await open()).toBe('done');

  const found: Record<string, number> = {};
  // All but the line break at the end, which says nothing.
  for (let at = 0; at < bytes.length - 1; at += 1) {
    for (const mask of [0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80]) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ mask;
      writeFileSync(path, changed);
      const code = await open();
      expect(code, `byte ${at} of ${changed.toString('latin1')}`).toMatch(
        /^keys\.(malformed|wrong_passphrase)$/,
      );
      found[code] = (found[code] ?? 0) + 1;
    }
  }
  // Both guards did their part: the form, and the authentication of what has the right form.
  expect(found['keys.malformed']).toBeGreaterThan(1000);
  expect(found['keys.wrong_passphrase']).toBeGreaterThan(500);
});
