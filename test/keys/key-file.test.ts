import type { KeyObject } from 'node:crypto';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { CodedError, systemRandom } from '../../src/kernel/index.ts';
import { createKeyFile, generatePrivateKey, keyAlgorithms, openKeyFile } from '../../src/keys/index.ts';
import { codeOf, passphrase, temporaryFolder } from './fixtures.ts';

const folder = temporaryFolder();
const der = (key: KeyObject): string => key.export({ format: 'der', type: 'pkcs8' }).toString('hex');
const open = (path: string, secret = passphrase): Promise<string> =>
  codeOf(() => openKeyFile(path, 'ssh-user-ca', secret));

interface FileContent {
  format: string;
  purpose: string;
  publicKey: string;
  kdf: Record<string, unknown>;
  cipher: Record<string, unknown>;
}

let made = 0;
/** A copy of the sealed key with one change in it. */
function changed(change: (content: FileContent) => void): string {
  const content = JSON.parse(readFileSync(sealed, 'utf8')) as FileContent;
  change(content);
  return written(JSON.stringify(content));
}

function written(content: string | Buffer): string {
  made += 1;
  const path = join(folder, `changed-${made}.key`);
  writeFileSync(path, content, { mode: 0o600 });
  return path;
}

const sealed = join(folder, 'sealed.key');
let privateKey: KeyObject;
beforeAll(async () => {
  privateKey = await generatePrivateKey('ed25519');
  await createKeyFile(sealed, { privateKey, purpose: 'ssh-user-ca' }, passphrase, systemRandom);
});

