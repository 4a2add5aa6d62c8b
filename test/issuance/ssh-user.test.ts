import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  createSshUserIssuer,
  formatCertificate,
  maxUserCertificateSeconds,
  newKeyId,
  readSubjectKey,
  type LintedSshUser,
} from '../../src/issuance/index.ts';
import {
  isCodedError,
  parseKeyId,
  systemRandom,
  type KeyId,
  type Principal,
  type Serial,
} from '../../src/kernel/index.ts';
import { createSigner, generatePrivateKey, type Signer } from '../../src/keys/index.ts';
import type { UserGrant } from '../../src/policy/index.ts';
import {
  formatPublicKey,
  parseCertificate,
  publicKeyFromKeyObject,
  type PublicKey,
} from '../../src/ssh/index.ts';

const nowMs = Date.UTC(2026, 10, 23, 12);
const now = BigInt(nowMs / 1000);
const subjectKey = publicKeyFromKeyObject(generateKeyPairSync('ed25519').publicKey);

function counting(signer: Signer): Signer & { count: number } {
  const counted = {
    ...signer,
    count: 0,
    sign(message: Uint8Array) {
      counted.count += 1;
      return signer.sign(message);
    },
  };
  return counted;
}
const signer = counting(createSigner(generateKeyPairSync('ed25519').privateKey));
const issuer = createSshUserIssuer({ signer, random: systemRandom });

const grant = (over: Partial<UserGrant> = {}): UserGrant => ({
  profile: 'users',
  rule: 'profiles.users (policy.yaml:1)',
  requireWitness: false,
  policyVersion: 'ab'.repeat(32),
  principals: ['anna' as Principal],
  personalPrincipals: [],
  validAfter: now - 60n,
  validBefore: now + 3600n,
  criticalOptions: new Map(),
  extensions: new Map([['permit-pty', '']]),
  ...over,
});
const subject = (over: { key?: PublicKey; serial?: bigint; keyId?: KeyId } = {}) => ({
  key: subjectKey,
  keyId: parseKeyId('sp-1'),
  ...over,
  serial: (over.serial ?? 7n) as Serial,
});

function codeOf(work: () => unknown): string {
  try {
    work();
    return 'done';
  } catch (error) {
    if (isCodedError(error)) return error.code;
    throw error;
  }
}
const principals = (...names: string[]): Partial<UserGrant> => ({ principals: names as Principal[] });

describe('lint', () => {
  it('lets a sound certificate pass, and signs nothing', () => {
    expect(codeOf(() => issuer.lint(grant(), subject(), nowMs))).toBe('done');
    expect(signer.count).toBe(0);
  });

  it.each<[string, Partial<UserGrant>, string?]>([
    ['no principal', principals()],
    ['the same principal twice', principals('anna', 'bert', 'anna')],
    ['an empty principal', principals('anna', ''), 'kernel.bad_principal'],
    ['a comma in a principal', principals('anna,root'), 'kernel.bad_principal'],
    ['a space in a principal', principals('anna root'), 'kernel.bad_principal'],
    ['a line break in a principal', principals('anna\nroot'), 'kernel.bad_principal'],
    ['a NUL in a principal', principals('anna\0'), 'kernel.bad_principal'],
    ['a wildcard in a principal', principals('a*'), 'kernel.bad_principal'],
    ['a negation in a principal', principals('!anna'), 'kernel.bad_principal'],
    ['a comment sign in a principal', principals('#anna'), 'kernel.bad_principal'],
    ['a letter that only looks like one', principals('аnna'), 'kernel.bad_principal'],
    ['a principal of 129 characters', principals('a'.repeat(129)), 'kernel.bad_principal'],
    ['an empty life', { validAfter: now, validBefore: now }],
    ['a life that runs backwards', { validAfter: now + 10n, validBefore: now }],
    ['a life over 24 hours', { validBefore: now - 60n + maxUserCertificateSeconds + 61n }],
    ['a life without end', { validBefore: (1n << 64n) - 1n }],
    ['a start more than 5 minutes ahead', { validAfter: now + 301n }],
    ['a life that is over', { validAfter: now - 3600n, validBefore: now }],
  ])('refuses %s', (_what, over, code = 'issuance.lint') => {
    expect(codeOf(() => issuer.lint(grant(over), subject(), nowMs))).toBe(code);
  });

  it('takes what lies just inside', () => {
    const inside: Partial<UserGrant>[] = [
      { validBefore: now - 60n + maxUserCertificateSeconds + 60n },
      { validAfter: now + 300n },
      { validBefore: now + 1n },
      principals(...Array.from({ length: 64 }, (_, at) => `p${at}`)),
      principals('a'.repeat(128)),
    ];
    for (const over of inside) expect(codeOf(() => issuer.lint(grant(over), subject(), nowMs))).toBe('done');
  });

  it('refuses serials that OpenSSH cannot revoke or write', () => {
    expect(codeOf(() => issuer.lint(grant(), subject({ serial: 0n }), nowMs))).toBe('issuance.lint');
    expect(codeOf(() => issuer.lint(grant(), subject({ serial: -1n }), nowMs))).toBe('issuance.lint');
    expect(codeOf(() => issuer.lint(grant(), subject({ serial: 1n << 64n }), nowMs))).not.toBe('done');
    expect(codeOf(() => issuer.lint(grant(), subject({ serial: (1n << 64n) - 1n }), nowMs))).toBe('done');
  });

  it('refuses key ids that sshd would print into its log as they are', () => {
    for (const keyId of ['', 'a b', 'a\nb', 'x'.repeat(65), '"quoted"'])
      expect(codeOf(() => issuer.lint(grant(), subject({ keyId: keyId as KeyId }), nowMs))).toBe(
        'kernel.bad_key_id',
      );
  });

  it('refuses to certify the CA key itself', () => {
    expect(codeOf(() => issuer.lint(grant(), subject({ key: issuer.caKey }), nowMs))).toBe('issuance.lint');
  });

  it('refuses options that the format does not take', () => {
    const critical = (name: string, value: string): Partial<UserGrant> => ({
      criticalOptions: new Map([[name, value]]),
    });
    for (const over of [
      critical('source-address', '10.0.0.0/99'),
      critical('source-address', 'example.com'),
      critical('', 'x'),
    ])
      expect(codeOf(() => issuer.lint(grant(over), subject(), nowMs))).not.toBe('done');
  });
});

