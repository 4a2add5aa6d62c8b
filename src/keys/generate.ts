import { generateKeyPair, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import { CodedError } from '../kernel/index.ts';

/** What a key can be made for. RSA is for hosts and clients too old for anything else. */
export const keyAlgorithms = [
  'ed25519',
  'ecdsa-p256',
  'ecdsa-p384',
  'ecdsa-p521',
  'rsa-2048',
  'rsa-3072',
  'rsa-4096',
] as const;
export type KeyAlgorithm = (typeof keyAlgorithms)[number];

const generate = promisify(generateKeyPair);
const curves = { 'ecdsa-p256': 'P-256', 'ecdsa-p384': 'P-384', 'ecdsa-p521': 'P-521' } as const;

/** A fresh private key, made in the thread pool. */
export async function generatePrivateKey(algorithm: KeyAlgorithm): Promise<KeyObject> {
  switch (algorithm) {
    case 'ed25519':
      return (await generate('ed25519')).privateKey;
    case 'ecdsa-p256':
    case 'ecdsa-p384':
    case 'ecdsa-p521':
      return (await generate('ec', { namedCurve: curves[algorithm] })).privateKey;
    case 'rsa-2048':
      return (await generate('rsa', { modulusLength: 2048 })).privateKey;
    case 'rsa-3072':
      return (await generate('rsa', { modulusLength: 3072 })).privateKey;
    case 'rsa-4096':
      return (await generate('rsa', { modulusLength: 4096 })).privateKey;
    default:
      throw new CodedError(
        'keys.unsupported',
        `There is no key algorithm “${String(algorithm satisfies never)}”.`,
        {
          next: `Use one of ${keyAlgorithms.join(', ')}.`,
        },
      );
  }
}
