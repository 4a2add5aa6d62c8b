import { X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { generatePrivateKey } from '../../src/keys/index.ts';
import { systemRandom } from '../../src/kernel/index.ts';
import { decodePem, encodePkcs12, pkcs12Encryptions } from '../../src/x509/index.ts';
import { describeWithPeers, findPeer } from '../support/peers.ts';
import { makeWorkbench, type Workbench } from '../support/tls-authority.ts';

const password = 'correct-horse_7Battery';

describeWithPeers(['openssl'], 'a PKCS#12 file', () => {
  let bench: Workbench;
  beforeAll(() => {
    bench = makeWorkbench();
  });
  afterAll(() => bench.remove());

  for (const encryption of pkcs12Encryptions)
    for (const type of ['rsa-2048', 'ecdsa-p256'] as const)
      it(`in the ${encryption} encryption with a key of ${type} opens in openssl, Node and keytool`, async () => {
        const privateKey = await generatePrivateKey(type);
        bench.write('own.key', privateKey.export({ format: 'pem', type: 'pkcs8' }));
        bench.run('openssl', [
          'req',
          '-x509',
          '-key',
          'own.key',
          '-subj',
          '/CN=as400',
          '-days',
          '2',
          '-out',
          'own.pem',
        ]);
        bench.run('openssl', [
          'req',
          '-x509',
          '-key',
          'own.key',
          '-subj',
          '/CN=ca',
          '-days',
          '2',
          '-out',
          'ca.pem',
        ]);
        const certificate = decodePem(bench.read('own.pem').toString(), ['CERTIFICATE']);
        const issuer = decodePem(bench.read('ca.pem').toString(), ['CERTIFICATE']);
        const content = {
          privateKey,
          certificate,
          chain: [issuer],
          friendlyName: 'telnet-2026-11',
          password,
        };
        const file = bench.write('own.p12', await encodePkcs12(content, encryption, systemRandom));

        // No legacy provider is needed for either.
        const args = ['pkcs12', '-in', 'own.p12', '-nodes', '-passin', `pass:${password}`];
        const text = bench.run('openssl', args);
        expect(text).toContain('friendlyName: telnet-2026-11');
        const [key] = /-----BEGIN PRIVATE KEY-----[\s\S]*-----END PRIVATE KEY-----\n/.exec(text) ?? [];
        expect(key).toBe(privateKey.export({ format: 'pem', type: 'pkcs8' }));
        const found = text.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? [];
        expect(found.map((pem) => new X509Certificate(pem).raw.toString('hex'))).toEqual(
          [certificate, issuer].map((bytes) => bytes.toString('hex')),
        );
        expect(bench.fails('openssl', [...args.slice(0, -1), 'pass:wrong'])).toContain('invalid password');
        expect(() => createSecureContext({ pfx: bench.read('own.p12'), passphrase: password })).not.toThrow();
        if (findPeer('keytool') !== undefined) {
          const listed = bench.run(
            'keytool',
            `-list -v -storetype PKCS12 -keystore ${file} -storepass ${password}`.split(' '),
          );
          expect(listed).toContain('Alias name: telnet-2026-11');
          expect(listed).toContain('PrivateKeyEntry');
        }
      });
});
