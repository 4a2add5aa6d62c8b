import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { sha256, systemRandom } from '../../src/kernel/index.ts';
import { encodeKrl, formatOpensshPrivateKey, formatPublicKey, serialRuns } from '../../src/ssh/index.ts';
import type { Krl, KrlCertificates } from '../../src/ssh/index.ts';
import { krlWith, subsectionsOf } from '../ssh/krl-fixtures.ts';
import { describeWithPeers } from '../support/peers.ts';
import { startSshd } from '../support/sshd.ts';
import type { RunningSshd } from '../support/sshd.ts';
import { certificateLine, newKeyPair } from './krl-certificates.ts';

const [ca, otherCa, user, stranger] = [newKeyPair(), newKeyPair(), newKeyPair(), newKeyPair()];
const serial = 5000n;

/** A list about certificates of one CA. */
function certificates(entry: Partial<KrlCertificates>): Krl {
  return krlWith({
    certificates: [{ caKey: ca.publicKey.blob, serials: new BigUint64Array(), keyIds: [], ...entry }],
  });
}

describeWithPeers(['sshd', 'ssh', 'ssh-keygen', 'root'], 'sshd and each kind of revocation', () => {
  let sshd: RunningSshd;
  let folder = '';

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'sallyport-krl-'));
    publish(encodeKrl(krlWith({})));
    const trusted = [ca, otherCa].map(({ publicKey }) => formatPublicKey(publicKey));
    sshd = await startSshd({ userCaLines: trusted, revokedKeysFile: join(folder, 'revoked.krl') });
    const principal = sshd.accounts[0] ?? '';
    writeFileSync(join(folder, 'id'), formatOpensshPrivateKey(user.privateKey, 'krl', systemRandom), {
      mode: 0o600,
    });
    const line = certificateLine({ subject: user.publicKey, ca, serial, keyId: 'krl-1', principal });
    writeFileSync(join(folder, 'id-cert.pub'), line);
  });
  afterAll(async () => {
    await sshd.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  beforeEach(() => publish(encodeKrl(krlWith({}))));

  /** As a host must do it: sshd reads the file at each login, and half a file would refuse everybody. */
  function publish(krl: Buffer): void {
    writeFileSync(join(folder, 'next.krl'), krl);
    renameSync(join(folder, 'next.krl'), join(folder, 'revoked.krl'));
  }

  async function login(): Promise<boolean> {
    const { code } = await sshd.login({ account: sshd.accounts[0] ?? '', identityFile: join(folder, 'id') });
    return code === 0;
  }

  const span = (first: bigint, count: number, step = 1n): bigint[] =>
    Array.from({ length: count }, (_, i) => first + BigInt(i) * step);

  test.each<[string, Krl, number | undefined]>([
    ['a serial in a list', certificates({ serials: BigUint64Array.of(7n, serial, 2n ** 60n) }), 0x20],
    ['a serial in a range', certificates({ serials: BigUint64Array.from(span(4000n, 2000)) }), 0x21],
    ['the last serial of a range', certificates({ serials: BigUint64Array.from(span(4001n, 1000)) }), 0x21],
    ['a serial in a bitmap', certificates({ serials: BigUint64Array.from(span(4000n, 2000, 2n)) }), 0x22],
    ['a serial under every CA', certificates({ caKey: undefined, serials: BigUint64Array.of(serial) }), 0x20],
    [
      'all serials but the first',
      certificates({ serials: { firsts: BigUint64Array.of(2n), lasts: BigUint64Array.of(2n ** 64n - 1n) } }),
      0x21,
    ],
    ['a key id', certificates({ keyIds: ['krl-0', 'krl-1'] }), 0x23],
    ['the key of the certificate', krlWith({ keys: [user.publicKey.blob] }), undefined],
    ['its SHA-256 fingerprint', krlWith({ sha256: [sha256(user.publicKey.blob)] }), undefined],
    ['the CA key', krlWith({ keys: [ca.publicKey.blob] }), undefined],
    ['the fingerprint of the CA key', krlWith({ sha256: [sha256(ca.publicKey.blob)] }), undefined],
  ])('%s: the login ends', async (_name, krl, form) => {
    expect(await login(), 'before the revocation').toBe(true);
    const bytes = encodeKrl(krl);
    if (form !== undefined) expect(subsectionsOf(bytes).map(({ type }) => type)).toEqual([form]);
    publish(bytes);
    const before = sshd.log().split('revoked by file').length;
    expect(await login()).toBe(false);
    await sshd.logged(new RegExp(`(?:revoked by file[^]*){${before}}`));
  });

  test.each<[string, Krl]>([
    [
      'neighbours of the serial in every form',
      certificates({
        serials: serialRuns([...span(1n, 4999), ...span(5001n, 300), ...span(9000n, 90, 2n), 2n ** 40n]),
      }),
    ],
    [
      'the serial under another CA',
      certificates({ caKey: otherCa.publicKey.blob, serials: BigUint64Array.of(serial) }),
    ],
    [
      'another key id, another key, another CA',
      krlWith({
        certificates: [{ caKey: undefined, serials: new BigUint64Array(), keyIds: ['krl-11', 'KRL-1'] }],
        keys: [stranger.publicKey.blob],
        sha256: [sha256(otherCa.publicKey.blob)],
      }),
    ],
    [
      '100,000 of a million serials, not this one',
      certificates({ serials: BigUint64Array.from(span(1n, 100_000, 10n)) }),
    ],
  ])('%s: the login goes on', async (_name, krl) => {
    publish(encodeKrl(krl));
    expect(await login()).toBe(true);
  });
});
