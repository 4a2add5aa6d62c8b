import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  SshWriter,
  fingerprint,
  formatPublicKey,
  parsePublicKey,
  parsePublicKeyBlob,
  publicKeyFromKeyObject,
  publicKeyToKeyObject,
} from '../../src/ssh/index.ts';
import {
  codeOf,
  everySubjectKey,
  generateKey,
  issue,
  softwareToken,
  testCa,
  testFields,
} from './fixtures.ts';

const ed25519 = testCa('ed25519');
const p256 = testCa('ecdsa-p256');
const rsa = testCa('rsa-sha2-512');
const writer = (): SshWriter => new SshWriter();
const pem = (key = rsa.privateKey, type: 'spki' | 'pkcs1' = 'spki'): string =>
  createPublicKey(key).export({ format: 'pem', type }).toString();
const rfc4716 = (blob: Buffer, ...headers: readonly string[]): string =>
  [
    '---- BEGIN SSH2 PUBLIC KEY ----',
    ...headers,
    ...(blob.toString('base64').match(/.{1,70}/g) ?? []),
    '---- END SSH2 PUBLIC KEY ----',
    '',
  ].join('\n');
const putty = (type: string, blob: Buffer, ...more: readonly string[]): string => {
  const lines = blob.toString('base64').match(/.{1,64}/g) ?? [];
  return [
    `PuTTY-User-Key-File-2: ${type}`,
    'Encryption: none',
    'Comment: at work',
    `Public-Lines: ${lines.length}`,
    ...lines,
    ...more,
  ].join('\r\n');
};

describe('a public key of every type', () => {
  for (const key of everySubjectKey()) {
    it(`is read back from its line, RFC 4716 and PuTTY form: ${key.type}`, () => {
      const line = parsePublicKey(`${formatPublicKey(key, 'alice at work')}\r\n`);
      expect(line).toEqual({ ...key, comment: 'alice at work' });
      expect(parsePublicKey(rfc4716(key.blob, 'Comment: "alice"'))).toEqual({ ...key, comment: 'alice' });
      expect(parsePublicKey(putty(key.type, key.blob))).toEqual({ ...key, comment: 'at work' });
    });
  }
  it('says its bits and, for a security key, its application', () => {
    const seen = everySubjectKey().map((key) => [key.type, key.bits, key.application]);
    expect(seen).toEqual([
      ['ssh-ed25519', 256, undefined],
      ['ecdsa-sha2-nistp256', 256, undefined],
      ['ecdsa-sha2-nistp384', 384, undefined],
      ['ecdsa-sha2-nistp521', 521, undefined],
      ['ssh-rsa', 2048, undefined],
      ['sk-ssh-ed25519@openssh.com', 256, 'ssh:'],
      ['sk-ecdsa-sha2-nistp256@openssh.com', 256, 'ssh:work'],
    ]);
  });
});

