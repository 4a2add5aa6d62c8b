import { describe, expect, it } from 'vitest';
import {
  createCertificateEncoder,
  encodeSignature,
  formatCertificate,
  parseCertificate,
  parsePublicKeyBlob,
  verifySignature,
} from '../../src/ssh/index.ts';
import type { CertificateFields, PublicKey } from '../../src/ssh/index.ts';
import {
  allAlgorithms,
  codeOf,
  craft,
  everySubjectKey,
  issue,
  nowSeconds,
  optionsSection,
  softwareToken,
  testCa,
  testFields,
  wrapped,
} from './fixtures.ts';
import type { CraftedFields } from './fixtures.ts';

const ca = testCa('ed25519');
const subject = testCa('ecdsa-p256').publicKey;
const maxUint64 = 2n ** 64n - 1n;

describe('a certificate', () => {
  const cas = allAlgorithms.map((algorithm) => testCa(algorithm));
  for (const key of everySubjectKey()) {
    it(`over ${key.type} says what was put in, under every CA algorithm`, () => {
      for (const signer of cas) {
        const fields = testFields(key, {
          serial: maxUint64,
          principals: ['alice', 'QSECOFR', 'svc$'],
          validAfter: 0n,
          validBefore: maxUint64,
          criticalOptions: new Map([
            ['verify-required', ''],
            ['source-address', '10.0.0.0/8,2001:db8::/32'],
            ['force-command', ''],
          ]),
          extensions: new Map([
            ['permit-user-rc', ''],
            ['permit-agent-forwarding', ''],
            ['permit-X11-forwarding', ''],
            ['login@example.com', 'älice'],
          ]),
        });
        const parsed = parseCertificate(formatCertificate(issue(signer, fields), 'alice at work'));
        expect(parsed).toMatchObject({ ...fields, caKey: signer.publicKey });
        expect([...parsed.extensions.keys()]).toEqual([
          'login@example.com',
          'permit-X11-forwarding',
          'permit-agent-forwarding',
          'permit-user-rc',
        ]);
        expect(verifySignature(parsed.caKey, parsed.signature, parsed.toBeSigned)).toBe(true);
      }
    });
  }

  it('holds its options in the very bytes of PROTOCOL.certkeys', () => {
    const fields = testFields(subject, { criticalOptions: new Map([['force-command', 'ab']]) });
    const hex = issue(ca, fields).toString('hex');
    expect(hex).toContain(`0000000d${Buffer.from('force-command').toString('hex')}00000006000000026162`);
    expect(hex).toContain(`0000000a${Buffer.from('permit-pty').toString('hex')}00000000`);
  });

  it('does not change when the same encoder writes the next one, or when its options map changes', () => {
    const encoder = createCertificateEncoder(ca.publicKey, 'ed25519');
    const extensions = new Map([['permit-pty', '']]);
    const first = encoder.encodeToBeSigned(testFields(subject, { extensions }));
    const before = Buffer.from(first);
    extensions.set('permit-user-rc', '');
    const second = encoder.encodeToBeSigned(testFields(subject, { extensions }));
    expect(first.equals(before)).toBe(true);
    const names = [first, second].map((bytes) => [
      ...parseCertificate(encoder.finish(bytes, ca.sign(bytes))).extensions.keys(),
    ]);
    expect(names).toEqual([['permit-pty'], ['permit-pty', 'permit-user-rc']]);
  });

  it('may be signed by a security key', () => {
    const token = softwareToken('ed25519');
    const unsigned = craft(ca, subject, { caBlob: token.publicKey.blob, signature: Buffer.alloc(0) });
    const toBeSigned = unsigned.subarray(0, -4);
    const signature = token.sign(toBeSigned, 1, 7);
    const parsed = parseCertificate(craftAround(toBeSigned, signature));
    expect(parsed.signature).toMatchObject({ flags: 1, counter: 7 });
    expect(verifySignature(parsed.caKey, parsed.signature, parsed.toBeSigned)).toBe(true);
  });
});

function craftAround(toBeSigned: Buffer, signature: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(signature.length);
  return Buffer.concat([toBeSigned, length, signature]);
}

