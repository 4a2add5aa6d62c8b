import { createCipheriv, createHash, createHmac, pbkdf2, type KeyObject } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { RandomBytes } from '../kernel/index.ts';
import {
  bmpString,
  der,
  explicit,
  integerOf,
  nothing,
  objectIdentifier,
  octetString,
  sequence,
  set,
} from './der.ts';
import { oid } from './oids.ts';

/**
 * `compatible`: 3DES and SHA-1, what older DCM and GSKit read, and every program since. `modern`: AES-256 and SHA-256, as OpenSSL 3
 * writes. Never RC2-40. The password of either is made by this house and long: its iterations guard nothing that a guess could reach.
 */
export const pkcs12Encryptions = ['compatible', 'modern'] as const;
export type Pkcs12Encryption = (typeof pkcs12Encryptions)[number];

export interface Pkcs12Content {
  readonly privateKey: KeyObject;
  /** DER. */
  readonly certificate: Buffer;
  /** DER, in order up to the root. */
  readonly chain: readonly Buffer[];
  /** What key stores call it; DCM takes it as the label. */
  readonly friendlyName: string;
  /** ASCII. */
  readonly password: string;
}

const iterations = { compatible: 2048, modern: 10_000 } as const;
const pkcs = '1.2.840.113549.1';
const keyBag = `${pkcs}.12.10.1.2`;
const certificateBag = `${pkcs}.12.10.1.3`;
const data = `${pkcs}.7.1`;
const encryptedData = `${pkcs}.7.6`;
const x509Certificate = `${pkcs}.9.22.1`;
const friendlyNameAttribute = `${pkcs}.9.20`;
const localKeyId = `${pkcs}.9.21`;
const tripleDes = `${pkcs}.12.1.3`;
const pbes2 = `${pkcs}.5.13`;
const pbkdf2Oid = `${pkcs}.5.12`;
const hmacSha256 = '1.2.840.113549.2.9';
const aes256Cbc = '2.16.840.1.101.3.4.1.42';

/**
 * A PKCS#12 file: the key, its certificate and the chain, each part encrypted, all of it under one MAC. Keys are derived in the thread
 * pool, or in slices: nobody waits for it. @see RFC 7292
 */
export async function encodePkcs12(
  content: Pkcs12Content,
  encryption: Pkcs12Encryption,
  random: RandomBytes,
): Promise<Buffer> {
  const { privateKey, certificate, chain, friendlyName, password } = content;
  const seal = sealer(encryption, password, random);
  const id = createHash('sha1').update(certificate).digest();
  const named = [
    sequence(objectIdentifier(friendlyNameAttribute), set(bmpString(friendlyName))),
    sequence(objectIdentifier(localKeyId), set(octetString(id))),
  ];
  const key = await seal(privateKey.export({ format: 'der', type: 'pkcs8' }));
  const keys = sequence(bag(keyBag, sequence(key.algorithm, octetString(key.bytes)), named));
  const certificates = sequence(certBag(certificate, named), ...chain.map((issuer) => certBag(issuer, [])));
  const sealed = await seal(certificates);
  const safe = sequence(
    contentInfo(
      encryptedData,
      sequence(integerOf(0), sequence(objectIdentifier(data), sealed.algorithm, der(0x80, sealed.bytes))),
    ),
    contentInfo(data, octetString(keys)),
  );
  return sequence(
    integerOf(3),
    contentInfo(data, octetString(safe)),
    await macData(safe, { encryption, password, random }),
  );
}

function contentInfo(type: string, content: Buffer): Buffer {
  return sequence(objectIdentifier(type), explicit(0, content));
}

function bag(type: string, value: Buffer, attributes: readonly Buffer[]): Buffer {
  return sequence(
    objectIdentifier(type),
    explicit(0, value),
    ...(attributes.length === 0 ? [] : [set(...attributes)]),
  );
}

function certBag(certificate: Buffer, attributes: readonly Buffer[]): Buffer {
  const value = sequence(objectIdentifier(x509Certificate), explicit(0, octetString(certificate)));
  return bag(certificateBag, value, attributes);
}

type Seal = (clear: Buffer) => Promise<{ readonly algorithm: Buffer; readonly bytes: Buffer }>;

