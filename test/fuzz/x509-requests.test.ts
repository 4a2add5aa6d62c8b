import { generateKeyPairSync, sign } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CodedError } from '../../src/kernel/index.ts';
import {
  bitString,
  der,
  encodeName,
  integerOf,
  issuerHashes,
  objectIdentifier,
  octetString,
  oid,
  parseOcspRequest,
  parseSigningRequest,
  readCertificate,
  readCrl,
  sequence,
  nothing,
  set,
  subjectAltName,
} from '../../src/x509/index.ts';

const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const info = publicKey.export({ format: 'der', type: 'spki' });
const ecdsa = sequence(objectIdentifier(oid.ecdsaWithSha256));

function signedRequest(names: number): Buffer {
  const san = subjectAltName(
    Array.from({ length: names }, (_, nth) => ({ kind: 'dns' as const, value: `h${nth}.example.com` })),
  );
  const attributes = der(0xa0, sequence(objectIdentifier(oid.extensionRequest), set(sequence(san))));
  const asked = sequence(integerOf(0), encodeName({ commonName: 'h0.example.com' }), info, attributes);
  return sequence(asked, ecdsa, bitString(sign('sha256', asked, privateKey)));
}

function ocspRequest(): Buffer {
  const { sha1 } = issuerHashes(encodeName({ commonName: 'CA' }), info);
  const certId = sequence(
    sequence(objectIdentifier(oid.sha1), nothing()),
    octetString(sha1.name),
    octetString(sha1.key),
    integerOf(0x4444n),
  );
  const nonce = sequence(objectIdentifier(oid.ocspNonce), octetString(octetString(Buffer.alloc(16, 7))));
  return sequence(sequence(sequence(sequence(certId)), der(0xa2, sequence(nonce))));
}

/** Bytes that are nearly right: some changed, cut out, doubled, or lengths that lie. */
const mutations = (good: Buffer): fc.Arbitrary<Buffer> =>
  fc
    .array(
      fc.tuple(
        fc.nat(good.length - 1),
        fc.constantFrom('set', 'cut', 'double', 'insert'),
        fc.integer({ min: 0, max: 255 }),
      ),
      { minLength: 1, maxLength: 6 },
    )
    .map((changes) => {
      let bytes = Buffer.from(good);
      for (const [at, how, octet] of changes) {
        const place = Math.min(at, bytes.length);
        const [head, tail] = [bytes.subarray(0, place), bytes.subarray(place)];
        if (how === 'set') bytes = Buffer.concat([head, Buffer.of(octet), tail.subarray(1)]);
        else if (how === 'cut') bytes = Buffer.concat([head, tail.subarray(octet % 40)]);
        else if (how === 'double') bytes = Buffer.concat([head, tail.subarray(0, octet), tail]);
        else bytes = Buffer.concat([head, Buffer.of(octet), tail]);
      }
      return bytes;
    });

/** Reads it, or says what is wrong with a code. */
function outcome(read: () => unknown): string {
  try {
    read();
    return 'read';
  } catch (error) {
    if (error instanceof CodedError) return error.code;
    throw error;
  }
}

describe('5,000 mutations each', () => {
  const runs = { numRuns: 5000, seed: 20_261_130 };

  it('of a CSR are read or refused with a code; none that was changed after it was signed passes', () => {
    const good = signedRequest(2);
    expect(parseSigningRequest(good).names).toHaveLength(2);
    const signedPart = good.subarray(0, good.length - 80);
    fc.assert(
      fc.property(mutations(good), (bytes) => {
        const said = outcome(() => parseSigningRequest(bytes));
        expect(said).toMatch(/^(read|x509\.[a-z_]+)$/);
        if (said === 'read') expect(bytes.includes(signedPart.subarray(4))).toBe(true);
      }),
      runs,
    );
  });

  it('of an OCSP request are read or refused with a code', () => {
    const good = ocspRequest();
    expect(parseOcspRequest(good).questions).toHaveLength(1);
    fc.assert(
      fc.property(mutations(good), (bytes) => {
        expect(outcome(() => parseOcspRequest(bytes))).toMatch(/^(read|x509\.malformed)$/);
      }),
      runs,
    );
  });

  it('and any bytes at all are no certificate, no list and no request', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (octets) => {
        const bytes = Buffer.from(octets);
        for (const read of [readCertificate, readCrl, parseSigningRequest, parseOcspRequest])
          expect(outcome(() => read(bytes))).toMatch(/^x509\./);
      }),
      { ...runs, numRuns: 1000 },
    );
  });
});

describe('a CSR that asks for too much', () => {
  it('is refused by rule', () => {
    expect(outcome(() => parseSigningRequest(signedRequest(100)))).toBe('read');
    expect(outcome(() => parseSigningRequest(signedRequest(101)))).toBe('x509.too_many_names');
    expect(outcome(() => parseSigningRequest(signedRequest(1000)))).toBe('x509.too_many_names');
    expect(outcome(() => parseSigningRequest(Buffer.alloc(200_000, 0x30)))).toBe('x509.too_large');
    expect(outcome(() => parseSigningRequest('-----BEGIN CERTIFICATE REQUEST-----\n'))).toBe('x509.not_pem');
  });

  it('with a key of 16,384 bits is refused by its length, before anything is computed with it', () => {
    const modulus = Buffer.alloc(2048, 0xff);
    const rsa = sequence(der(0x02, Buffer.of(0), modulus), integerOf(65_537));
    const key = sequence(sequence(objectIdentifier(oid.rsaEncryption), nothing()), bitString(rsa));
    const asked = sequence(integerOf(0), encodeName({ commonName: 'as400' }), key);
    const request = sequence(
      asked,
      sequence(objectIdentifier(oid.sha256WithRsa), nothing()),
      bitString(Buffer.alloc(2048, 1)),
    );
    expect(outcome(() => parseSigningRequest(request))).toBe('x509.key_size');
  });
});
