import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemRandom } from '../../src/kernel/index.ts';
import {
  SshWriter,
  formatOpensshPrivateKey,
  parseOpensshPrivateKey,
  parsePublicKey,
  publicKeyFromKeyObject,
} from '../../src/ssh/index.ts';
import { describeWithPeers } from '../support/peers.ts';
import { allAlgorithms, codeOf, softwareToken, testCa } from './fixtures.ts';

const magic = Buffer.from('openssh-key-v1\0');

function armoured(bytes: Uint8Array): string {
  const base64 = Buffer.from(bytes).toString('base64').replaceAll(/.{70}/g, '$&\n').trimEnd();
  return `-----BEGIN OPENSSH PRIVATE KEY-----\n${base64}\n-----END OPENSSH PRIVATE KEY-----\n`;
}

const key = testCa('ed25519');
const seed = Buffer.from(String(key.privateKey.export({ format: 'jwk' }).d), 'base64url');
const point = key.publicKey.blob.subarray(-32);

interface Parts {
  readonly cipher?: string;
  readonly kdf?: string;
  readonly kdfOptions?: Buffer;
  readonly count?: number;
  readonly head?: Buffer;
  readonly checks?: readonly [number, number];
  readonly type?: string;
  readonly point?: Buffer;
  readonly secret?: Buffer;
  readonly padding?: Buffer;
  readonly behind?: Buffer;
}

/** An Ed25519 key file with some of its parts exchanged. */
function crafted(parts: Parts): string {
  const [first, second] = parts.checks ?? [7, 7];
  const section = new SshWriter()
    .uint32(first)
    .uint32(second)
    .string(parts.type ?? 'ssh-ed25519');
  section.string(parts.point ?? point).string(parts.secret ?? Buffer.concat([seed, point]));
  section.string('comment!');
  if (parts.padding === undefined) for (let pad = 1; section.length % 8 !== 0; pad += 1) section.byte(pad);
  else section.raw(parts.padding);
  const file = new SshWriter()
    .raw(magic)
    .string(parts.cipher ?? 'none')
    .string(parts.kdf ?? 'none');
  file
    .string(parts.kdfOptions ?? '')
    .uint32(parts.count ?? 1)
    .string(parts.head ?? key.publicKey.blob);
  return armoured(
    file
      .string(section.finish())
      .raw(parts.behind ?? Buffer.alloc(0))
      .finish(),
  );
}

