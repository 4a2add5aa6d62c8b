import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parseBundle } from '../../src/hosts/index.ts';
import { toRfc3339 } from '../../src/kernel/index.ts';
import { formatCertificate, formatPublicKey, parsePublicKey as parseKey } from '../../src/ssh/index.ts';
import { issue, testCa, testFields } from '../ssh/fixtures.ts';
import { boss, startTestBroker, type LoggedInClient, type TestBroker } from '../support/broker.ts';
import { describeWithPeers } from '../support/peers.ts';
import { post, type HostAnswer } from '../support/protocol-host.ts';
import { startSshd, type RunningSshd } from '../support/sshd.ts';

/** The host protocol with OpenSSH's own tools, as the script of a host uses them, and what `ssh` makes of the certificate. */
describeWithPeers(['sshd', 'ssh', 'ssh-keygen', 'root'], 'a host that speaks with OpenSSH’s tools', () => {
  let broker: TestBroker;
  let admin: LoggedInClient;
  let sshd: RunningSshd;
  let enrolled: HostAnswer;
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-host-ssh-'));
  const at = (name: string): string => join(folder, name);
  const userCa = testCa('ed25519');

  const keygen = (name: string, type: string): string => {
    execFileSync('ssh-keygen', ['-q', '-t', type, '-N', '', '-C', '', '-f', at(name)]);
    return readFileSync(at(`${name}.pub`), 'utf8').trim();
  };
  /** Signs as the script does: `ssh-keygen -Y sign` over the document, each block appended. */
  const signedBy = (lines: readonly string[], keys: readonly string[]): string => {
    writeFileSync(at('request'), `${lines.join('\n')}\n`);
    const blocks = keys.map((key) => {
      rmSync(at('request.sig'), { force: true });
      const args = ['-Y', 'sign', '-n', 'host-request@sallyport', '-f', at(key), at('request')];
      execFileSync('ssh-keygen', args, { stdio: 'ignore' });
      return readFileSync(at('request.sig'), 'utf8');
    });
    return readFileSync(at('request'), 'utf8') + blocks.join('');
  };
  const request = (action: string, lines: readonly string[]): string[] => [
    'sallyport-host-request 1',
    `action ${action}`,
    `time ${toRfc3339(Date.now())}`,
    `nonce ${randomBytes(16).toString('hex')}`,
    ...lines,
  ];
  const machine = `machine ${'0f'.repeat(16)}`;

  beforeAll(async () => {
    broker = await startTestBroker({ people: [boss] });
    admin = await broker.loggedIn(boss);
    const { token } = await admin.newHostToken({
      names: ['localhost'],
      addresses: [],
      group: 'default',
      maxUses: 1,
      lifeSeconds: 600,
    });
    const lines = request('enrol', [
      `token ${token}`,
      `identity ${keygen('identity', 'ed25519')}`,
      'name localhost',
      `hostkey ${keygen('hostkey_ecdsa', 'ecdsa')}`,
      `hostkey ${keygen('hostkey_rsa', 'rsa')}`,
      'platform linux',
      'sshd OpenSSH_9.2p1 Debian-2+deb12u7',
      machine,
    ]);
    enrolled = await post(broker, 'enrol', signedBy(lines, ['identity', 'hostkey_ecdsa', 'hostkey_rsa']));
    const [ecdsa = '', rsa = ''] = enrolled.all('certificate');
    writeFileSync(at('hostkey_ecdsa-cert.pub'), `${ecdsa}\n`);
    writeFileSync(at('hostkey_rsa-cert.pub'), `${rsa}\n`);
    sshd = await startSshd({
      userCaLines: [formatPublicKey(userCa.publicKey, 'users')],
      config: [`HostKey ${at('hostkey_ecdsa')}`, `HostCertificate ${at('hostkey_ecdsa-cert.pub')}`],
    });
    const [account = ''] = sshd.accounts;
    const now = BigInt(Math.floor(Date.now() / 1000));
    keygen('user', 'ed25519');
    const user = parseKey(readFileSync(at('user.pub'), 'utf8'));
    const certificate = issue(
      userCa,
      testFields(user, { principals: [account], validAfter: now - 60n, validBefore: now + 3600n }),
    );
    writeFileSync(at('user-cert.pub'), `${formatCertificate(certificate)}\n`);
  });
  afterAll(async () => {
    await sshd?.stop();
    await broker?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const connect = (typed: string): Promise<{ code: number; stderr: string; stdout: string }> =>
    new Promise((resolve) => {
      const options = {
        BatchMode: 'yes',
        StrictHostKeyChecking: 'ask',
        UserKnownHostsFile: at('known_hosts'),
        GlobalKnownHostsFile: '/dev/null',
        IdentityFile: at('user'),
        IdentitiesOnly: 'yes',
        IdentityAgent: 'none',
        UpdateHostKeys: 'no',
      };
      const given = Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
      const [account = ''] = sshd.accounts;
      const args = ['-4', '-F', 'none', '-p', String(sshd.port), ...given, `${account}@${typed}`, 'echo in'];
      execFile('ssh', args, { timeout: 60_000, encoding: 'utf8' }, (error, stdout, stderr) =>
        resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
      );
    });

  it('gets certificates that ssh-keygen reads, for the token’s name', () => {
    expect(enrolled.one('status')).toBe('enrolled');
    for (const kind of ['ecdsa', 'rsa']) {
      const shown = execFileSync('ssh-keygen', ['-L', '-f', at(`hostkey_${kind}-cert.pub`)], {
        encoding: 'utf8',
      });
      expect(shown).toMatch(/host certificate/);
      expect(shown).toMatch(/Principals: \n\s+localhost\n/);
      expect(shown).toMatch(/Critical Options: \(none\)/);
    }
  });

  it('is known to ssh by one @cert-authority line, with no question', async () => {
    const { sshHostCa } = await admin.authority();
    writeFileSync(at('known_hosts'), `@cert-authority * ${sshHostCa?.publicKey}\n`);
    const { code, stdout, stderr } = await connect('localhost');
    // The account of the test has no home; ssh itself has nothing to say.
    const said = stderr.split('\n').filter((line) => line !== '' && !line.includes('/nonexistent'));
    expect([code, stdout, said]).toEqual([0, 'in\n', []]);
  });

  it('is refused where its certificate names another host', async () => {
    const { code, stdout, stderr } = await connect('127.0.0.1');
    expect([code, stdout]).toEqual([255, '']);
    expect(stderr).toMatch(/name is not a listed principal/);
    expect(stderr).toMatch(/Host key verification failed/);
  });

  it('gets a bundle whose signature ssh-keygen verifies, and that says which list is in it', async () => {
    const lines = request('sync', [
      `host ${enrolled.one('host')}`,
      machine,
      'have 0',
      'step 1',
      'wait 0',
      'check ok',
      'installed 0',
      'sshd OpenSSH_9.2p1',
    ]);
    const { text } = await post(broker, 'sync', signedBy(lines, ['identity']));
    const end = text.indexOf('-----BEGIN SSH SIGNATURE-----');
    writeFileSync(at('bundle'), text.slice(0, end));
    writeFileSync(at('bundle.sig'), text.slice(end));
    writeFileSync(at('signers'), `broker ${enrolled.one('bundle-key')}\n`);
    const verify = (input: string): number | null =>
      spawnSync(
        'ssh-keygen',
        [
          '-Y',
          'verify',
          '-f',
          at('signers'),
          '-I',
          'broker',
          '-n',
          'trust-bundle@sallyport',
          '-s',
          at('bundle.sig'),
        ],
        { input },
      ).status;
    expect(verify(text.slice(0, end))).toBe(0);
    expect(verify(text.slice(0, end).replace('when-stale warn', 'when-stale close'))).not.toBe(0);
    const bundle = parseBundle(Buffer.from(text.slice(0, end)));
    writeFileSync(at('revoked.krl'), bundle.krl.bytes);
    expect(spawnSync('ssh-keygen', ['-Q', '-l', '-f', at('revoked.krl')]).status).toBe(0);
  });

  it('dies with its retirement: the list names its certificate', async () => {
    await admin.retireHost({ host: 'localhost', reason: 'x', apply: true });
    writeFileSync(at('revoked.krl'), await admin.krl());
    const asked = spawnSync('ssh-keygen', ['-Q', '-f', at('revoked.krl'), at('hostkey_ecdsa-cert.pub')], {
      encoding: 'utf8',
    });
    expect([asked.status, asked.stdout]).toEqual([1, expect.stringContaining('REVOKED')]);
  });
});
