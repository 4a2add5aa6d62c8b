import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  scrypt,
  type KeyObject,
  type ScryptOptions,
} from 'node:crypto';
import { CodedError, decodeBase64, type RandomBytes } from '../kernel/index.ts';
import { createPrivateFile, readPrivateFile } from './private-file.ts';

const purposes = [
  'ssh-user-ca',
  'ssh-host-ca',
  'ssh-lists',
  'accounting-log',
  'tls-ca',
  'x509-root',
  'x509-issuing',
  'x509-logon',
] as const;

/** What a key is for. A key file for one purpose is refused for another, so that the log's key never signs a certificate. */
export type KeyPurpose = (typeof purposes)[number];

interface Envelope {
  readonly format: 'sallyport-key@1';
  readonly purpose: KeyPurpose;
  /** SPKI DER, base64. */
  readonly publicKey: string;
  readonly kdf: {
    readonly name: 'scrypt';
    readonly n: number;
    readonly r: number;
    readonly p: number;
    readonly salt: string;
  };
  readonly cipher: {
    readonly name: 'aes-256-gcm';
    readonly nonce: string;
    readonly tag: string;
    readonly ciphertext: string;
  };
}

// 64 MiB and about a fifth of a second: a guess costs as much, and a start with four keys stays under a second.
const scryptN = 1 << 16;
const maxScryptN = 1 << 20;

/**
 * Writes a private key as a new file of mode 0600: PKCS#8 DER under AES-256-GCM, key by scrypt from the passphrase. The
 * purpose, the public key and the scrypt parameters are authenticated with it.
 * @throws CodedError `keys.exists`, `keys.weak_passphrase`
 */
export async function createKeyFile(
  path: string,
  key: { readonly privateKey: KeyObject; readonly purpose: KeyPurpose },
  passphrase: string,
  random: RandomBytes,
): Promise<void> {
  if (passphrase.length < 12) {
    throw new CodedError(
      'keys.weak_passphrase',
      'The passphrase for the keys is shorter than 12 characters.',
      {
        next: 'Choose a longer one; it is needed only when the broker starts.',
      },
    );
  }
  const kdf = { name: 'scrypt', n: scryptN, r: 8, p: 1, salt: random(16).toString('base64') } as const;
  const publicKey = createPublicKey(key.privateKey)
    .export({ format: 'der', type: 'spki' })
    .toString('base64');
  const bound = { format: 'sallyport-key@1', purpose: key.purpose, publicKey, kdf } as const;
  const nonce = random(12);
  const cipher = createCipheriv('aes-256-gcm', await derive(passphrase, kdf), nonce);
  cipher.setAAD(Buffer.from(JSON.stringify(bound)));
  const ciphertext = Buffer.concat([
    cipher.update(key.privateKey.export({ format: 'der', type: 'pkcs8' })),
    cipher.final(),
  ]);
  const sealed = {
    name: 'aes-256-gcm',
    nonce: nonce.toString('base64'),
    tag: cipher.getAuthTag().toString('base64'),
    ciphertext: ciphertext.toString('base64'),
  };
  createPrivateFile(path, `${JSON.stringify({ ...bound, cipher: sealed }, null, 2)}\n`);
}

/**
 * Opens a key file.
 * @throws CodedError `keys.loose_permissions`, `keys.unreadable`, `keys.malformed`, `keys.wrong_purpose`, `keys.wrong_passphrase`
 */
export async function openKeyFile(path: string, purpose: KeyPurpose, passphrase: string): Promise<KeyObject> {
  const envelope = parseEnvelope(path, readPrivateFile(path, 'The key file'));
  if (envelope.purpose !== purpose) {
    throw new CodedError(
      'keys.wrong_purpose',
      `${path} holds a key for ${envelope.purpose}, not for ${purpose}.`,
      {
        next: 'Check the key folder in the configuration.',
      },
    );
  }
  const { format, publicKey, kdf } = envelope;
  try {
    const secret = await derive(passphrase, kdf);
    const decipher = createDecipheriv('aes-256-gcm', secret, Buffer.from(envelope.cipher.nonce, 'base64'), {
      authTagLength: 16,
    });
    decipher.setAAD(Buffer.from(JSON.stringify({ format, purpose, publicKey, kdf })));
    decipher.setAuthTag(Buffer.from(envelope.cipher.tag, 'base64'));
    const der = Buffer.concat([
      decipher.update(Buffer.from(envelope.cipher.ciphertext, 'base64')),
      decipher.final(),
    ]);
    return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  } catch (error) {
    // GCM cannot tell a wrong passphrase from a changed file, and neither may we.
    throw new CodedError(
      'keys.wrong_passphrase',
      `${path} does not open: the passphrase is wrong or the file was changed.`,
      {
        next: 'Check the passphrase source in the configuration, or restore the key file from its backup.',
        cause: error,
      },
    );
  }
}

/** The AES-256 key for a passphrase. */
export function derive(passphrase: string, kdf: Envelope['kdf']): Promise<Buffer> {
  const options: ScryptOptions = { N: kdf.n, r: kdf.r, p: kdf.p, maxmem: 256 * kdf.n * kdf.r };
  return new Promise((resolve, reject) => {
    scrypt(passphrase.normalize('NFC'), Buffer.from(kdf.salt, 'base64'), 32, options, (error, key) => {
      if (error) reject(error);
      else resolve(key);
    });
  });
}

function parseEnvelope(path: string, bytes: Buffer): Envelope {
  const malformed = (why: string): CodedError =>
    new CodedError('keys.malformed', `${path} is not a Sallyport key file: ${why}.`, {
      next: 'Restore the file from its backup.',
    });
  let value: Partial<Envelope> | null;
  try {
    value = JSON.parse(bytes.toString('utf8')) as Partial<Envelope> | null;
  } catch {
    // Whatever the parser says could quote the file; the path is enough.
    throw malformed('it is not JSON');
  }
  if (value?.format !== 'sallyport-key@1') throw malformed('the format is unknown');
  const { kdf, cipher, purpose, publicKey } = value;
  const isBase64 = (text: unknown, sizeBytes?: number): boolean =>
    typeof text === 'string' &&
    decodeBase64(text) !== undefined &&
    (sizeBytes === undefined || decodeBase64(text)?.length === sizeBytes);
  if (kdf?.name !== 'scrypt' || !isBase64(kdf.salt, 16)) throw malformed('the key derivation is unknown');
  const powerOfTwo = Number.isSafeInteger(kdf.n) && Number.isInteger(Math.log2(kdf.n));
  if (!powerOfTwo || kdf.n < 1 << 14 || kdf.n > maxScryptN || kdf.r !== 8 || kdf.p !== 1) {
    throw malformed('its scrypt parameters are out of bounds');
  }
  if (
    cipher?.name !== 'aes-256-gcm' ||
    !isBase64(cipher.nonce, 12) ||
    !isBase64(cipher.tag, 16) ||
    !isBase64(cipher.ciphertext)
  ) {
    throw malformed('the cipher is unknown');
  }
  if (purpose === undefined || !purposes.includes(purpose)) throw malformed('its purpose is unknown');
  if (!isBase64(publicKey)) throw malformed('the public key is missing');
  return value as Envelope;
}
