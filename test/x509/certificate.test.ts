import { spawnSync } from 'node:child_process';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { isCodedError, systemRandom } from '../../src/kernel/index.ts';
import { createCertificate, type CertificateRequest } from '../../src/x509/index.ts';
import { describeWithPeers } from '../support/peers.ts';

const nowMs = Date.UTC(2026, 10, 23, 12);
const dayMs = 86_400_000;
const newKeys = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });
const caKeys = newKeys();
const serverKeys = newKeys();

const caRequest = (over: Partial<CertificateRequest> = {}): CertificateRequest => ({
  commonName: 'Test CA',
  publicKey: caKeys.publicKey,
  notBeforeMs: nowMs - dayMs,
  notAfterMs: nowMs + 3650 * dayMs,
  purpose: { kind: 'ca' },
  ...over,
});
const makeCa = (over: Partial<CertificateRequest> = {}): string =>
  createCertificate(caRequest(over), caKeys.privateKey, { random: systemRandom });
const ca = makeCa();

function makeServer(names: readonly string[], over: Partial<CertificateRequest> = {}, issuer = ca): string {
  const request = {
    commonName: 'server',
    publicKey: serverKeys.publicKey,
    notBeforeMs: nowMs - dayMs,
    notAfterMs: nowMs + 397 * dayMs,
    purpose: { kind: 'tls-server', names } as const,
    ...over,
  };
  return createCertificate(request, caKeys.privateKey, {
    issuer: new X509Certificate(issuer),
    random: systemRandom,
  });
}

function codeOf(work: () => unknown): string {
  try {
    work();
    return 'done';
  } catch (error) {
    if (isCodedError(error)) return error.code;
    throw error;
  }
}

