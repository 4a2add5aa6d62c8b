import { describe, expect, it } from 'vitest';
import {
  SshWriter,
  encodeSignature,
  encodeSshsig,
  encodeSshsigToBeSigned,
  parseSshsig,
  verifySshsig,
} from '../../src/ssh/index.ts';
import type { SshsigHash } from '../../src/ssh/index.ts';
import { allAlgorithms, codeOf, issue, softwareToken, testCa, testFields } from './fixtures.ts';
import type { TestCa } from './fixtures.ts';

const signer = testCa('ed25519');
const message = Buffer.from('what was signed');
const namespace = 'list@example.com';

function signed(ca: TestCa, hash?: SshsigHash): string {
  const raw = ca.sign(encodeSshsigToBeSigned(namespace, message, hash));
  return encodeSshsig(ca.publicKey, namespace, encodeSignature(ca.algorithm, raw), hash);
}

function checkOf(
  armoured: string,
  changed: Partial<Parameters<typeof verifySshsig>[2]> = {},
  over = message,
): string {
  const verdict = verifySshsig(armoured, over, { namespace, trustedKeys: [signer.publicKey], ...changed });
  return verdict.outcome === 'valid' ? 'valid' : verdict.check;
}

const armour = (blob: Buffer): string =>
  `-----BEGIN SSH SIGNATURE-----\n${blob.toString('base64')}\n-----END SSH SIGNATURE-----\n`;
const signature = encodeSignature('ed25519', Buffer.alloc(64, 1));

/** Everything behind the magic and version can be replaced. */
function handmade(fields: {
  magic?: string;
  version?: number;
  key?: Buffer;
  namespace?: string;
  hash?: string;
  signature?: Buffer;
  trailing?: string;
}): string {
  const writer = new SshWriter().raw(Buffer.from(fields.magic ?? 'SSHSIG')).uint32(fields.version ?? 1);
  writer
    .string(fields.key ?? signer.publicKey.blob)
    .string(fields.namespace ?? namespace)
    .string('');
  writer.string(fields.hash ?? 'sha512').string(fields.signature ?? signature);
  return armour(writer.raw(Buffer.from(fields.trailing ?? '')).finish());
}

describe('an SSH signature', () => {
  it('verifies for every algorithm and both hashes', () => {
    for (const algorithm of allAlgorithms) {
      const ca = testCa(algorithm);
      for (const hash of ['sha256', 'sha512'] as const) {
        const armoured = signed(ca, hash);
        expect(checkOf(armoured, { trustedKeys: [ca.publicKey] })).toBe('valid');
        expect(parseSshsig(armoured)).toMatchObject({ publicKey: ca.publicKey, namespace, hash });
      }
    }
  });
  it('keeps its value with CRLF line ends', () => {
    expect(checkOf(signed(signer).replaceAll('\n', '\r\n'))).toBe('valid');
  });

  it.each<[string, string, Parameters<typeof checkOf>]>([
    ['namespace', 'another namespace', [signed(signer), { namespace: 'file' }]],
    ['untrusted_key', 'another key', [signed(testCa('ed25519'))]],
    ['untrusted_key', 'every key when none is trusted', [signed(signer), { trustedKeys: [] }]],
    ['signature', 'another message', [signed(signer), {}, Buffer.from('what was not signed')]],
    ['signature', 'another hash than was signed', [handmade({ hash: 'sha256' })]],
    ['signature', 'a made-up signature', [handmade({})]],
    ['form', 'no signature at all', ['']],
    ['form', 'half a signature', [signed(signer).slice(0, 120)]],
  ])('is refused by %s: %s', (check, _, args) => {
    expect(checkOf(...args)).toBe(check);
  });

  it('of a security key needs a touch, and its counter is signed', () => {
    for (const algorithm of ['ed25519', 'ecdsa-p256'] as const) {
      const token = softwareToken(algorithm);
      const toBeSigned = encodeSshsigToBeSigned(namespace, message);
      const made = (flags: number, counter: number): string =>
        encodeSshsig(token.publicKey, namespace, token.sign(toBeSigned, flags, counter));
      const trust = { trustedKeys: [token.publicKey] };
      expect(parseSshsig(made(5, 9)).signature).toMatchObject({ flags: 5, counter: 9 });
      expect(checkOf(made(1, 9), trust)).toBe('valid');
      expect(checkOf(made(4, 9), trust)).toBe('touch');
      const forged = token.sign(toBeSigned, 0, 9);
      forged.writeUInt8(1, forged.length - 5);
      expect(checkOf(encodeSshsig(token.publicKey, namespace, forged), trust)).toBe('signature');
    }
  });
});

