import { isDeepStrictEqual } from 'node:util';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isCodedError, systemRandom } from '../../src/kernel/index.ts';
import {
  encodeSignature,
  encodeSshsig,
  encodeSshsigToBeSigned,
  formatCertificate,
  formatOpensshPrivateKey,
  formatPublicKey,
  matchesSourceAddress,
  parseCertificate,
  parseOpensshPrivateKey,
  parsePublicKey,
  parsePublicKeyBlob,
  parseSourceAddressList,
  parseSshsig,
  publicKeyFromKeyObject,
  publicKeyToKeyObject,
  verifyCertificate,
  verifySshsig,
} from '../../src/ssh/index.ts';
import {
  allAlgorithms,
  everySubjectKey,
  issue,
  nowSeconds,
  softwareToken,
  testCa,
  testFields,
} from '../ssh/fixtures.ts';

/** Fails on anything but a value or a CodedError of this room. @returns true when it was a value */
function isTame(run: () => unknown): boolean {
  try {
    run();
    return true;
  } catch (error) {
    if (isCodedError(error) && error.code.startsWith('ssh.')) return false;
    throw error;
  }
}

type Mutation =
  | { readonly kind: 'flip'; readonly at: number; readonly mask: number }
  | { readonly kind: 'cut'; readonly at: number }
  | { readonly kind: 'insert'; readonly at: number; readonly bytes: Uint8Array }
  | { readonly kind: 'delete'; readonly at: number; readonly count: number }
  | { readonly kind: 'length'; readonly at: number; readonly value: number };

const at = fc.nat(4000);
const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.record({ kind: fc.constant('flip' as const), at, mask: fc.integer({ min: 1, max: 255 }) }),
  fc.record({ kind: fc.constant('cut' as const), at }),
  fc.record({
    kind: fc.constant('insert' as const),
    at,
    bytes: fc.uint8Array({ minLength: 1, maxLength: 8 }),
  }),
  fc.record({ kind: fc.constant('delete' as const), at, count: fc.integer({ min: 1, max: 8 }) }),
  fc.record({
    kind: fc.constant('length' as const),
    at,
    value: fc.constantFrom(0, 1, 0xff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff),
  }),
);

function mutate(original: Buffer, mutations: readonly Mutation[]): Buffer {
  let bytes = Buffer.from(original);
  for (const change of mutations) {
    if (bytes.length < 4) break;
    const offset = change.at % (bytes.length - 3);
    if (change.kind === 'flip') bytes.writeUInt8(bytes.readUInt8(offset) ^ change.mask, offset);
    else if (change.kind === 'length') bytes.writeUInt32BE(change.value, offset);
    else if (change.kind === 'cut') bytes = bytes.subarray(0, offset);
    else if (change.kind === 'insert')
      bytes = Buffer.concat([bytes.subarray(0, offset), change.bytes, bytes.subarray(offset)]);
    else bytes = Buffer.concat([bytes.subarray(0, offset), bytes.subarray(offset + change.count)]);
  }
  return bytes;
}

const mutations = fc.array(mutation, { minLength: 1, maxLength: 3 });
const seed = { seed: 20_261_123, numRuns: 4000 };
const cas = allAlgorithms.map((algorithm) => testCa(algorithm));
const keys = everySubjectKey();
const certificates = keys.flatMap((key, index) => {
  const ca = cas[index % cas.length];
  const criticalOptions = new Map([['source-address', '10.0.0.0/8']]);
  return ca === undefined ? [] : [issue(ca, testFields(key, { criticalOptions }))];
});