describe('the encoder', () => {
  it.each<[string, Partial<CertificateFields>, string?]>([
    ['no principal', { principals: [] }],
    ['257 principals', { principals: Array.from({ length: 257 }, (_, index) => `p${index}`) }],
    ['an empty principal', { principals: ['alice', ''] }],
    ['NUL in a principal', { principals: ['al\0ice'] }],
    ['a principal of 300 letters', { principals: ['a'.repeat(300)] }],
    ['NUL in the key id', { keyId: 'a\0b' }],
    ['a short nonce', { nonce: Buffer.alloc(16) }],
    ['a negative serial', { serial: -1n }],
    ['a serial of 65 bits', { serial: maxUint64 + 1n }],
    ['a validity that ends where it begins', { validAfter: 5n, validBefore: 5n }],
    ['a negative start', { validAfter: -1n }],
    ['an end of 65 bits', { validBefore: maxUint64 + 1n }],
    ['an unknown critical option', { criticalOptions: new Map([['only-on-mondays', '']]) }],
    ['an extension as critical option', { criticalOptions: new Map([['no-touch-required', '']]) }],
    ['a flag with a value', { criticalOptions: new Map([['verify-required', 'yes']]) }],
    ['an extension flag with a value', { extensions: new Map([['permit-pty', 'yes']]) }],
    ['NUL in a command', { criticalOptions: new Map([['force-command', 'a\0b']]) }],
    ['an extension without a name', { extensions: new Map([['', '']]) }],
    ['an extension with a space', { extensions: new Map([['permit pty', '']]) }],
    [
      'a host certificate with critical options',
      { kind: 'host', criticalOptions: new Map([['force-command', 'ls']]) },
    ],
    [
      'host bits in source-address',
      { criticalOptions: new Map([['source-address', '10.1.2.3/8']]) },
      'ssh.bad_source_address',
    ],
    [
      'an empty source-address',
      { criticalOptions: new Map([['source-address', '']]) },
      'ssh.bad_source_address',
    ],
  ])('refuses %s', (_, changed, code = 'ssh.invalid_certificate') => {
    const encoder = createCertificateEncoder(ca.publicKey, 'ed25519');
    expect(codeOf(() => encoder.encodeToBeSigned(testFields(subject, changed)))).toBe(code);
    // A refusal leaves nothing behind in the encoder.
    expect(parseCertificate(issue(ca, testFields(subject))).principals).toEqual(['alice']);
    const next = encoder.encodeToBeSigned(testFields(subject));
    expect(parseCertificate(encoder.finish(next, ca.sign(next))).keyId).toBe('k-0001');
  });

  it('refuses a CA key that is itself a certificate', () => {
    const nested: PublicKey = {
      ...ca.publicKey,
      blob: issue(ca, testFields(ca.publicKey)) as PublicKey['blob'],
    };
    expect(codeOf(() => createCertificateEncoder(nested, 'ed25519'))).toBe('ssh.ca_is_certificate');
  });
  it('refuses an algorithm that the CA key has not', () => {
    expect(codeOf(() => createCertificateEncoder(ca.publicKey, 'rsa-sha2-512'))).toBe(
      'ssh.wrong_signature_algorithm',
    );
    expect(codeOf(() => createCertificateEncoder(subject, 'ecdsa-p384'))).toBe(
      'ssh.wrong_signature_algorithm',
    );
    expect(codeOf(() => createCertificateEncoder(softwareToken('ed25519').publicKey, 'ed25519'))).toBe(
      'ssh.wrong_signature_algorithm',
    );
  });
  it('refuses a signature of the wrong length', () => {
    const encoder = createCertificateEncoder(ca.publicKey, 'ed25519');
    const toBeSigned = encoder.encodeToBeSigned(testFields(subject));
    for (const size of [0, 63, 65, 256])
      expect(codeOf(() => encoder.finish(toBeSigned, Buffer.alloc(size)))).toBe('ssh.bad_signature_length');
  });
});