describe('a certificate, to node', () => {
  it('names its issuer, its key, its purpose and its names', () => {
    const [issuer, server] = [
      new X509Certificate(ca),
      new X509Certificate(makeServer(['broker.example.com', '127.0.0.1'])),
    ];
    expect(issuer.ca).toBe(true);
    expect(server.ca).toBe(false);
    expect([server.issuer, server.subject]).toEqual(['CN=Test CA', 'CN=server']);
    expect(server.verify(issuer.publicKey)).toBe(true);
    expect(server.checkIssued(issuer)).toBe(true);
    expect(server.checkPrivateKey(serverKeys.privateKey)).toBe(true);
    expect(server.subjectAltName).toBe('DNS:broker.example.com, IP Address:127.0.0.1');
    expect(server.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
    expect(server.verify(newKeys().publicKey)).toBe(false);
  });

  it('has a positive serial of 20 octets, another one each time', () => {
    const serials = Array.from(
      { length: 50 },
      () => new X509Certificate(makeServer(['a.example'])).serialNumber,
    );
    expect(new Set(serials).size).toBe(50);
    for (const serial of serials) expect(serial).toMatch(/^[4-7][0-9A-F]{39}$/);
    const zeros = createCertificate(caRequest(), caKeys.privateKey, { random: (size) => Buffer.alloc(size) });
    const ones = createCertificate(caRequest(), caKeys.privateKey, {
      random: (size) => Buffer.alloc(size, 0xff),
    });
    expect(new X509Certificate(zeros).serialNumber).toBe(`40${'0'.repeat(38)}`);
    expect(new X509Certificate(ones).serialNumber).toBe(`7F${'F'.repeat(38)}`);
  });

  it.each([
    ['2049-12-31T23:59:59Z', 0x17],
    ['2050-01-01T00:00:00Z', 0x18],
    ['2999-06-30T12:34:56Z', 0x18],
  ])('ends at %s, in the type of time that belongs there', (text, tag) => {
    const notAfterMs = Date.parse(text);
    const certificate = new X509Certificate(makeCa({ notAfterMs }));
    expect(Date.parse(certificate.validTo)).toBe(notAfterMs);
    const digits = text.replaceAll(/[-:T]/g, '').slice(tag === 0x17 ? 2 : 0);
    const encoded = Buffer.concat([Buffer.of(tag, digits.length), Buffer.from(digits)]);
    expect(certificate.raw.includes(encoded)).toBe(true);
  });

  it('keeps whole seconds', () => {
    const certificate = new X509Certificate(makeCa({ notBeforeMs: nowMs + 999 }));
    expect(Date.parse(certificate.validFrom)).toBe(nowMs);
  });

  it('writes names in lower case, and any IPv6 text as its sixteen octets', () => {
    const names = [
      'Broker.Example.COM',
      '::1',
      '::',
      '2001:DB8::1',
      '2001:db8:0:0:1:0:0:1',
      '::ffff:192.0.2.1',
      '1:2:3:4:5:6:7:8',
    ];
    const { subjectAltName } = new X509Certificate(makeServer(names));
    expect(subjectAltName?.split(', ')).toEqual([
      'DNS:broker.example.com',
      'IP Address:0:0:0:0:0:0:0:1',
      'IP Address:0:0:0:0:0:0:0:0',
      'IP Address:2001:DB8:0:0:0:0:0:1',
      'IP Address:2001:DB8:0:0:1:0:0:1',
      'IP Address:0:0:0:0:0:FFFF:C000:201',
      'IP Address:1:2:3:4:5:6:7:8',
    ]);
  });
});

describe('a name', () => {
  it.each([
    '',
    ' ',
    '*.example.com',
    'broker.example.com.',
    '.example.com',
    'broker..example.com',
    '-broker.example.com',
    'broker-.example.com',
    'broker_1.example.com',
    'broker.example.com:8443',
    'https://broker.example.com',
    'bröker.example.com',
    'a b',
    'a\nb',
    'a\0b',
    'a,DNS:evil.example',
    `${'a'.repeat(64)}.example`,
    `${'a.'.repeat(127)}ab`,
    '256.1.1.1',
    '1.2.3',
    '1.2.3.4.5',
    '192.0.2.1/24',
    'fe80::1%eth0',
    '[::1]',
    ':::1',
    'user@example.com',
  ])('“%s” is refused', (name) => {
    expect(codeOf(() => makeServer([name]))).toBe('x509.bad_name');
  });

  it.each([
    'a',
    'a-b.c1',
    'xn--brker-kva.example',
    `${'a'.repeat(63)}.example`,
    `${'a.'.repeat(126)}a`,
    '3com.example',
  ])('“%s” is taken', (name) => {
    expect(codeOf(() => makeServer([name]))).toBe('done');
  });

  it('that is common has 1 to 64 characters', () => {
    for (const [commonName, code] of [
      ['', 'x509.bad_name'],
      ['x'.repeat(65), 'x509.bad_name'],
      ['x'.repeat(64), 'done'],
    ] as const)
      expect(codeOf(() => makeCa({ commonName }))).toBe(code);
  });
});

describeWithPeers(['openssl'], 'a certificate, to openssl', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-x509-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const at = (name: string): string => join(folder, name);
  const openssl = (...args: string[]): { ok: boolean; text: string } => {
    const { status, stdout, stderr } = spawnSync('openssl', args, { encoding: 'utf8' });
    return { ok: status === 0, text: `${stdout}${stderr}` };
  };
  const verify = (certificate: string, ...checks: string[]): { ok: boolean; text: string } => {
    writeFileSync(at('ca.pem'), ca);
    writeFileSync(at('server.pem'), certificate);
    const when = ['-attime', String(Math.floor(nowMs / 1000))];
    return openssl('verify', '-x509_strict', ...when, '-CAfile', at('ca.pem'), ...checks, at('server.pem'));
  };

  it('stands the strict check, for its purpose and each of its names', () => {
    const server = makeServer(['broker.example.com', '192.0.2.1', '2001:db8::1']);
    for (const checks of [
      ['-purpose', 'sslserver'],
      ['-verify_hostname', 'broker.example.com'],
      ['-verify_ip', '192.0.2.1'],
      ['-verify_ip', '2001:db8::1'],
    ])
      expect(verify(server, ...checks)).toMatchObject({ ok: true });
  });

  it('is refused for what it is not', () => {
    const server = makeServer(['broker.example.com']);
    for (const checks of [
      ['-purpose', 'sslclient'],
      ['-verify_hostname', 'other.example.com'],
      ['-verify_ip', '192.0.2.1'],
    ])
      expect(verify(server, ...checks).ok).toBe(false);
    expect(verify(makeServer(['a.example'], { notAfterMs: nowMs - 1000 })).text).toContain('expired');
    expect(verify(makeServer(['a.example'], { notBeforeMs: nowMs + 1000 })).text).toContain('not yet valid');
  });

  it('signs no certificate below a server’s, and no CA below the CA', () => {
    const server = makeServer(['broker.example.com']);
    const below = createCertificate(
      caRequest({ commonName: 'Below', publicKey: serverKeys.publicKey }),
      caKeys.privateKey,
      {
        issuer: new X509Certificate(ca),
        random: systemRandom,
      },
    );
    for (const [middle, name] of [
      [server, 'server'],
      [below, 'below'],
    ] as const) {
      writeFileSync(at('middle.pem'), middle);
      const leaf = createCertificate(
        {
          commonName: name,
          publicKey: newKeys().publicKey,
          notBeforeMs: nowMs - dayMs,
          notAfterMs: nowMs + dayMs,
          purpose: { kind: 'tls-server', names: ['evil.example'] },
        },
        serverKeys.privateKey,
        { issuer: new X509Certificate(middle), random: systemRandom },
      );
      expect([name, verify(leaf, '-untrusted', at('middle.pem')).ok]).toEqual([name, false]);
    }
  });

  it('parses without a complaint, with every extension in its place', () => {
    writeFileSync(at('one.pem'), makeServer(['broker.example.com']));
    const { text } = openssl('x509', '-in', at('one.pem'), '-noout', '-text');
    for (const line of [
      'Version: 3',
      'ecdsa-with-SHA256',
      'X509v3 Basic Constraints: critical',
      'CA:FALSE',
      'X509v3 Key Usage: critical',
      'Digital Signature',
      'TLS Web Server Authentication',
      'X509v3 Subject Key Identifier',
      'X509v3 Authority Key Identifier',
      'DNS:broker.example.com',
    ])
      expect(text).toContain(line);
    writeFileSync(at('two.pem'), ca);
    expect(openssl('x509', '-in', at('two.pem'), '-noout', '-text').text).toMatch(/CA:TRUE, pathlen:0/);
  });
});
