import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { systemRandom } from '../../src/kernel/index.ts';
import {
  connectAgent,
  formatCertificate,
  formatOpensshPrivateKey,
  formatPublicKey,
  parseCertificate,
  verifyCertificate,
} from '../../src/ssh/index.ts';
import type { CertificateFields } from '../../src/ssh/index.ts';
import { allAlgorithms, craft, issue, optionsSection, testCa, testFields, wrapped } from '../ssh/fixtures.ts';
import type { CraftedFields, TestCa } from '../ssh/fixtures.ts';
import { describeWithPeers } from '../support/peers.ts';
import { startAgent } from '../support/ssh-agent.ts';
import { startSshd } from '../support/sshd.ts';
import type { RunningSshd } from '../support/sshd.ts';

describeWithPeers(['sshd', 'ssh', 'ssh-keygen', 'ssh-agent', 'root'], 'a real sshd', () => {
  const cas = new Map(allAlgorithms.map((algorithm) => [algorithm, testCa(algorithm)]));
  const ca = cas.get('ed25519') ?? testCa('ed25519');
  const stranger = testCa('ed25519');
  const user = testCa('ed25519');
  const now = BigInt(Math.floor(Date.now() / 1000));
  let sshd: RunningSshd;
  let account = '';
  let folder = '';
  let logins = 0;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'sallyport-login-'));
    const caLines = [...cas.values()].map((one) => formatPublicKey(one.publicKey, 'a user CA'));
    sshd = await startSshd({ userCaLines: caLines });
    account = sshd.accounts[0] ?? '';
  });
  afterAll(async () => {
    await sshd?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  /** Logs in with this certificate, and asks our own verdict the same question. */
  async function attempt(
    blob: Buffer,
    from = '127.0.0.1',
    key: TestCa = user,
  ): Promise<{ sshd: boolean; ours: string; stdout: string }> {
    logins += 1;
    const identityFile = join(folder, `id-${logins}`);
    writeFileSync(identityFile, formatOpensshPrivateKey(key.privateKey, '', systemRandom), { mode: 0o600 });
    writeFileSync(`${identityFile}-cert.pub`, `${formatCertificate(blob)}\n`);
    const { code, stdout } = await sshd.login({ account, identityFile, from });
    const verdict = verifyCertificate(parseCertificate(blob), {
      trustedCaKeys: [...cas.values()].map((one) => one.publicKey),
      nowSeconds: BigInt(Math.floor(Date.now() / 1000)),
      kind: 'user',
      principal: account,
      sourceAddress: from,
    });
    return { sshd: code === 0, ours: verdict.outcome === 'valid' ? 'valid' : verdict.check, stdout };
  }

  const fields = (changed: Partial<CertificateFields> = {}, key = user): CertificateFields =>
    testFields(key.publicKey, {
      principals: [account],
      validAfter: now - 60n,
      validBefore: now + 600n,
      ...changed,
    });
  const crafted = (changed: CraftedFields, by = ca): Buffer =>
    craft(by, user.publicKey, {
      principals: [account],
      validAfter: now - 60n,
      validBefore: now + 600n,
      ...changed,
    });
  const critical = (name: string, value: string): Partial<CertificateFields> => ({
    criticalOptions: new Map([[name, value]]),
  });

  it.each([...cas.keys()])('lets in who has a certificate of a CA with %s', async (algorithm) => {
    const blob = issue(
      cas.get(algorithm) ?? ca,
      fields({ principals: ['nobody', account], serial: 2n ** 63n }),
    );
    expect(await attempt(blob)).toEqual({ sshd: true, ours: 'valid', stdout: 'in\n' });
    await sshd.logged(/ID k-0001 \(serial 9223372036854775808\) CA /);
  });

  it.each(['ecdsa-p256', 'ecdsa-p384', 'ecdsa-p521', 'rsa-sha2-512'] as const)(
    'lets in a key of the kind %s',
    async (algorithm) => {
      const key = testCa(algorithm);
      expect(await attempt(issue(ca, fields({}, key)), '127.0.0.1', key)).toMatchObject({
        sshd: true,
        ours: 'valid',
      });
    },
  );

  it('holds whoever logs in to the forced command', async () => {
    const blob = issue(ca, fields(critical('force-command', 'echo only this: $SSH_ORIGINAL_COMMAND')));
    expect(await attempt(blob)).toEqual({ sshd: true, ours: 'valid', stdout: 'only this: echo in\n' });
  });

  it.each([
    ['127.0.0.0/8', '127.0.0.1', true],
    ['127.0.0.9', '127.0.0.9', true],
    ['10.0.0.0/8,127.0.0.8/31', '127.0.0.9', true],
    ['10.0.0.0/8,127.0.0.8/31', '127.0.0.10', false],
    ['10.0.0.0/8', '127.0.0.1', false],
    ['::/0', '127.0.0.1', false],
  ])('with source-address %s from %s answers %s', async (list, from, admitted) => {
    const outcome = await attempt(issue(ca, fields(critical('source-address', list))), from);
    expect(outcome).toMatchObject({ sshd: admitted, ours: admitted ? 'valid' : 'source_address' });
  });

  it.each<[string, string, () => Buffer, RegExp]>([
    [
      'principal',
      'another principal',
      () => issue(ca, fields({ principals: ['someone'] })),
      /name is not a listed principal/,
    ],
    [
      'principal',
      'the name in capitals',
      () => issue(ca, fields({ principals: [account.toUpperCase()] })),
      /name is not a listed principal/,
    ],
    ['principal', 'a pattern', () => crafted({ principals: ['*'] }), /name is not a listed principal/],
    ['no_principals', 'no principal at all', () => crafted({ principals: [] }), /lacks principal list/],
    [
      'expired',
      'a certificate that has ended',
      () => issue(ca, fields({ validBefore: now - 1n })),
      /Certificate invalid: expired/,
    ],
    [
      'not_yet_valid',
      'a certificate of tomorrow',
      () => issue(ca, fields({ validAfter: now + 500n })),
      /not yet valid/,
    ],
    ['untrusted_ca', 'an unknown CA', () => issue(stranger, fields()), /Failed publickey/],
    [
      'critical_option',
      'an unknown critical option',
      () => crafted({ criticalOptions: optionsSection(['only-mondays', '']) }),
      /critical option/i,
    ],
    [
      'critical_option',
      'an extension given as critical',
      () => crafted({ criticalOptions: optionsSection(['no-touch-required', '']) }),
      /critical option/i,
    ],
    [
      'source_address',
      'a source-address with host bits',
      () => crafted({ criticalOptions: optionsSection(['source-address', wrapped('127.0.0.1/8')]) }),
      /Invalid certificate options|source-address/,
    ],
  ])('refuses by %s: %s', async (check, _, make, reason) => {
    const before = sshd.log().length;
    expect(await attempt(make())).toEqual({ sshd: false, ours: check, stdout: '' });
    await sshd.logged(reason, before);
  });

  it('refuses a host certificate, which only an agent offers to it', async () => {
    const agent = await startAgent(folder);
    try {
      const client = await connectAgent(agent.socketPath);
      const certificateBlob = issue(ca, fields({ kind: 'host' }));
      await client.addCertifiedKey({ privateKey: user.privateKey, certificateBlob, comment: '' });
      expect((await sshd.login({ account, agentSocket: agent.socketPath })).code).toBe(255);
      await sshd.logged(/Certificate invalid: not a user certificate/);
      await client.addCertifiedKey({
        privateKey: user.privateKey,
        certificateBlob: issue(ca, fields()),
        comment: '',
      });
      expect((await sshd.login({ account, agentSocket: agent.socketPath })).code).toBe(0);
      client.close();
    } finally {
      await agent.stop();
    }
  });

  it('listens to the principals file instead of the account name, where there is one', async () => {
    const other = await startSshd({
      userCaLines: [formatPublicKey(ca.publicKey)],
      users: 2,
      principals: [['deploy'], []],
    });
    try {
      const identityFile = join(folder, 'deploy');
      writeFileSync(identityFile, formatOpensshPrivateKey(user.privateKey, '', systemRandom), {
        mode: 0o600,
      });
      writeFileSync(
        `${identityFile}-cert.pub`,
        formatCertificate(issue(ca, fields({ principals: ['deploy'] }))),
      );
      const codes = [];
      for (const name of other.accounts)
        codes.push((await other.login({ account: name, identityFile })).code);
      expect(codes).toEqual([0, 255]);
    } finally {
      await other.stop();
    }
  });
});