describe('no bytes get more than a coded error out of', () => {
  it('parsePublicKeyBlob; what it takes, it takes unchanged', () => {
    let taken = 0;
    fc.assert(
      fc.property(fc.constantFrom(...keys), mutations, (key, changes) => {
        const bytes = mutate(key.blob, changes);
        const tame = isTame(() => {
          const parsed = parsePublicKeyBlob(bytes);
          expect(parsed.blob.equals(bytes)).toBe(true);
          publicKeyToKeyObject(parsed);
        });
        if (tame) taken += 1;
      }),
      seed,
    );
    expect(taken).toBeGreaterThan(0); // e.g. another Ed25519 point
  });

  it('parseCertificate and verifyCertificate; nothing that was changed is valid', () => {
    let parsed = 0;
    fc.assert(
      fc.property(fc.constantFrom(...certificates), mutations, (original, changes) => {
        const bytes = mutate(original, changes);
        const tame = isTame(() => {
          const verdict = verifyCertificate(parseCertificate(bytes), {
            trustedCaKeys: cas.map((ca) => ca.publicKey),
            nowSeconds,
            kind: 'user',
            sourceAddress: '10.0.0.1',
          });
          if (!bytes.equals(original)) expect(verdict.outcome).toBe('invalid');
        });
        if (tame) parsed += 1;
      }),
      seed,
    );
    expect(parsed).toBeGreaterThan(100);
  });

  it('parseOpensshPrivateKey; what it takes is the key that was written', () => {
    const files = cas.map(({ privateKey }) => {
      const text = formatOpensshPrivateKey(privateKey, 'a comment', systemRandom);
      return { privateKey, bytes: Buffer.from(text.replaceAll(/-----[^-]+-----|\n/g, ''), 'base64') };
    });
    let taken = 0;
    fc.assert(
      fc.property(fc.constantFrom(...files), mutations, ({ privateKey, bytes }, changes) => {
        const base64 = mutate(bytes, changes).toString('base64');
        const armoured = `-----BEGIN OPENSSH PRIVATE KEY-----\n${base64}\n-----END OPENSSH PRIVATE KEY-----\n`;
        const tame = isTame(() =>
          expect(publicKeyFromKeyObject(parseOpensshPrivateKey(armoured)).blob).toEqual(
            publicKeyFromKeyObject(privateKey).blob,
          ),
        );
        if (tame) taken += 1;
      }),
      { ...seed, numRuns: 2000 },
    );
    expect(taken).toBeGreaterThan(0); // e.g. a letter of the comment
  });

  it('parseOpensshPrivateKey out of any text', () => {
    const near = fc.string().map((text) => `-----BEGIN OPENSSH PRIVATE KEY-----\n${text}`);
    fc.assert(
      fc.property(fc.oneof(fc.string(), near), (text) => {
        expect(isTame(() => parseOpensshPrivateKey(text))).toBe(false);
      }),
      { ...seed, numRuns: 500 },
    );
  });

  it('parseSshsig and verifySshsig; nothing that was changed is valid', () => {
    const message = Buffer.from('message');
    const toBeSigned = encodeSshsigToBeSigned('file', message);
    const token = softwareToken('ecdsa-p256');
    const signed = [
      ...cas.map((ca) =>
        encodeSshsig(ca.publicKey, 'file', encodeSignature(ca.algorithm, ca.sign(toBeSigned))),
      ),
      encodeSshsig(token.publicKey, 'file', token.sign(toBeSigned, 1, 1)),
    ];
    const trustedKeys = [...cas.map((ca) => ca.publicKey), token.publicKey];
    const bodyOf = (armoured: string): Buffer =>
      Buffer.from(armoured.split('\n').slice(1, -2).join(''), 'base64');
    let parsed = 0;
    fc.assert(
      fc.property(fc.constantFrom(...signed), mutations, (original, changes) => {
        const bytes = mutate(bodyOf(original), changes);
        const text = `-----BEGIN SSH SIGNATURE-----\n${bytes.toString('base64')}\n-----END SSH SIGNATURE-----\n`;
        const verdict = verifySshsig(text, message, { namespace: 'file', trustedKeys });
        const tame = isTame(() => {
          // Only the reserved field, which readers must ignore, may differ from the original without harm.
          if (!isDeepStrictEqual(parseSshsig(text), parseSshsig(original)))
            expect(verdict.outcome).toBe('invalid');
        });
        if (tame) parsed += 1;
        else expect(verdict).toMatchObject({ outcome: 'invalid', check: 'form' });
      }),
      seed,
    );
    expect(parsed).toBeGreaterThan(100);
  });

  it('every parser, from random bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
        expect(isTame(() => parsePublicKeyBlob(bytes))).toBe(false);
        expect(isTame(() => parseCertificate(bytes))).toBe(false);
      }),
      seed,
    );
  });
});

describe('no text gets more than a coded error out of', () => {
  const rsa = cas.find((ca) => ca.algorithm === 'rsa-sha2-512')?.publicKey ?? keys[0];
  const pem = (format: 'spki' | 'pkcs1'): string =>
    rsa === undefined ? '' : publicKeyToKeyObject(rsa).export({ format: 'pem', type: format }).toString();
  const texts = [
    pem('spki'),
    pem('pkcs1'),
    ...keys.map((key) => formatPublicKey(key, 'comment')),
    ...certificates.map((blob) => formatCertificate(blob, 'comment')),
    ...keys.map(
      (key) =>
        `---- BEGIN SSH2 PUBLIC KEY ----\nComment: "x"\n${key.blob.toString('base64')}\n---- END SSH2 PUBLIC KEY ----`,
    ),
    ...keys.map(
      (key) =>
        `PuTTY-User-Key-File-2: ${key.type}\nEncryption: none\nComment: x\nPublic-Lines: 1\n${key.blob.toString('base64')}`,
    ),
  ];

  it('the text parsers, after changes anywhere in it', () => {
    fc.assert(
      fc.property(fc.constantFrom(...texts), mutations, (original, changes) => {
        const text = mutate(Buffer.from(original), changes).toString('latin1');
        isTame(() => parsePublicKey(text));
        isTame(() => parseCertificate(text));
        isTame(() => parseSshsig(text));
      }),
      seed,
    );
  });

  it('the PEM reader, after changes inside the DER', () => {
    fc.assert(
      fc.property(fc.constantFrom('spki' as const, 'pkcs1' as const), mutations, (type, changes) => {
        const der =
          rsa === undefined ? Buffer.alloc(0) : publicKeyToKeyObject(rsa).export({ format: 'der', type });
        const label = type === 'spki' ? 'PUBLIC KEY' : 'RSA PUBLIC KEY';
        const body = mutate(der, changes).toString('base64');
        isTame(() => parsePublicKey(`-----BEGIN ${label}-----\n${body}\n-----END ${label}-----\n`));
      }),
      { ...seed, numRuns: 1500 },
    );
  });

  it('the parser of source addresses; what it takes holds its own networks', () => {
    const piece = fc.oneof(
      fc.ipV4(),
      fc.ipV6(),
      fc.constantFrom('/', ',', '::', '%', ' ', '0', '/8', '/32', '/128', '.1', '::ffff:'),
      fc.string({ maxLength: 4 }),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 5 }), fc.oneof(fc.ipV4(), fc.ipV6()), (pieces, address) => {
        const text = pieces.join('');
        const tame = isTame(() => parseSourceAddressList(text));
        if (tame) expect(typeof matchesSourceAddress(parseSourceAddressList(text), address)).toBe('boolean');
        expect(matchesSourceAddress(parseSourceAddressList(address), address)).toBe(
          !address.startsWith('::ffff:'),
        );
      }),
      seed,
    );
  });
});