describe('parseCertificate', () => {
  const otherCa = testCa('ecdsa-p256');
  const rsaCa = testCa('rsa-sha2-512');
  const nestedBlob = issue(otherCa, testFields(ca.publicKey));
  const two = (name: string): Buffer => optionsSection([name, ''], [name, '']);
  const sha1 = encodeSignature('rsa-sha2-512', Buffer.alloc(256, 1))
    .toString('latin1')
    .replace('\0\0\0\u000crsa-sha2-512', '\0\0\0\u0007ssh-rsa');

  it.each<[string, CraftedFields, string?]>([
    ['a trailing byte', { trailing: Buffer.of(0) }],
    ['a trailing byte in the CA key', { caBlob: Buffer.concat([ca.publicKey.blob, Buffer.of(0)]) }],
    ['a CA key that is a certificate', { caBlob: nestedBlob }, 'ssh.ca_is_certificate'],
    ['a CA key of an unknown type', { caBlob: wrapped('ssh-foo') }, 'ssh.unknown_key_type'],
    ['no CA key', { caBlob: Buffer.alloc(0) }],
    ['kind 0', { kind: 0 }],
    ['kind 3', { kind: 3 }],
    ['a plain key type', { type: 'ecdsa-sha2-nistp256' }, 'ssh.not_a_certificate'],
    ['an unknown type', { type: 'ssh-foo-cert-v01@openssh.com' }, 'ssh.not_a_certificate'],
    ['another type than its key', { type: 'ecdsa-sha2-nistp384-cert-v01@openssh.com' }],
    [
      'a point off the curve',
      { keyFields: Buffer.concat([wrapped('nistp256'), wrapped('\u0004'.padEnd(65, 'x'))]) },
      'ssh.invalid_key',
    ],
    ['a nonce of 4 bytes', { nonce: Buffer.alloc(4) }],
    ['a nonce of 100 bytes', { nonce: Buffer.alloc(100) }],
    ['NUL in a principal', { principals: ['a\0b'] }],
    ['an empty principal', { principals: ['alice', ''] }],
    ['257 principals', { principals: Array.from({ length: 257 }, () => 'p') }],
    ['a key id that is not UTF-8', { keyId: Buffer.of(0xff) }],
    ['NUL in the key id', { keyId: 'a\0b' }],
    ['a key id of 5000 letters', { keyId: 'a'.repeat(5000) }],
    ['an option twice', { extensions: two('permit-pty') }],
    ['a critical option twice', { criticalOptions: two('verify-required') }],
    [
      'options out of order',
      { extensions: optionsSection(['permit-pty', ''], ['permit-X11-forwarding', '']) },
    ],
    ['half an option', { extensions: optionsSection(['permit-pty', '']).subarray(0, -4) }],
    ['an option without a name', { extensions: optionsSection(['', '']) }],
    ['an option name with a control character', { extensions: optionsSection(['permit\n', '']) }],
    ['a value that is not wrapped', { criticalOptions: optionsSection(['force-command', 'ls']) }],
    ['a value option without data', { criticalOptions: optionsSection(['force-command', '']) }],
    [
      'a value with bytes behind it',
      { criticalOptions: optionsSection(['force-command', Buffer.concat([wrapped('ls'), Buffer.of(0)])]) },
    ],
    ['a flag with data', { extensions: optionsSection(['permit-pty', wrapped('x')]) }],
    ['a used reserved field', { reserved: Buffer.of(1) }],
    ['an empty signature', { signature: Buffer.alloc(0) }],
    [
      'a signature of another algorithm',
      { signature: encodeSignature('ecdsa-p256', Buffer.alloc(64, 1)) },
      'ssh.wrong_signature_algorithm',
    ],
    ['a short signature', { signature: encodeSignature('ed25519', Buffer.alloc(64)).subarray(0, -1) }],
    [
      'a signature with trailing bytes',
      { signature: Buffer.concat([encodeSignature('ed25519', Buffer.alloc(64)), Buffer.of(0)]) },
    ],
    [
      'an RSA signature by SHA-1',
      { caBlob: rsaCa.publicKey.blob, signature: Buffer.from(sha1, 'latin1') },
      'ssh.wrong_signature_algorithm',
    ],
    [
      'an RSA signature shorter than the modulus',
      { caBlob: rsaCa.publicKey.blob, signature: encodeSignature('rsa-sha2-512', Buffer.alloc(255, 1)) },
    ],
  ])('refuses %s', (_, fields, code = 'ssh.malformed') => {
    expect(codeOf(() => parseCertificate(craft(ca, subject, fields)))).toBe(code);
  });

  it('accepts what the crafting above starts from, and no principals at all', () => {
    expect(parseCertificate(craft(ca, subject)).principals).toEqual(['alice']);
    expect(parseCertificate(craft(ca, subject, { principals: [] })).principals).toEqual([]);
  });

  it('refuses every cut of a certificate', () => {
    const blob = issue(ca, testFields(subject));
    for (let size = 0; size < blob.length; size += 1)
      expect(codeOf(() => parseCertificate(blob.subarray(0, size)))).toMatch(/^ssh\./);
  });

  const line = formatCertificate(issue(ca, testFields(subject)));
  it.each([
    ['nothing', ''],
    ['a plain key', `ecdsa-sha2-nistp256 ${subject.blob.toString('base64')}`],
    ['a type alone', line.split(' ')[0] ?? ''],
    ['bad base64', `${line}!`],
    ['another type in front', line.replace('nistp256', 'nistp384')],
    ['two lines', `${line} a\n${line}`],
    ['a megabyte', 'x'.repeat(1 << 20)],
  ])('refuses a text of %s', (_, text) => {
    expect(codeOf(() => parseCertificate(text))).toBe('ssh.not_a_certificate');
  });

  it('refuses a DSA key that calls itself one', () => {
    expect(codeOf(() => parsePublicKeyBlob(wrapped('ssh-dss')))).toBe('ssh.dsa_key');
    expect(codeOf(() => formatCertificate(subject.blob))).toBe('ssh.not_a_certificate');
  });
});

describe('the bytes that are signed', () => {
  it('no longer fit when any of them changes', () => {
    const certificate = parseCertificate(issue(ca, testFields(subject, { serial: nowSeconds })));
    const bytes = Buffer.from(certificate.toBeSigned);
    for (let index = 0; index < bytes.length; index += 7) {
      const changed = Buffer.from(bytes);
      changed.writeUInt8(changed.readUInt8(index) ^ 1, index);
      expect(verifySignature(ca.publicKey, certificate.signature, changed)).toBe(false);
    }
    expect(verifySignature(testCa('ed25519').publicKey, certificate.signature, bytes)).toBe(false);
  });
});
