import { X509Certificate } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { clientAdvice, makeTrustPack, trustClients } from '../../../src/doors/ibmi/index.ts';
import { systemRandom } from '../../../src/kernel/index.ts';
import { codeOfSync } from '../../support/code-of.ts';
import { runCli } from '../../support/fake-terminal.ts';
import { makeTestAuthority, type TestAuthority } from '../../support/ibmi-tls.ts';
import { describeWithPeers } from '../../support/peers.ts';
import { run } from '../../support/slapd.ts';

const keytool = '/usr/bin/keytool';

describeWithPeers(['openssl'], 'what makes clients trust', () => {
  let folder: string;
  let authority: TestAuthority;
  let authorities: readonly X509Certificate[];

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'sallyport-trust-'));
    authority = makeTestAuthority(join(folder, 'ca'), 'ours');
    authorities = [authority.root, authority.issuing].map((pem) => new X509Certificate(pem));
    for (const { path, bytes } of makeTrustPack('jdbc', authorities, systemRandom)) {
      mkdirSync(dirname(join(folder, 'pack', path)), { recursive: true });
      writeFileSync(join(folder, 'pack', path), bytes);
    }
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const openssl = (line: string): string => run('openssl', line.split(' '), { cwd: join(folder, 'pack') });

  it('is read by openssl in every form', () => {
    const subjects = ['ours-root', 'ours-issuing'];
    const named = (text: string): unknown =>
      [...text.matchAll(/^subject=CN ?= ?(.+)$/gm)].map(([, name]) => name);
    expect(named(openssl('pkcs7 -inform DER -in ca-bundle.p7b -print_certs -noout'))).toEqual(subjects);
    expect(named(openssl('pkcs12 -in trust.p12 -passin pass:changeit -nokeys'))).toEqual(subjects);
    expect(
      named(
        openssl('x509 -in ca/01-root.crt -noout -subject') +
          openssl('x509 -inform DER -in ca/02-issuing.der -noout -subject'),
      ),
    ).toEqual(subjects);
    expect(openssl('pkcs12 -in trust.p12 -passin pass:changeit -nokeys')).toContain(
      'friendlyName: sallyport-01-root',
    );
    expect(readFileSync(join(folder, 'pack', 'ca-bundle.pem'), 'utf8')).toBe(
      authorities.map((one) => one.toString()).join(''),
    );
  });

  it('has a checksum that another password does not fit', () => {
    expect(() => openssl('pkcs12 -in trust.p12 -passin pass:changeme -nokeys')).toThrow();
  });

  it.skipIf(!existsSync(keytool)).each(['PKCS12', 'JKS'])(
    'is a trust store for keytool that expects %s',
    (kind) => {
      const store = join(folder, 'pack', 'trust.p12');
      const text = run(keytool, [
        '-J-Duser.language=en',
        '-list',
        '-keystore',
        store,
        '-storetype',
        kind,
        '-storepass',
        'changeit',
      ]);
      expect(text.match(/trustedCertEntry/g)?.length).toBe(2);
      for (const { fingerprint256 } of authorities) expect(text).toContain(fingerprint256);
    },
  );

  it('says for each client where it goes and whether names are checked', async () => {
    for (const client of trustClients) {
      const out = join(folder, client);
      const ca = ['--ca', authority.issuingFile, '--ca', authority.rootFile];
      const { exitCode, stdout } = await runCli(['ibmi', 'trust', '--for', client, ...ca, '--out', out], {
        env: {},
      });
      expect(exitCode).toBe(0);
      const readme = readFileSync(join(out, 'README.txt'), 'utf8');
      expect(readme).toContain(clientAdvice[client].where);
      expect(readme).toContain(clientAdvice[client].names);
      expect(readme).toContain(authorities[0]?.fingerprint256);
      expect(readdirSync(join(out, 'ca'))).toEqual([
        '01-root.crt',
        '01-root.der',
        '02-issuing.crt',
        '02-issuing.der',
      ]);
      expect(existsSync(join(out, clientAdvice[client].file))).toBe(true);
      expect(stdout).toContain(clientAdvice[client].title);
    }
    for (const client of ['tn5250', 'tn5250j', 'jdbc'] as const)
      expect(clientAdvice[client].names).toContain('does NOT check');
  });

  it('is never made of what is no authority', () => {
    const leaf = new X509Certificate(authority.issue('leaf', { names: 'DNS:x' }).certificate);
    const [root] = authorities as [X509Certificate];
    for (const wrong of [[], [leaf], [root, leaf], Array.from({ length: 33 }, () => root)])
      expect(codeOfSync(() => makeTrustPack('acs', wrong, systemRandom))).toBe('ibmi.no_authority');
  });
});
