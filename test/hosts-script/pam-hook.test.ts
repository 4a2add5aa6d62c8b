import { execFileSync } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseLoginLine } from '../../src/hosts/index.ts';
import { formatPublicKey } from '../../src/ssh/index.ts';
import { certificateLine } from '../interop/krl-certificates.ts';
import { newKeyPair, startHostBrokerStub, type HostBrokerStub } from '../support/host-broker-stub.ts';
import { makeMachine, type Machine } from '../support/host-machine.ts';
import { pamService } from '../support/host-sshd.ts';
import { describeWithPeers } from '../support/peers.ts';

// The hook with the variables that sshd and pam_exec set, for logins that a test cannot make; sessions.test.ts has the real sshd.
describeWithPeers(['sshd', 'ssh-keygen', 'root'], 'the hook of PAM', () => {
  let broker: HostBrokerStub;
  let machine: Machine;
  beforeAll(async () => {
    broker = await startHostBrokerStub();
    machine = makeMachine({ files: { 'etc/pam.d/sshd': pamService } });
    writeFileSync(machine.path('served.sh'), broker.script());
    const args = ['install', '--token', broker.token, '--pam'];
    expect(await machine.runFile(machine.path('served.sh'), ...args)).toMatchObject({ code: 0, stderr: '' });
  });
  afterAll(async () => {
    machine.remove();
    await broker.stop();
  });

  function login(methods: readonly string[], over: NodeJS.ProcessEnv = {}): void {
    execFileSync('sh', [machine.path('etc/sallyport/pam-session')], {
      env: {
        PATH: process.env['PATH'],
        PAM_TYPE: 'open_session',
        PAM_USER: 'web',
        PAM_RHOST: 'client.example.com',
        SSH_CONNECTION: '192.0.2.7 50022 192.0.2.1 22',
        SSH_AUTH_INFO_0: methods.map((method) => `${method}\n`).join(''),
        ...over,
      },
    });
  }
  /** What the broker hears of it, without what stands before `Accepted`. */
  async function reported(): Promise<string[]> {
    const before = broker.reported.length;
    expect(await machine.run('login-report')).toMatchObject({ code: 0, stderr: '' });
    const items = broker.reported.slice(before);
    for (const item of items.filter((one) => one.startsWith('login ')))
      expect(parseLoginLine(item.split(' ').slice(3).join(' '))).toMatchObject({ account: 'web' });
    return items.map((item) => item.replace(/^login .*?: /, ''));
  }

  test('tells each kind of login in the words of sshd', async () => {
    const key = newKeyPair().publicKey;
    const line = certificateLine({
      subject: key,
      ca: broker.userCa,
      serial: 7n,
      keyId: 'x (serial 1) CA RSA SHA256:x',
      principal: 'web',
    });
    const plain = formatPublicKey(key, '');
    const from = 'for web from 192.0.2.7 port 50022 ssh2';
    login([`publickey ${line.trim()}`]);
    const [withCertificate = ''] = await reported();
    expect(withCertificate).toMatch(
      /^Accepted publickey .* ssh2: ED25519-CERT SHA256:\S{43} ID x \(serial 1\) CA RSA SHA256:x \(serial 7\) CA ED25519 SHA256:\S{43}$/,
    );
    expect(parseLoginLine(withCertificate)).toMatchObject({ credential: { certificate: { serial: 7n } } });

    login([`publickey ${plain.trim()}`]);
    expect(await reported()).toEqual([
      expect.stringMatching(new RegExp(`^Accepted publickey ${from}: ED25519 SHA256:\\S{43}$`)),
    ]);
    login(['password']);
    expect(await reported()).toEqual([`Accepted password ${from}`]);
    // The last one let the user in.
    login([`publickey ${plain.trim()}`, 'keyboard-interactive/pam'], { SSH_CONNECTION: '' });
    expect(await reported()).toEqual([
      'Accepted keyboard-interactive/pam for web from client.example.com port 0 ssh2',
    ]);
    login([`publickey ${plain.trim()}`], { PAM_TYPE: 'close_session' });
    expect(await reported()).toEqual([]);
  });

  test('fills no memory when nobody reads it, and what was left out is a gap', async () => {
    const folder = machine.path('run/sallyport/logins');
    for (let nth = 0; nth < 2000; nth += 1) writeFileSync(`${folder}/login.${nth}`, '');
    login(['password']);
    expect(readdirSync(folder)).toHaveLength(2001);
    expect((await reported())[0]).toMatch(/^gap \d+ \S+ pam-full$/);
  });
});