describe('parseSshsig', () => {
  const good = signed(signer);
  it.each<[string, string, string]>([
    ['nothing', '', 'ssh.not_a_signature'],
    ['text in front', `x\n${good}`, 'ssh.not_a_signature'],
    ['text behind', `${good}x`, 'ssh.not_a_signature'],
    ['two signatures', `${good}${good}`, 'ssh.not_a_signature'],
    ['an empty body', armour(Buffer.alloc(0)), 'ssh.not_a_signature'],
    ['a megabyte', armour(Buffer.alloc(1 << 20)), 'ssh.not_a_signature'],
    ['another magic', handmade({ magic: 'SSHSIX' }), 'ssh.malformed'],
    ['version 2', handmade({ version: 2 }), 'ssh.malformed'],
    ['trailing bytes', handmade({ trailing: 'x' }), 'ssh.malformed'],
    ['no namespace', handmade({ namespace: '' }), 'ssh.malformed'],
    ['SHA-1', handmade({ hash: 'sha1' }), 'ssh.malformed'],
    [
      'a certificate as key',
      handmade({ key: issue(signer, testFields(signer.publicKey)) }),
      'ssh.certificate_as_key',
    ],
    [
      'a signature of another algorithm',
      handmade({ signature: encodeSignature('ecdsa-p256', Buffer.alloc(64, 1)) }),
      'ssh.wrong_signature_algorithm',
    ],
    ['a signature with a cut end', handmade({ signature: signature.subarray(0, -1) }), 'ssh.malformed'],
  ])('refuses %s', (_, text, code) => {
    expect(codeOf(() => parseSshsig(text))).toBe(code);
  });
  it('needs a namespace to sign for', () => {
    expect(codeOf(() => encodeSshsigToBeSigned('', message))).toBe('ssh.no_namespace');
  });
});

describe('an ECDSA signature blob', () => {
  const ca = testCa('ecdsa-p521');
  const halves = (r: Buffer, s: Buffer, trailing = ''): Buffer => {
    const body = new SshWriter().string(r).string(s).raw(Buffer.from(trailing)).finish();
    return new SshWriter().string('ecdsa-sha2-nistp521').string(body).finish();
  };
  it.each([
    ['a padded integer', halves(Buffer.from([0, 1]), Buffer.of(1))],
    ['a negative integer', halves(Buffer.of(0x80), Buffer.of(1))],
    ['an integer wider than the curve', halves(Buffer.alloc(67, 1), Buffer.of(1))],
    ['bytes behind s', halves(Buffer.of(1), Buffer.of(1), 'x')],
    [
      'a missing s',
      new SshWriter()
        .string('ecdsa-sha2-nistp521')
        .string(Buffer.from([0, 0, 0, 1, 1]))
        .finish(),
    ],
  ])('with %s is malformed', (_, blob) => {
    const text = encodeSshsig(ca.publicKey, namespace, blob);
    expect(codeOf(() => parseSshsig(text))).toBe('ssh.malformed');
  });
  it('drops leading zeros and keeps the sign bit clear', () => {
    const raw = Buffer.concat([Buffer.alloc(65), Buffer.of(0x80), Buffer.alloc(65), Buffer.of(0x7f)]);
    expect(encodeSignature('ecdsa-p521', raw).subarray(-11).toString('hex')).toBe('000000020080000000017f');
  });
});