describe('parsePublicKey', () => {
  it('reads PEM of every kind through sshpk', () => {
    expect(parsePublicKey(pem())).toEqual(rsa.publicKey);
    expect(parsePublicKey(pem(rsa.privateKey, 'pkcs1'))).toEqual(rsa.publicKey);
    for (const algorithm of ['ed25519', 'ecdsa-p256', 'ecdsa-p384', 'ecdsa-p521'] as const) {
      const key = generateKey(algorithm);
      expect(parsePublicKey(pem(key))).toEqual(publicKeyFromKeyObject(key));
    }
  });
  it('joins continued headers of RFC 4716 and ignores private ones', () => {
    const text = rfc4716(p256.publicKey.blob, 'x-tool: v1', 'Comment: a rather long \\', 'comment');
    expect(parsePublicKey(text).comment).toBe('a rather long comment');
  });
  it('makes comments printable', () => {
    expect(parsePublicKey(`${formatPublicKey(ed25519.publicKey)} a\u202eb`).comment).toBe('a?b');
  });
  it.each([
    ['José’s laptop', 'José’s laptop'],
    ['two  words', 'two  words'],
    ['\t at\twork', 'at?work'],
    ['😀', '😀'],
    ['', undefined],
  ])('takes the comment %j', (typed, comment) => {
    const { publicKey } = ed25519;
    expect(parsePublicKey(`${formatPublicKey(publicKey)} ${typed}`).comment).toBe(comment);
  });
  it.each([
    ['Comment: x', 'x'],
    ['comment:x', 'x'],
    ['COMMENT:   "x y"  ', 'x y'],
    ['Comment: "x', 'x'],
    ['Comment: x"', 'x'],
    ['Comment: ""x""', '"x"'],
    ['Comment: "', undefined],
    ['Comment: ""', undefined],
    ['Comment:', undefined],
    ['Subject: alice', undefined],
  ])('takes the header %j for the comment %j', (header, comment) => {
    expect(parsePublicKey(rfc4716(ed25519.publicKey.blob, header)).comment).toBe(comment);
  });
  it('copies the bytes it was given', () => {
    const bytes = Buffer.from(ed25519.publicKey.blob);
    const key = parsePublicKeyBlob(bytes);
    bytes.fill(0);
    expect(key.blob.equals(ed25519.publicKey.blob)).toBe(true);
  });

  it.each([
    [
      'an OpenSSH private key',
      '-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1r\n-----END OPENSSH PRIVATE KEY-----',
    ],
    ['a PKCS#8 private key', ed25519.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString()],
    [
      'an encrypted private key',
      '-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----',
    ],
    ['an RSA private key', rsa.privateKey.export({ format: 'pem', type: 'pkcs1' }).toString()],
    ['a PuTTY private key', putty('ssh-ed25519', ed25519.publicKey.blob, 'Private-Lines: 1', 'AAAA')],
    [
      'a private key behind some text',
      `my key:\n${p256.privateKey.export({ format: 'pem', type: 'sec1' }).toString()}`,
    ],
    [
      'a private key behind its public half',
      `${formatPublicKey(rsa.publicKey)}\n${rsa.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString()}`,
    ],
  ])('says that %s is private', (_, text) => {
    expect(codeOf(() => parsePublicKey(text))).toBe('ssh.private_key_given');
  });

  const line = formatPublicKey(ed25519.publicKey);
  const flipped = line.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A'));
  it.each([
    ['nothing', ''],
    ['white space', ' \n\t '],
    ['words', 'hello there'],
    ['a type alone', 'ssh-ed25519'],
    ['bad base64', 'ssh-ed25519 AAAA*AAA'],
    ['base64 without its padding', `ssh-rsa ${rsa.publicKey.blob.toString('base64').replace(/=*$/, '')}!`],
    ['two keys', `${line}\n${line}`],
    ['a line that is broken after its type', line.replace(' ', '\n')],
    ['a line that is broken before its comment', `${line} \n comment`],
    ['another space than a space', line.replace(' ', '\u00a0')],
    ['a hidden space behind the space', line.replace(' ', ' \u00a0')],
    ['an escape character in the comment', `${line} a\u001b[31mb`],
    ['a null character in the comment', `${line} a\0b`],
    ['a line separator in the comment', `${line} a\u2028b`],
    ['half a character in the comment', `${line} \ud800`],
    ['a control character in a header', rfc4716(ed25519.publicKey.blob, 'Comment: a\u0007')],
    ['key options in front', `no-pty ${line}`],
    ['another type in front', line.replace('ssh-ed25519', 'ssh-rsa')],
    ['a damaged end', `${flipped}=`],
    ['far too much', `${line} ${'x'.repeat(40_000)}`],
    ['RFC 4716 without its end', rfc4716(ed25519.publicKey.blob).replace(/---- END.*/, '')],
    ['RFC 4716 without a body', rfc4716(Buffer.alloc(0))],
    ['a PuTTY file that is cut off', putty('ssh-ed25519', ed25519.publicKey.blob).slice(0, -20)],
    [
      'a PuTTY file with a huge line count',
      putty('ssh-ed25519', ed25519.publicKey.blob).replace('Lines: 2', 'Lines: 999'),
    ],
    ['PEM that is cut off', pem().slice(0, 200)],
    ['PEM with text behind it', `${pem()}x`],
    ['PEM of two keys', `${pem()}${pem()}`],
    ['an X.509 certificate', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----'],
    ['an X25519 key', pem(generateKeyPairSync('x25519').privateKey)],
    ['a secp256k1 key', pem(generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).privateKey)],
    [
      'a PEM DSA key',
      generateKeyPairSync('dsa', { modulusLength: 1024, divisorLength: 160 })
        .publicKey.export({ format: 'pem', type: 'spki' })
        .toString(),
    ],
  ])('refuses %s', (_, text) => {
    expect(codeOf(() => parsePublicKey(text))).toMatch(/^ssh\.(unreadable_key|dsa_key|unknown_key_type)$/);
  });

  it('refuses PEM whose DER has bytes behind the key', () => {
    const der = createPublicKey(rsa.privateKey).export({ format: 'der', type: 'spki' });
    const body = Buffer.concat([der, Buffer.alloc(3)]).toString('base64');
    const text = `-----BEGIN PUBLIC KEY-----\n${body}\n-----END PUBLIC KEY-----\n`;
    expect(codeOf(() => parsePublicKey(text))).toBe('ssh.unreadable_key');
  });
  it('refuses certificates and DSA keys by name', () => {
    const certificate = issue(ed25519, testFields(p256.publicKey));
    const certLine = `ecdsa-sha2-nistp256-cert-v01@openssh.com ${certificate.toString('base64')}`;
    expect(codeOf(() => parsePublicKey(certLine))).toBe('ssh.certificate_as_key');
    const dsa = writer().string('ssh-dss').string('p').string('q').finish();
    expect(codeOf(() => parsePublicKey(`ssh-dss ${dsa.toString('base64')}`))).toBe('ssh.dsa_key');
  });
});

