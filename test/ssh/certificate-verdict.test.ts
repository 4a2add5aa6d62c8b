import { describe, expect, it } from 'vitest';
import { parseCertificate, verifyCertificate } from '../../src/ssh/index.ts';
import type { CertificateFields, CertificateQuestion } from '../../src/ssh/index.ts';
import { codeOf, craft, issue, nowSeconds, optionsSection, testCa, testFields, wrapped } from './fixtures.ts';
import type { CraftedFields } from './fixtures.ts';

const ca = testCa('ed25519');
const subject = testCa('ed25519').publicKey;
const question: CertificateQuestion = {
  trustedCaKeys: [testCa('ecdsa-p256').publicKey, ca.publicKey],
  nowSeconds,
  kind: 'user',
  principal: 'alice',
  sourceAddress: '10.1.2.3',
};

function checkOf(blob: Buffer, changed: Partial<CertificateQuestion> = {}): string {
  const verdict = verifyCertificate(parseCertificate(blob), { ...question, ...changed });
  return verdict.outcome === 'valid' ? 'valid' : verdict.check;
}
const issued = (changed: Partial<CertificateFields> = {}): Buffer => issue(ca, testFields(subject, changed));
const crafted = (fields: CraftedFields): Buffer => craft(ca, subject, fields);
const fromTen = { criticalOptions: new Map([['source-address', '10.0.0.0/8']]) };
const verifyRequired = { criticalOptions: new Map([['verify-required', '']]) };
const isRevoked = (): boolean => true;

describe('verifyCertificate', () => {
  it.each<[string, Buffer, Partial<CertificateQuestion>]>([
    ['what was issued', issued(), {}],
    ['any principal when none is asked for', issued(), { principal: undefined }],
    ['the first second', issued({ validAfter: nowSeconds }), {}],
    ['the last second', issued({ validBefore: nowSeconds + 1n }), {}],
    ['always and forever', issued({ validAfter: 0n, validBefore: 2n ** 64n - 1n }), {}],
    ['an address inside', issued(fromTen), {}],
    ['a command and a demand for verification', issued(verifyRequired), {}],
    ['an unknown extension', issued({ extensions: new Map([['login@example.com', 'x']]) }), {}],
    ['a host certificate', issued({ kind: 'host' }), { kind: 'host' }],
  ])('takes %s', (_, blob, changed) => {
    expect(checkOf(blob, changed)).toBe('valid');
  });

  const other = testCa('ed25519');
  it.each<[string, string, Buffer, Partial<CertificateQuestion>]>([
    ['signature', 'a changed byte', craft(other, subject, { caBlob: ca.publicKey.blob }), {}],
    ['revoked', 'a revoked certificate', issued(), { isRevoked }],
    ['untrusted_ca', 'another CA', issue(other, testFields(subject)), {}],
    ['untrusted_ca', 'every CA when none is trusted', issued(), { trustedCaKeys: [] }],
    ['untrusted_ca', 'a certificate that the subject signed itself', craft(testCa('ed25519'), subject), {}],
    ['kind', 'a host certificate for a user', issued({ kind: 'host' }), {}],
    ['kind', 'a user certificate for a host', issued(), { kind: 'host' }],
    ['not_yet_valid', 'a certificate of the next second', issued({ validAfter: nowSeconds + 1n }), {}],
    ['expired', 'the second at which it ends', issued({ validBefore: nowSeconds }), {}],
    [
      'expired',
      'an end before the start',
      crafted({ validAfter: nowSeconds - 9n, validBefore: nowSeconds - 10n }),
      {},
    ],
    ['no_principals', 'no principals', crafted({ principals: [] }), {}],
    [
      'no_principals',
      'no principals when none is asked for',
      crafted({ principals: [] }),
      { principal: undefined },
    ],
    [
      'no_principals',
      'a host certificate without names',
      crafted({ principals: [], kind: 2 }),
      { kind: 'host' },
    ],
    ['principal', 'another principal', issued(), { principal: 'bob' }],
    ['principal', 'another case', issued(), { principal: 'Alice' }],
    ['principal', 'a part of a name', issued({ principals: ['alice,bob'] }), {}],
    ['principal', 'a pattern', issued({ principals: ['*'] }), {}],
    [
      'principal',
      'a host pattern',
      issued({ kind: 'host', principals: ['*.example'] }),
      { kind: 'host', principal: 'a.example' },
    ],
    [
      'critical_option',
      'an unknown critical option',
      crafted({ criticalOptions: optionsSection(['only-mondays', '']) }),
      {},
    ],
    [
      'critical_option',
      'an extension given as critical',
      crafted({ criticalOptions: optionsSection(['no-touch-required', '']) }),
      {},
    ],
    [
      'critical_option',
      'any critical option for a host',
      crafted({ kind: 2, criticalOptions: optionsSection(['force-command', wrapped('ls')]) }),
      { kind: 'host' },
    ],
    ['source_address', 'an address outside', issued(fromTen), { sourceAddress: '11.1.2.3' }],
    ['source_address', 'no address where one is needed', issued(fromTen), { sourceAddress: undefined }],
    ['source_address', 'something that is no address', issued(fromTen), { sourceAddress: '10.1' }],
    [
      'source_address',
      'a list with host bits',
      crafted({ criticalOptions: optionsSection(['source-address', wrapped('10.1.2.3/8')]) }),
      {},
    ],
    [
      'source_address',
      'a list of names',
      crafted({ criticalOptions: optionsSection(['source-address', wrapped('10.0.0.0/8,host')]) }),
      {},
    ],
  ])('refuses by %s: %s', (check, _, blob, changed) => {
    expect(checkOf(blob, changed)).toBe(check);
  });

  it('names the first of several failing checks, in the order of sshd', () => {
    const wrong = crafted({ kind: 2, validBefore: 1n, principals: [] });
    expect(checkOf(wrong, { trustedCaKeys: [], isRevoked })).toBe('revoked');
    expect(checkOf(wrong, { trustedCaKeys: [] })).toBe('untrusted_ca');
    expect(checkOf(wrong)).toBe('kind');
    expect(checkOf(wrong, { kind: 'host' })).toBe('expired');
  });

  it('hands the certificate to the revocation check', () => {
    const seen: bigint[] = [];
    checkOf(issued({ serial: 77n }), { isRevoked: ({ serial }) => seen.push(serial) === 0 });
    expect(seen).toEqual([77n]);
  });

  it('never sees a CA that is itself a certificate: it cannot be parsed', () => {
    const intermediate = issue(ca, testFields(other.publicKey));
    expect(codeOf(() => parseCertificate(craft(other, subject, { caBlob: intermediate })))).toBe(
      'ssh.ca_is_certificate',
    );
  });
});
