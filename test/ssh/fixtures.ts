import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { isCodedError } from '../../src/kernel/index.ts';
import {
  SshWriter,
  createCertificateEncoder,
  encodeSignature,
  parsePublicKeyBlob,
  publicKeyFromKeyObject,
} from '../../src/ssh/index.ts';
import type { CertificateFields, PublicKey, SignatureAlgorithm } from '../../src/ssh/index.ts';

/** The code of the CodedError that `run` throws, `accepted` when it throws nothing; any other error is the test's failure. */
export function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (isCodedError(error)) return error.code;
    throw error;
  }
  return 'accepted';
}

/** The same for a promise. */
export async function rejectionCodeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    if (isCodedError(error)) return error.code;
    throw error;
  }
  return 'accepted';
}

export interface TestCa {
  readonly algorithm: SignatureAlgorithm;
  readonly privateKey: KeyObject;
  readonly publicKey: PublicKey;
  /** Raw, as `encodeSignature` takes it. */
  sign(message: Uint8Array): Buffer;
}

export function generateKey(algorithm: SignatureAlgorithm): KeyObject {
  if (algorithm === 'ed25519') return generateKeyPairSync('ed25519').privateKey;
  if (algorithm.startsWith('rsa')) return generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
  const namedCurve = algorithm.replace('ecdsa-p', 'P-');
  return generateKeyPairSync('ec', { namedCurve }).privateKey;
}

export function testCa(algorithm: SignatureAlgorithm, privateKey = generateKey(algorithm)): TestCa {
  const hash = { 'ecdsa-p256': 'sha256', 'ecdsa-p384': 'sha384', 'rsa-sha2-256': 'sha256' }[
    algorithm as string
  ];
  return {
    algorithm,
    privateKey,
    publicKey: publicKeyFromKeyObject(privateKey),
    sign: (message) =>
      sign(algorithm === 'ed25519' ? null : (hash ?? 'sha512'), message, {
        key: privateKey,
        dsaEncoding: 'ieee-p1363',
      }),
  };
}

export const allAlgorithms: readonly SignatureAlgorithm[] = [
  'ed25519',
  'ecdsa-p256',
  'ecdsa-p384',
  'ecdsa-p521',
  'rsa-sha2-256',
  'rsa-sha2-512',
];

/** A key as a FIDO token would hold it, with its private half in software, so that its signatures can be made. */
export interface SoftwareToken {
  readonly publicKey: PublicKey;
  /** A whole signature blob. @param flags bit 0 touched, bit 2 verified */
  sign(message: Uint8Array, flags: number, counter: number): Buffer;
}

export function softwareToken(algorithm: 'ed25519' | 'ecdsa-p256', application = 'ssh:'): SoftwareToken {
  const inner = testCa(algorithm);
  const type = `sk-${inner.publicKey.type}@openssh.com`;
  const fields = inner.publicKey.blob.subarray(4 + inner.publicKey.type.length);
  const blob = new SshWriter().string(type).raw(fields).string(application).finish();
  const hash = (bytes: Uint8Array | string): Buffer => createHash('sha256').update(bytes).digest();
  return {
    publicKey: parsePublicKeyBlob(blob),
    sign(message, flags, counter) {
      const tail = new SshWriter().byte(flags).uint32(counter).finish();
      const raw = inner.sign(Buffer.concat([hash(application), tail, hash(message)]));
      const plain = encodeSignature(algorithm, raw);
      const body = plain.subarray(4 + inner.publicKey.type.length);
      return new SshWriter().string(type).raw(body).raw(tail).finish();
    },
  };
}

/** One key of every type that OpenSSH 9 takes. */
export function everySubjectKey(): readonly PublicKey[] {
  return [
    ...allAlgorithms.filter((name) => name !== 'rsa-sha2-256').map((name) => testCa(name).publicKey),
    softwareToken('ed25519').publicKey,
    softwareToken('ecdsa-p256', 'ssh:work').publicKey,
  ];
}

export const nowSeconds = 1_800_000_000n;

export function testFields(key: PublicKey, changed: Partial<CertificateFields> = {}): CertificateFields {
  return {
    key,
    nonce: randomBytes(32),
    serial: 42n,
    kind: 'user',
    keyId: 'k-0001',
    principals: ['alice'],
    validAfter: nowSeconds - 60n,
    validBefore: nowSeconds + 3600n,
    criticalOptions: new Map(),
    extensions: new Map([['permit-pty', '']]),
    ...changed,
  };
}

export function issue(ca: TestCa, fields: CertificateFields): Buffer {
  const encoder = createCertificateEncoder(ca.publicKey, ca.algorithm);
  const toBeSigned = encoder.encodeToBeSigned(fields);
  return encoder.finish(toBeSigned, ca.sign(toBeSigned));
}

/** Fields of a certificate that our encoder would refuse to write, each as the bytes of its wire field. */
export interface CraftedFields {
  readonly type?: string;
  readonly nonce?: Buffer;
  readonly keyFields?: Buffer;
  readonly serial?: bigint;
  readonly kind?: number;
  readonly keyId?: Buffer | string;
  readonly principals?: readonly string[];
  readonly validAfter?: bigint;
  readonly validBefore?: bigint;
  readonly criticalOptions?: Buffer;
  readonly extensions?: Buffer;
  readonly reserved?: Buffer;
  readonly caBlob?: Buffer;
  readonly signature?: Buffer;
  readonly trailing?: Buffer;
}

/** A certificate written by hand, truly signed by the CA unless `signature` is given. */
export function craft(ca: TestCa, key: PublicKey, fields: CraftedFields = {}): Buffer {
  const principals = new SshWriter();
  for (const principal of fields.principals ?? ['alice']) principals.string(principal);
  const name = key.type.startsWith('sk-')
    ? key.type.replace('@', '-cert-v01@')
    : `${key.type}-cert-v01@openssh.com`;
  const toBeSigned = new SshWriter()
    .string(fields.type ?? name)
    .string(fields.nonce ?? randomBytes(32))
    .raw(fields.keyFields ?? key.blob.subarray(4 + key.type.length))
    .uint64(fields.serial ?? 42n)
    .uint32(fields.kind ?? 1)
    .string(fields.keyId ?? 'k-0001')
    .string(principals.finish())
    .uint64(fields.validAfter ?? nowSeconds - 60n)
    .uint64(fields.validBefore ?? nowSeconds + 3600n)
    .string(fields.criticalOptions ?? '')
    .string(fields.extensions ?? '')
    .string(fields.reserved ?? '')
    .string(fields.caBlob ?? ca.publicKey.blob)
    .finish();
  const signature = fields.signature ?? encodeSignature(ca.algorithm, ca.sign(toBeSigned));
  return new SshWriter()
    .raw(toBeSigned)
    .string(signature)
    .raw(fields.trailing ?? Buffer.alloc(0))
    .finish();
}

/** An options section from names and whole data fields, in the order given. */
export function optionsSection(...options: readonly (readonly [string, Buffer | string])[]): Buffer {
  const writer = new SshWriter();
  for (const [name, data] of options) writer.string(name).string(data);
  return writer.finish();
}

/** A value as option data holds it: a string inside the string. */
export function wrapped(value: string): Buffer {
  return new SshWriter().string(value).finish();
}