describe('parsePublicKeyBlob', () => {
  const point = p256.publicKey.blob.subarray(-65);
  const edPoint = ed25519.publicKey.blob.subarray(-32);
  const ec = (curve: string, q: Buffer, type = 'ecdsa-sha2-nistp256'): Buffer =>
    writer().string(type).string(curve).string(q).finish();
  const off = Buffer.from(point);
  off.writeUInt8(off.readUInt8(64) ^ 1, 64);
  const bigX = Buffer.from(point);
  bigX.fill(0xff, 1, 33);
  const modulus = Buffer.alloc(256, 0xab);
  const rsaBlob = (e: Buffer, n: Buffer): Buffer => writer().string('ssh-rsa').mpint(e).mpint(n).finish();
  const e65537 = Buffer.from([1, 0, 1]);
  const order4 = Buffer.alloc(32);
  const order8 = Buffer.from('26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05', 'hex');

  it.each<[string, Buffer, string]>([
    ['an empty blob', Buffer.alloc(0), 'ssh.malformed'],
    ['a cut-off blob', ed25519.publicKey.blob.subarray(0, -1), 'ssh.malformed'],
    ['trailing bytes', Buffer.concat([ed25519.publicKey.blob, Buffer.of(0)]), 'ssh.malformed'],
    [
      'an unknown type',
      writer().string('ssh-ed448').string(Buffer.alloc(57, 1)).finish(),
      'ssh.unknown_key_type',
    ],
    [
      'a certificate of an unknown kind',
      writer().string('ssh-mldsa44-ed25519-cert-v01@openssh.com').finish(),
      'ssh.certificate_as_key',
    ],
    ['a length of 4 GiB', Buffer.from('ffffffff', 'hex'), 'ssh.malformed'],
    [
      'a short Ed25519 key',
      writer().string('ssh-ed25519').string(edPoint.subarray(1)).finish(),
      'ssh.malformed',
    ],
    [
      'an Ed25519 point of order 4',
      writer().string('ssh-ed25519').string(order4).finish(),
      'ssh.invalid_key',
    ],
    [
      'an Ed25519 point of order 8',
      writer().string('ssh-ed25519').string(order8).finish(),
      'ssh.invalid_key',
    ],
    [
      'an Ed25519 y over the prime',
      writer().string('ssh-ed25519').string(Buffer.alloc(32, 0xff)).finish(),
      'ssh.invalid_key',
    ],
    [
      'an sk- key without application',
      Buffer.concat([
        writer().string('sk-ssh-ed25519@openssh.com').finish(),
        writer().string(edPoint).finish(),
      ]),
      'ssh.malformed',
    ],
    ['another curve than its type', ec('nistp384', point), 'ssh.malformed'],
    ['a point off the curve', ec('nistp256', off), 'ssh.invalid_key'],
    ['a coordinate over the prime', ec('nistp256', bigX), 'ssh.invalid_key'],
    [
      'a compressed point',
      ec('nistp256', Buffer.concat([Buffer.of(2), point.subarray(1, 33)])),
      'ssh.malformed',
    ],
    ['the point at infinity', ec('nistp256', Buffer.of(0)), 'ssh.malformed'],
    ['a point of zeros', ec('nistp256', Buffer.concat([Buffer.of(4), Buffer.alloc(64)])), 'ssh.invalid_key'],
    ['an RSA key of 1016 bits', rsaBlob(e65537, modulus.subarray(0, 127)), 'ssh.invalid_key'],
    ['an RSA key of over 16384 bits', rsaBlob(e65537, Buffer.alloc(2049, 1)), 'ssh.invalid_key'],
    ['an RSA key of 4 KiB', rsaBlob(e65537, Buffer.alloc(4096, 1)), 'ssh.malformed'],
    ['an even modulus', rsaBlob(e65537, Buffer.alloc(256, 0xaa)), 'ssh.invalid_key'],
    ['an even exponent', rsaBlob(Buffer.of(4), modulus), 'ssh.invalid_key'],
    ['exponent 1', rsaBlob(Buffer.of(1), modulus), 'ssh.invalid_key'],
    ['exponent 0', rsaBlob(Buffer.alloc(0), modulus), 'ssh.invalid_key'],
    ['an exponent of 72 bits', rsaBlob(Buffer.alloc(9, 1), modulus), 'ssh.invalid_key'],
    [
      'a negative modulus',
      writer().string('ssh-rsa').mpint(e65537).string(modulus).finish(),
      'ssh.malformed',
    ],
    [
      'a modulus with a needless zero',
      writer()
        .string('ssh-rsa')
        .string(Buffer.from([0, 1, 0, 1]))
        .mpint(modulus)
        .finish(),
      'ssh.malformed',
    ],
  ])('refuses %s', (_, blob, code) => {
    expect(codeOf(() => parsePublicKeyBlob(blob))).toBe(code);
  });
});