describe('a key file', () => {
  it.each(keyAlgorithms)('gives back the %s key that was put in', async (algorithm) => {
    const key = await generatePrivateKey(algorithm);
    const path = join(folder, `${algorithm}.key`);
    await createKeyFile(path, { privateKey: key, purpose: 'ssh-user-ca' }, passphrase, systemRandom);
    const opened = await openKeyFile(path, 'ssh-user-ca', passphrase);
    expect([opened.type, der(opened)]).toEqual(['private', der(key)]);
  });

  it('is mode 0600, holds no clear key, and says what it is for', () => {
    expect(statSync(sealed).mode & 0o777).toBe(0o600);
    const text = readFileSync(sealed, 'utf8');
    const raw = privateKey.export({ format: 'jwk' }).d ?? '';
    expect(text).not.toContain(Buffer.from(raw, 'base64url').toString('base64').slice(0, 20));
    expect(text).not.toContain(passphrase);
    expect(JSON.parse(text)).toMatchObject({ format: 'sallyport-key@1', purpose: 'ssh-user-ca' });
    expect(readdirSync(folder).filter((name) => name.endsWith('.new'))).toEqual([]);
  });

  it('is different each time, also for the same key and passphrase', async () => {
    const again = join(folder, 'again.key');
    await createKeyFile(again, { privateKey, purpose: 'ssh-user-ca' }, passphrase, systemRandom);
    const [one, two] = [sealed, again].map((path) => JSON.parse(readFileSync(path, 'utf8')) as FileContent);
    for (const field of ['nonce', 'ciphertext', 'tag'])
      expect(one?.cipher[field]).not.toBe(two?.cipher[field]);
    expect(one?.kdf['salt']).not.toBe(two?.kdf['salt']);
  });

  it('opens for its passphrase only, however that is typed in Unicode', async () => {
    const path = join(folder, 'unicode.key');
    const typed = 'pässphräse-und-mehr';
    await createKeyFile(path, { privateKey, purpose: 'ssh-user-ca' }, typed.normalize('NFD'), systemRandom);
    expect(await open(path, typed.normalize('NFC'))).toBe('done');
    for (const wrong of ['', 'wrong', `${typed} `, typed.toUpperCase(), typed.slice(1)])
      expect(await open(path, wrong)).toBe('keys.wrong_passphrase');
  });

  it('opens for its purpose only, and no edit of the file changes that', async () => {
    for (const purpose of ['ssh-lists', 'accounting-log', 'tls-ca'] as const) {
      expect(await codeOf(() => openKeyFile(sealed, purpose, passphrase))).toBe('keys.wrong_purpose');
      const edited = changed((content) => (content.purpose = purpose));
      expect(await codeOf(() => openKeyFile(edited, purpose, passphrase))).toBe('keys.wrong_passphrase');
    }
  });

  it('is refused at every other length', async () => {
    const bytes = readFileSync(sealed);
    for (let size = 0; size < bytes.length - 1; size += 7)
      expect(await open(written(bytes.subarray(0, size)))).toBe('keys.malformed');
    expect(await open(written(Buffer.concat([bytes, Buffer.from('x')])))).toBe('keys.malformed');
    expect(await open(written(Buffer.concat([bytes, bytes])))).toBe('keys.malformed');
  });

  const edits: [string, (content: FileContent) => void][] = [
    ['another format', (content) => (content.format = 'sallyport-key@2')],
    ['an unknown purpose', (content) => (content.purpose = '\u001b[31mred')],
    ['no public key', (content) => (content.publicKey = '!')],
    ['another derivation', (content) => (content.kdf['name'] = 'pbkdf2')],
    ['a short salt', (content) => (content.kdf['salt'] = 'AAAA')],
    ['scrypt below its floor', (content) => (content.kdf['n'] = 1 << 13)],
    ['scrypt above its ceiling', (content) => (content.kdf['n'] = 1 << 21)],
    ['scrypt with n = 0', (content) => (content.kdf['n'] = 0)],
    ['scrypt with a negative n', (content) => (content.kdf['n'] = -65_536)],
    ['scrypt with an odd n', (content) => (content.kdf['n'] = 65_537)],
    ['scrypt with n as text', (content) => (content.kdf['n'] = '65536')],
    ['scrypt with n as a list', (content) => (content.kdf['n'] = [65_536])],
    ['scrypt with another r', (content) => (content.kdf['r'] = 9)],
    ['scrypt with another p', (content) => (content.kdf['p'] = 1000)],
    ['another cipher', (content) => (content.cipher['name'] = 'aes-256-ctr')],
    ['a short nonce', (content) => (content.cipher['nonce'] = 'AAAA')],
    ['a short tag', (content) => (content.cipher['tag'] = 'AAAA')],
    ['a tag of 12 bytes', (content) => (content.cipher['tag'] = 'A'.repeat(16))],
    ['no ciphertext', (content) => delete content.cipher['ciphertext']],
    ['base64 that ends in stray bits', (content) => (content.cipher['tag'] = `${'A'.repeat(21)}B==`)],
  ];
  it.each(edits)('with %s is malformed', async (_what, edit) => {
    expect(await open(changed(edit))).toBe('keys.malformed');
  });

  it('is refused when a weaker derivation was written into it', async () => {
    expect(await open(changed((content) => (content.kdf['n'] = 1 << 14)))).toBe('keys.wrong_passphrase');
  });

  it('over 64 KiB is not read', async () => {
    expect(await open(written('x'.repeat(64 * 1024 + 1)))).toBe('keys.unreadable');
  });

  it('is never overwritten, and a refused attempt leaves nothing', async () => {
    const before = readFileSync(sealed);
    const other = await generatePrivateKey('ed25519');
    const attempt = (): Promise<string> =>
      codeOf(() =>
        createKeyFile(sealed, { privateKey: other, purpose: 'ssh-user-ca' }, passphrase, systemRandom),
      );
    expect([await attempt(), await attempt()]).toEqual(['keys.exists', 'keys.exists']);
    expect(readFileSync(sealed).equals(before)).toBe(true);
    expect(readdirSync(folder).filter((name) => name.endsWith('.new'))).toEqual([]);
  });

  it.each(['', 'short', 'x'.repeat(11)])('is not made with the passphrase “%s”', async (weak) => {
    const path = join(folder, 'weak.key');
    const attempt = codeOf(() =>
      createKeyFile(path, { privateKey, purpose: 'ssh-user-ca' }, weak, systemRandom),
    );
    expect(await attempt).toBe('keys.weak_passphrase');
    expect(readdirSync(folder)).not.toContain('weak.key');
  });

  it('says neither passphrase nor content when it does not open', async () => {
    const secret = 'canary-of-the-passphrase';
    for (const path of [sealed, written('{"canary-of-the-content"')]) {
      const error = await openKeyFile(path, 'ssh-user-ca', secret).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(CodedError);
      expect(JSON.stringify([error, String(error)])).not.toMatch(/canary/);
    }
  });
});
