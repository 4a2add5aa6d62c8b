import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { systemRandom } from '../../src/kernel/index.ts';
import {
  encodeSignature,
  encodeSshsig,
  encodeSshsigToBeSigned,
  fingerprint,
  formatCertificate,
  formatOpensshPrivateKey,
  formatPublicKey,
  parseCertificate,
  parsePublicKey,
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
import { describeWithPeers } from '../support/peers.ts';

describeWithPeers(['ssh-keygen'], 'ssh-keygen agrees with us', () => {
  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'sallyport-keygen-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const write = (name: string, content: string, mode = 0o600): string => {
    const path = join(folder, name);
    writeFileSync(path, content);
    chmodSync(path, mode);
    return path;
  };
  const keygen = (...args: readonly string[]): string =>
    execFileSync('ssh-keygen', args, { encoding: 'utf8', env: { ...process.env, TZ: 'UTC' } });
  const cas = allAlgorithms.map((algorithm) => testCa(algorithm));

  it.each(everySubjectKey().map((key) => [key.type, key] as const))(
    'on what every CA granted to a %s key',
    (_, key) => {
      for (const ca of cas) {
        const user = issue(
          ca,
          testFields(key, {
            serial: 2n ** 64n - 1n,
            keyId: 'c.7QWx-01',
            principals: ['alice', 'QSECOFR'],
            criticalOptions: new Map([
              ['source-address', '10.0.0.0/8,2001:db8::/32'],
              ['force-command', '/usr/bin/true -x "a b"'],
              ['verify-required', ''],
            ]),
            extensions: new Map([
              ['permit-user-rc', ''],
              ['permit-X11-forwarding', ''],
              ['no-touch-required', ''],
            ]),
          }),
        );
        const printed = keygen('-L', '-f', write('user-cert.pub', `${formatCertificate(user, 'x')}\n`));
        const lines = printed.split('\n').map((line) => line.trim());
        const signedWith = ca.algorithm.startsWith('rsa') ? ca.algorithm : ca.publicKey.type;
        expect(lines.slice(1, 4)).toEqual([
          `Type: ${parseCertificate(user).type} user certificate`,
          expect.stringMatching(new RegExp(`^Public key: \\S+ ${escaped(fingerprint(key.blob))}$`)),
          expect.stringMatching(
            new RegExp(
              `^Signing CA: \\S+ ${escaped(fingerprint(ca.publicKey.blob))} \\(using ${signedWith}\\)$`,
            ),
          ),
        ]);
        expect(lines.slice(4)).toEqual([
          'Key ID: "c.7QWx-01"',
          'Serial: 18446744073709551615',
          'Valid: from 2027-01-15T07:59:00 to 2027-01-15T09:00:00',
          'Principals:',
          'alice',
          'QSECOFR',
          'Critical Options:',
          'force-command /usr/bin/true -x "a b"',
          'source-address 10.0.0.0/8,2001:db8::/32',
          'verify-required',
          'Extensions:',
          'no-touch-required',
          'permit-X11-forwarding',
          'permit-user-rc',
          '',
        ]);
        const forever = { kind: 'host', validAfter: 0n, validBefore: 2n ** 64n - 1n } as const;
        const host = issue(
          ca,
          testFields(key, { ...forever, principals: ['h1.example'], extensions: new Map() }),
        );
        const hostPrinted = keygen('-L', '-f', write('host-cert.pub', `${formatCertificate(host)}\n`));
        expect(hostPrinted).toMatch(/host certificate\n[^]*Valid: forever\n[^]*Extensions: \(none\)/);
      }
    },
  );

  it('on the certificates that it writes itself', () => {
    for (const ca of cas) {
      const caFile = write('ca', formatOpensshPrivateKey(ca.privateKey, 'ca', systemRandom));
      write('subject.pub', `${formatPublicKey(testCa('ecdsa-p384').publicKey)}\n`);
      const algorithm = ca.algorithm.startsWith('rsa') ? ['-t', ca.algorithm] : [];
      const options = [
        '-O',
        'force-command=ls -l',
        '-O',
        'source-address=10.0.0.0/8',
        '-O',
        'verify-required',
      ];
      const custom = ['-O', 'extension:login@example.com=alice'];
      keygen(
        '-q',
        '-s',
        caFile,
        ...algorithm,
        '-I',
        'id',
        '-n',
        'alice,bob',
        '-z',
        '7',
        '-V',
        '-1m:+1h',
        ...options,
        ...custom,
        join(folder, 'subject.pub'),
      );
      const certificate = parseCertificate(readFileSync(join(folder, 'subject-cert.pub'), 'utf8'));
      const verdict = verifyCertificate(certificate, {
        trustedCaKeys: [ca.publicKey],
        nowSeconds: BigInt(Math.floor(Date.now() / 1000)),
        kind: 'user',
        principal: 'bob',
        sourceAddress: '10.9.8.7',
      });
      expect(verdict).toEqual({ outcome: 'valid' });
      expect(certificate.serial).toBe(7n);
      expect(certificate.criticalOptions.get('force-command')).toBe('ls -l');
      expect(certificate.extensions.get('login@example.com')).toBe('alice');
    }
  });

  it('on a certificate that its CA did not sign', () => {
    for (const ca of cas) {
      const blob = issue(ca, testFields(testCa('ed25519').publicKey));
      blob.writeUInt8(blob.readUInt8(60) ^ 1, 60); // within the nonce
      const path = write('forged-cert.pub', formatCertificate(blob));
      expect(spawnSync('ssh-keygen', ['-L', '-f', path]).status).not.toBe(0);
      const question = { trustedCaKeys: [ca.publicKey], nowSeconds, kind: 'user' } as const;
      expect(verifyCertificate(parseCertificate(blob), question)).toMatchObject({ check: 'signature' });
    }
  });

  it('on private key files: it reads them, and finds the same public key', () => {
    for (const ca of cas) {
      const path = write('id', formatOpensshPrivateKey(ca.privateKey, 'alice at work', systemRandom));
      expect(keygen('-y', '-f', path).trim()).toBe(formatPublicKey(ca.publicKey, 'alice at work'));
    }
  });

  it('on fingerprints and exported forms', () => {
    for (const key of everySubjectKey()) {
      const path = write('k.pub', `${formatPublicKey(key, 'c')}\n`);
      expect(keygen('-l', '-f', path).split(' ').slice(0, 2)).toEqual([
        String(key.bits),
        fingerprint(key.blob),
      ]);
      expect(parsePublicKey(keygen('-e', '-m', 'RFC4716', '-f', path)).blob).toEqual(key.blob);
      if (!/ed25519|^sk-/.test(key.type))
        expect(parsePublicKey(keygen('-e', '-m', 'PKCS8', '-f', path)).blob).toEqual(key.blob);
    }
    const rsa = write('r.pub', formatPublicKey(testCa('rsa-sha2-512').publicKey));
    expect(formatPublicKey(parsePublicKey(keygen('-e', '-m', 'PEM', '-f', rsa)))).toBe(
      readFileSync(rsa, 'utf8'),
    );
  });

  const message = Buffer.from('signed by one, verified by the other\n');
  const verifyOutside = (key: string, armoured: string, namespace: string, over = message): number | null => {
    const signers = write('allowed', `alice ${key}\n`);
    const signature = write('m.sig', armoured);
    const args = ['-Y', 'verify', '-f', signers, '-I', 'alice', '-n', namespace, '-s', signature];
    return spawnSync('ssh-keygen', args, { input: over }).status;
  };

  it('on the signatures that we make', () => {
    for (const ca of cas) {
      for (const hash of ['sha256', 'sha512'] as const) {
        const raw = ca.sign(encodeSshsigToBeSigned('krl@example.com', message, hash));
        const blob = encodeSignature(ca.algorithm, raw);
        const armoured = encodeSshsig(ca.publicKey, 'krl@example.com', blob, hash);
        const key = formatPublicKey(ca.publicKey);
        expect(verifyOutside(key, armoured, 'krl@example.com')).toBe(0);
        expect(verifyOutside(key, armoured, 'file')).not.toBe(0);
        expect(verifyOutside(key, armoured, 'krl@example.com', Buffer.from('x'))).not.toBe(0);
      }
    }
  });

  it('on the signatures of security keys', () => {
    for (const algorithm of ['ed25519', 'ecdsa-p256'] as const) {
      const token = softwareToken(algorithm);
      const toBeSigned = encodeSshsigToBeSigned('file', message);
      const outcome = (flags: number): readonly unknown[] => {
        const armoured = encodeSshsig(token.publicKey, 'file', token.sign(toBeSigned, flags, 3));
        const trust = { namespace: 'file', trustedKeys: [token.publicKey] };
        const ours = verifySshsig(armoured, message, trust).outcome === 'valid';
        return [ours, verifyOutside(formatPublicKey(token.publicKey), armoured, 'file') === 0];
      };
      expect(outcome(1)).toEqual([true, true]);
      expect(outcome(5)).toEqual([true, true]);
    }
  });

  it('on the signatures that it makes', () => {
    for (const ca of cas) {
      const path = write('signer', formatOpensshPrivateKey(ca.privateKey, '', systemRandom));
      const made = spawnSync('ssh-keygen', ['-Y', 'sign', '-f', path, '-n', 'file', '-q'], {
        input: message,
      });
      const armoured = made.stdout.toString();
      const verdict = verifySshsig(armoured, message, { namespace: 'file', trustedKeys: [ca.publicKey] });
      expect(verdict).toMatchObject({ outcome: 'valid' });
      const other = verifySshsig(armoured, message, { namespace: 'git', trustedKeys: [ca.publicKey] });
      expect(other).toMatchObject({ outcome: 'invalid', check: 'namespace' });
    }
  });
});

function escaped(text: string): string {
  return text.replaceAll(/[+/.]/g, String.raw`\$&`);
}