describe('a private key file', () => {
  it.each(allAlgorithms)('of %s reads back as the same key', (algorithm) => {
    const { privateKey } = testCa(algorithm);
    const read = parseOpensshPrivateKey(formatOpensshPrivateKey(privateKey, 'alice at work', systemRandom));
    expect(read.equals(privateKey)).toBe(true);
  });

  it('with nothing exchanged reads back, so that the refusals below mean something', () => {
    expect(parseOpensshPrivateKey(crafted({})).equals(key.privateKey)).toBe(true);
  });

  const other = testCa('ed25519').publicKey.blob;
  const otherPoint = other.subarray(-32);
  it.each<[string, Parts, string]>([
    [
      'has a passphrase',
      { cipher: 'aes256-ctr', kdf: 'bcrypt', kdfOptions: Buffer.alloc(24) },
      'ssh.encrypted_key',
    ],
    ['has a cipher without a derivation', { cipher: 'aes256-ctr' }, 'ssh.encrypted_key'],
    ['has options of a derivation without one', { kdfOptions: Buffer.alloc(1) }, 'ssh.encrypted_key'],
    ['holds two keys', { count: 2 }, 'ssh.malformed'],
    ['holds no key', { count: 0 }, 'ssh.malformed'],
    ['has check numbers that differ', { checks: [7, 8] }, 'ssh.malformed'],
    ['has another public half in its head', { head: other }, 'ssh.invalid_key'],
    ['has another public half beside the secret', { point: otherPoint }, 'ssh.invalid_key'],
    [
      'has another public half within the secret',
      { secret: Buffer.concat([seed, otherPoint]) },
      'ssh.invalid_key',
    ],
    [
      'has a secret that does not belong to any of them',
      { secret: Buffer.concat([Buffer.alloc(32, 1), point]) },
      'ssh.invalid_key',
    ],
    ['has a secret that is cut', { secret: seed }, 'ssh.invalid_key'],
    ['names another type beside the secret', { type: 'ssh-rsa' }, 'ssh.invalid_key'],
    ['has a head that is cut', { head: key.publicKey.blob.subarray(0, -1) }, 'ssh.malformed'],
    [
      'has the key of a token in its head',
      { head: softwareToken('ed25519').publicKey.blob },
      'ssh.invalid_key',
    ],
    ['is padded with zeros', { padding: Buffer.alloc(4) }, 'ssh.malformed'],
    ['is padded with a block too much', { padding: Buffer.from([1, 2, 3, 4, 5, 6, 7, 8]) }, 'ssh.malformed'],
    ['has trailing bytes', { behind: Buffer.alloc(1) }, 'ssh.malformed'],
  ])('that %s is refused', (_title, parts, code) => {
    expect(codeOf(() => parseOpensshPrivateKey(crafted(parts)))).toBe(code);
  });

  it.each(['ecdsa-p256', 'rsa-sha2-256'] as const)(
    'of %s whose halves are those of two keys is refused',
    (algorithm) => {
      const [mine, theirs] = [testCa(algorithm), testCa(algorithm)];
      const text = formatOpensshPrivateKey(mine.privateKey, '', systemRandom);
      const bytes = Buffer.from(text.replaceAll(/-----[^-]+-----|\n/g, ''), 'base64');
      // The public half stands in the head, and again beside the secret: exchange both wherever they are.
      for (const half of [
        mine.publicKey.blob,
        mine.publicKey.blob.subarray(4 + mine.publicKey.type.length),
      ]) {
        const replacement = theirs.publicKey.blob.subarray(theirs.publicKey.blob.length - half.length);
        for (let at = bytes.indexOf(half); at !== -1; at = bytes.indexOf(half)) replacement.copy(bytes, at);
      }
      if (algorithm === 'rsa-sha2-256') {
        // RSA lists n before e beside the secret, see `writePrivateFields`.
        const [n, m] = [mine, theirs].map(({ publicKey }) => publicKey.blob.subarray(-257));
        if (n !== undefined)
          for (let at = bytes.indexOf(n); at !== -1; at = bytes.indexOf(n)) m?.copy(bytes, at);
      }
      expect(codeOf(() => parseOpensshPrivateKey(armoured(bytes)))).toBe('ssh.invalid_key');
    },
  );

  it.each([
    ['empty', ''],
    ['a public key', 'ssh-ed25519 AAAA comment'],
    ['PEM of another kind', '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n'],
    ['without its end', crafted({}).slice(0, -10)],
    ['of base64 that is damaged', crafted({}).replace(/=*\n-----END/, 'A=A\n-----END')],
    ['of another magic', armoured(Buffer.from('openssh-key-v2\0'))],
    ['followed by something', `${crafted({})}more`],
    ['far too long', armoured(Buffer.alloc(40_000))],
  ])('that is %s is none', (_title, text) => {
    expect(codeOf(() => parseOpensshPrivateKey(text))).toBe('ssh.unreadable_key');
  });
});

describeWithPeers(['ssh-keygen'], 'ssh-keygen and we agree on private key files', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'sallyport-private-key-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const make = (name: string, passphrase: string, ...kind: readonly string[]): string => {
    const path = join(folder, name);
    const made = spawnSync('ssh-keygen', ['-q', '-N', passphrase, '-C', 'müller@host', '-f', path, ...kind]);
    expect(made.status, made.stderr.toString()).toBe(0);
    return path;
  };

  it.each([
    ['-t', 'ed25519'],
    ['-t', 'ecdsa', '-b', '256'],
    ['-t', 'ecdsa', '-b', '384'],
    ['-t', 'ecdsa', '-b', '521'],
    ['-t', 'rsa', '-b', '2048'],
    ['-t', 'rsa', '-b', '3072'],
  ])('%s %s %s %s', (...kind) => {
    const path = make(kind.join(''), '', ...kind);
    const read = parseOpensshPrivateKey(readFileSync(path, 'utf8'));
    const publicKey = parsePublicKey(readFileSync(`${path}.pub`, 'utf8'));
    expect(publicKeyFromKeyObject(read).blob).toEqual(publicKey.blob);
  });

  it('one with a passphrase is told from one that is damaged', () => {
    const path = make('locked', 'a passphrase', '-t', 'ed25519');
    expect(codeOf(() => parseOpensshPrivateKey(readFileSync(path, 'utf8')))).toBe('ssh.encrypted_key');
  });
});