function sealer(encryption: Pkcs12Encryption, password: string, random: RandomBytes): Seal {
  const rounds = iterations[encryption];
  if (encryption === 'modern') {
    return async (clear) => {
      const [salt, iv] = [random(16), random(16)];
      const key = await promisify(pbkdf2)(password, salt, rounds, 32, 'sha256');
      const derivation = sequence(
        objectIdentifier(pbkdf2Oid),
        sequence(octetString(salt), integerOf(rounds), sequence(objectIdentifier(hmacSha256), nothing())),
      );
      const cipher = sequence(objectIdentifier(aes256Cbc), octetString(iv));
      return {
        algorithm: sequence(objectIdentifier(pbes2), sequence(derivation, cipher)),
        bytes: encrypt('aes-256-cbc', { key, iv }, clear),
      };
    };
  }
  return async (clear) => {
    const salt = random(8);
    const parts = { hash: 'sha1', password, salt, rounds } as const;
    const key = await deriveKey({ ...parts, purpose: 1, sizeBytes: 24 });
    const iv = await deriveKey({ ...parts, purpose: 2, sizeBytes: 8 });
    return {
      algorithm: sequence(objectIdentifier(tripleDes), sequence(octetString(salt), integerOf(rounds))),
      bytes: encrypt('des-ede3-cbc', { key, iv }, clear),
    };
  };
}

function encrypt(
  name: string,
  { key, iv }: { readonly key: Buffer; readonly iv: Buffer },
  clear: Buffer,
): Buffer {
  const cipher = createCipheriv(name, key, iv);
  return Buffer.concat([cipher.update(clear), cipher.final()]);
}

async function macData(
  safe: Buffer,
  {
    encryption,
    password,
    random,
  }: { readonly encryption: Pkcs12Encryption; readonly password: string; readonly random: RandomBytes },
): Promise<Buffer> {
  const hash = encryption === 'modern' ? 'sha256' : 'sha1';
  const salt = random(16);
  const rounds = 2048;
  const sizeBytes = hash === 'sha256' ? 32 : 20;
  const key = await deriveKey({ hash, password, salt, rounds, purpose: 3, sizeBytes });
  const digest = createHmac(hash, key).update(safe).digest();
  return sequence(
    sequence(sequence(objectIdentifier(oid[hash]), nothing()), octetString(digest)),
    octetString(salt),
    integerOf(rounds),
  );
}

interface Derivation {
  readonly hash: 'sha1' | 'sha256';
  readonly password: string;
  readonly salt: Buffer;
  readonly rounds: number;
  /** 1 key, 2 IV, 3 MAC. */
  readonly purpose: 1 | 2 | 3;
  readonly sizeBytes: number;
}

const roundsPerTurn = 512;

/** RFC 7292 appendix B.2; both hashes work on blocks of 64 octets. */
async function deriveKey({ hash, password, salt, rounds, purpose, sizeBytes }: Derivation): Promise<Buffer> {
  const block = 64;
  const filled = (bytes: Buffer): Buffer => {
    const size = block * Math.ceil(bytes.length / block);
    return Buffer.alloc(size, bytes);
  };
  const secret = Buffer.from(`${password}\0`, 'utf16le').swap16();
  const diversifier = Buffer.alloc(block, purpose);
  const input = Buffer.concat([filled(salt), filled(secret)]);
  const found: Buffer[] = [];
  for (let size = 0; size < sizeBytes;) {
    let digest = createHash(hash).update(diversifier).update(input).digest();
    for (let round = 1; round < rounds; round += 1) {
      digest = createHash(hash).update(digest).digest();
      if (round % roundsPerTurn === 0) await nextTurn();
    }
    found.push(digest);
    size += digest.length;
    if (size < sizeBytes) addToBlocks(input, Buffer.alloc(block, digest), block);
  }
  return Buffer.concat(found).subarray(0, sizeBytes);
}

/** Each block becomes (block + addend + 1) mod 2^512. */
function addToBlocks(input: Buffer, addend: Buffer, block: number): void {
  for (let start = 0; start < input.length; start += block) {
    let carry = 1;
    for (let at = block - 1; at >= 0; at -= 1) {
      const sum = (input[start + at] ?? 0) + (addend[at] ?? 0) + carry;
      input[start + at] = sum & 0xff;
      carry = sum >> 8;
    }
  }
}
