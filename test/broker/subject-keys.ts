import { createPublicKey, randomBytes } from 'node:crypto';
import { fingerprint, formatPublicKey, publicKeyFromKeyObject, type PublicKey } from '../../src/ssh/index.ts';
import { softwareToken, testCa } from '../ssh/fixtures.ts';

/** A modulus like any other: nobody needs its factors. */
function rsaKey(bits: number): PublicKey {
  const modulus = randomBytes(bits / 8);
  modulus.writeUInt8(modulus.readUInt8(0) | 0x80, 0);
  modulus.writeUInt8(modulus.readUInt8(modulus.length - 1) | 1, modulus.length - 1);
  const jwk = { kty: 'RSA', n: modulus.toString('base64url'), e: 'AQAB' };
  return publicKeyFromKeyObject(createPublicKey({ key: jwk, format: 'jwk' }));
}

const makeKey: Readonly<Record<string, (bits: number) => PublicKey>> = {
  'ssh-ed25519': () => testCa('ed25519').publicKey,
  'ecdsa-sha2-nistp256': () => testCa('ecdsa-p256').publicKey,
  'sk-ssh-ed25519@openssh.com': () => softwareToken('ed25519').publicKey,
  'ssh-rsa': (bits) => rsaKey(Math.max(bits, 2048)),
};

export interface Subject {
  readonly text: string;
  /** Missing where no key can be read from the text. */
  readonly key?: PublicKey;
  readonly fingerprint: string;
}

/** The nth key of such a type and size, the same whenever it is asked for. */
export function createSubjects(): (type: string, bits: number, nth: number) => Subject {
  const known = new Map<string, Subject>();
  return (type, bits, nth) => {
    const name = `${type} ${type === 'ssh-rsa' ? bits : ''} ${nth}`;
    const make = makeKey[type];
    let subject = known.get(name);
    if (subject === undefined) {
      const key = make?.(bits);
      subject =
        key === undefined
          ? { text: `${type} AAAAB3NzaC1kc3M= ${nth}`, fingerprint: '' }
          : { text: formatPublicKey(key, name), key, fingerprint: fingerprint(key.blob) };
      known.set(name, subject);
    }
    return subject;
  };
}