describe('sign', () => {
  it('signs what was linted, once', async () => {
    const before = signer.count;
    const linted = issuer.lint(grant(), subject(), nowMs);
    const blob = await issuer.sign(linted);
    const certificate = parseCertificate(formatCertificate(blob, 'sp-1'));
    expect([certificate.serial, certificate.keyId, certificate.principals]).toEqual([7n, 'sp-1', ['anna']]);
    expect(codeOf(() => issuer.sign(linted))).toBe('issuance.not_linted');
    expect(signer.count).toBe(before + 1);
  });

  it('signs nothing that was not linted here', () => {
    const before = signer.count;
    const other = createSshUserIssuer({ signer, random: systemRandom });
    const foreign = other.lint(grant(), subject(), nowMs);
    const copied: LintedSshUser = { ...issuer.lint(grant(), subject(), nowMs) };
    const invented: LintedSshUser = { fields: foreign.fields };
    for (const value of [foreign, copied, invented])
      expect(codeOf(() => issuer.sign(value))).toBe('issuance.not_linted');
    expect(signer.count).toBe(before);
  });

  it('signs the bytes that were linted, whatever became of their description', async () => {
    const names = ['anna'];
    const linted = issuer.lint(grant({ principals: names as Principal[] }), subject(), nowMs);
    names.push('root');
    const certificate = parseCertificate(formatCertificate(await issuer.sign(linted), 'x'));
    expect(certificate.principals).toEqual(['anna']);
  });

  it('never uses a nonce twice', async () => {
    const nonces = new Set<string>();
    for (let count = 0; count < 300; count += 1) {
      const blob = await issuer.sign(issuer.lint(grant(), subject(), nowMs));
      nonces.add(Buffer.from(parseCertificate(formatCertificate(blob, 'x')).nonce).toString('hex'));
    }
    expect(nonces.size).toBe(300);
    expect([...nonces].every((nonce) => nonce.length === 64)).toBe(true);
  });

  it('waits for an RSA key, and answers at once for the others', async () => {
    for (const [algorithm, atOnce] of [
      ['rsa-3072', false],
      ['ecdsa-p256', true],
      ['ed25519', true],
    ] as const) {
      const own = createSshUserIssuer({
        signer: createSigner(await generatePrivateKey(algorithm)),
        random: systemRandom,
      });
      const signed = own.sign(own.lint(grant(), subject(), nowMs));
      expect([algorithm, Buffer.isBuffer(signed)]).toEqual([algorithm, atOnce]);
      expect(parseCertificate(formatCertificate(await signed, 'x')).serial).toBe(7n);
    }
  });
});

describe('key ids and subject keys', () => {
  it('make key ids that mean nothing and do not repeat', () => {
    const ids = new Set(Array.from({ length: 1000 }, () => newKeyId(systemRandom)));
    expect(ids.size).toBe(1000);
    for (const id of ids) expect(id).toMatch(/^sp-[0-9a-f]{16}$/);
  });

  it('say of a key what policy and log need', () => {
    const subjectOf = readSubjectKey(formatPublicKey(subjectKey, 'comment'));
    expect(subjectOf.facts).toEqual({ type: 'ssh-ed25519', bits: 256 });
    expect(subjectOf.fingerprint).toMatch(/^SHA256:[A-Za-z0-9+/]{43}$/);
    expect(codeOf(() => readSubjectKey('ssh-ed25519 AAAA'))).toMatch(/^ssh\./);
  });
});
