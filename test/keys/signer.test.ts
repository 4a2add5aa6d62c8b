import { createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createSigner, generatePrivateKey, keyAlgorithms } from '../../src/keys/index.ts';
import { codeOf } from './fixtures.ts';

const expected = {
  ed25519: { algorithm: 'ed25519', hash: null, sizeBytes: 64 },
  'ecdsa-p256': { algorithm: 'ecdsa-p256', hash: 'sha256', sizeBytes: 64 },
  'ecdsa-p384': { algorithm: 'ecdsa-p384', hash: 'sha384', sizeBytes: 96 },
  'ecdsa-p521': { algorithm: 'ecdsa-p521', hash: 'sha512', sizeBytes: 132 },
  'rsa-2048': { algorithm: 'rsa-sha2-512', hash: 'sha512', sizeBytes: 256 },
  'rsa-3072': { algorithm: 'rsa-sha2-512', hash: 'sha512', sizeBytes: 384 },
  'rsa-4096': { algorithm: 'rsa-sha2-512', hash: 'sha512', sizeBytes: 512 },
} as const;

describe('a signer', () => {
  it.each(keyAlgorithms)('of %s makes raw signatures that node verifies', async (kind) => {
    const { algorithm, hash, sizeBytes } = expected[kind];
    const privateKey = await generatePrivateKey(kind);
    const signer = createSigner(privateKey);
    expect(signer.algorithm).toBe(algorithm);
    expect(signer.publicKey.type).toBe('public');
    for (const message of [Buffer.alloc(0), Buffer.from('message'), Buffer.alloc(100_000, 7)]) {
      const signature = await signer.sign(message);
      expect(signature).toHaveLength(sizeBytes);
      const key = { key: createPublicKey(privateKey), dsaEncoding: 'ieee-p1363' } as const;
      expect(verify(hash, message, key, signature)).toBe(true);
      expect(verify(hash, Buffer.concat([message, Buffer.of(1)]), key, signature)).toBe(false);
    }
  });

  it('of Ed25519 and ECDSA answers at once, of RSA from the thread pool', async () => {
    for (const kind of keyAlgorithms) {
      const signature = createSigner(await generatePrivateKey(kind)).sign(Buffer.from('x'));
      expect([kind, Buffer.isBuffer(signature)]).toEqual([kind, !kind.startsWith('rsa')]);
      await signature;
    }
  });

  it('of RSA signs with PKCS#1 v1.5, as SSH wants it', async () => {
    const privateKey = await generatePrivateKey('rsa-3072');
    const signature = await createSigner(privateKey).sign(Buffer.from('x'));
    expect(signature.equals(sign('sha512', Buffer.from('x'), privateKey))).toBe(true);
  });

  it.each<[string, () => Parameters<typeof createSigner>[0]]>([
    ['RSA of 1024 bits', () => generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey],
    ['RSA of 2040 bits', () => generateKeyPairSync('rsa', { modulusLength: 2040 }).privateKey],
    ['RSA-PSS', () => generateKeyPairSync('rsa-pss', { modulusLength: 2048 }).privateKey],
    ['Ed448', () => generateKeyPairSync('ed448').privateKey],
    ['X25519', () => generateKeyPairSync('x25519').privateKey],
    ['X448', () => generateKeyPairSync('x448').privateKey],
    ['secp256k1', () => generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).privateKey],
    ['brainpool', () => generateKeyPairSync('ec', { namedCurve: 'brainpoolP256r1' }).privateKey],
    ['DSA', () => generateKeyPairSync('dsa', { modulusLength: 2048, divisorLength: 256 }).privateKey],
  ])('is never made of %s', async (_what, key) => {
    expect(await codeOf(() => createSigner(key()))).toBe('keys.unsupported');
  });

  it('is made of RSA from 2048 bits on', async () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    expect(await codeOf(() => createSigner(privateKey))).toBe('done');
  });
});