describe('key objects', () => {
  it('come back as the same SSH key', () => {
    for (const ca of [ed25519, p256, testCa('ecdsa-p384'), testCa('ecdsa-p521'), rsa])
      expect(publicKeyFromKeyObject(publicKeyToKeyObject(ca.publicKey))).toEqual(ca.publicKey);
  });
  it('hold the plain key of a security key', () => {
    expect(publicKeyToKeyObject(softwareToken('ecdsa-p256').publicKey).asymmetricKeyType).toBe('ec');
  });
  it.each([
    ['X25519', generateKeyPairSync('x25519').publicKey],
    ['Ed448', generateKeyPairSync('ed448').publicKey],
    ['secp256k1', generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey],
    ['RSA-PSS', generateKeyPairSync('rsa-pss', { modulusLength: 1024 }).publicKey],
  ])('of kind %s have no SSH type', (_, keyObject) => {
    expect(codeOf(() => publicKeyFromKeyObject(keyObject))).toBe('ssh.unknown_key_type');
  });
});

it('fingerprints as ssh-keygen does', () => {
  // The key of RFC 8032 section 7.1 test 1; the value is what `ssh-keygen -l` (9.2p1) prints for it.
  const blob = writer()
    .string('ssh-ed25519')
    .string(Buffer.from('d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a', 'hex'))
    .finish();
  expect(fingerprint(blob)).toBe('SHA256:bbXpuKG6zhzdmnxq256TlqzFBzRl2f6OOg722cYNbU8');
});
