import { execFileSync } from 'node:child_process';
import { appendFileSync, existsSync, readdirSync, writeFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest';
import { systemRandom } from '../../src/kernel/index.ts';
import { fingerprint, formatOpensshPrivateKey, formatPublicKey } from '../../src/ssh/index.ts';
import { certificateLine } from '../interop/krl-certificates.ts';
import { newKeyPair, startHostBrokerStub, type HostBrokerStub } from '../support/host-broker-stub.ts';
import { makeMachine, read, type Machine } from '../support/host-machine.ts';
import { pamService, startMachineSshd, type MachineSshd, type OpenSession } from '../support/host-sshd.ts';
import { describeWithPeers } from '../support/peers.ts';

const peers = ['sshd', 'ssh', 'ssh-keygen', 'rsyslogd', 'unshare', 'root'] as const;
const config = `ListenAddress 127.0.0.1
HostKey @ROOT@/etc/ssh/ssh_host_ed25519_key
PidFile @ROOT@/run/sshd.pid
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
AuthorizedKeysFile none
`;

let serials = 100n;

describeWithPeers(peers, 'live sessions with a revoked credential', () => {
  let broker: HostBrokerStub;
  beforeAll(async () => {
    broker = await startHostBrokerStub();
  });
  afterAll(() => broker.stop());

  /** Private key and certificate of a person for one account. */
  function person(machine: Machine, account: string): { file: string; serial: bigint } {
    const serial = (serials += 1n);
    const key = newKeyPair();
    const file = machine.path(`id-${serial}`);
    writeFileSync(file, formatOpensshPrivateKey(key.privateKey, 'id', systemRandom), { mode: 0o600 });
    const keyId = `key-${serial}`;
    writeFileSync(
      `${file}-cert.pub`,
      certificateLine({ subject: key.publicKey, ca: broker.userCa, serial, keyId, principal: account }),
    );
    return { file, serial };
  }

  const told = (word: string): string[] =>
    broker.reported.filter((item) => item.startsWith('session ') && item.split(' ')[3] === word);

  describeWithPeers(peers, 'found by the log of sshd', () => {
    let machine: Machine;
    let sshd: MachineSshd;
    const open: OpenSession[] = [];
    beforeAll(async () => {
      machine = makeMachine({ config: `${config}UsePAM no\n` });
      writeFileSync(machine.path('served.sh'), broker.script());
      writeFileSync(machine.path('var/log/auth.log'), '');
      const done = await machine.runFile(machine.path('served.sh'), 'install', '--token', broker.token);
      expect(done).toMatchObject({ code: 0, stderr: '' });
      sshd = await startMachineSshd(machine, { users: 2, hostCa: formatPublicKey(broker.hostCa.publicKey) });
      expect(await machine.run('login-report')).toMatchObject({ code: 0, stderr: '' });
    });
    beforeEach(() => broker.publish({ revoked: [], endSessions: 'on' }));
    afterEach(async () => {
      for (const session of open.splice(0)) await session.close();
    });
    afterAll(async () => {
      await sshd.stop();
      machine.remove();
    });

    async function session(who: { file: string }, account: string, command?: string): Promise<OpenSession> {
      const opened = await sshd.open(account, who.file, command);
      open.push(opened);
      return opened;
    }

    test('end, with all that they started, and the neighbour stays', async () => {
      const [account = '', other = ''] = sshd.accounts;
      const [alice, bob] = [person(machine, account), person(machine, other)];
      const marker = String(700_000 + Number(alice.serial));
      const hers = await session(alice, account, `trap '' TERM; sleep ${marker} & sleep 600`);
      const his = await session(bob, other);
      const hersToo = await session(bob, other);
      broker.publish({ revoked: [alice.serial] });
      const done = await machine.run('sync');
      expect(done).toMatchObject({ code: 0, stderr: '' });
      expect(done.stdout).toContain(`certificate ${alice.serial}): ended`);
      await hers.ended;
      expect(processes().filter((line) => line.includes(marker))).toEqual([]);
      expect([his.alive(), hersToo.alive()]).toEqual([true, true]);
      expect(await sshd.login(account, alice.file)).toBe(255);
      expect(await sshd.login(other, bob.file)).toBe(0);

      expect(await machine.run('login-report')).toMatchObject({ code: 0, stderr: '' });
      const ca = fingerprint(broker.userCa.publicKey.blob);
      expect(told('ended').at(-1)).toMatch(
        new RegExp(` ended ${alice.serial} ${ca.replaceAll('+', '\\+')} \\d+ ${account}$`),
      );
      const lines = broker.reported.filter((item) => item.includes(`(serial ${bob.serial})`));
      expect(lines.length).toBeGreaterThanOrEqual(2);
      expect(lines[0]).toMatch(
        /^login \d+ \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ \w{3} .* sshd(-session)?\[\d+\]: Accepted publickey for /,
      );
    });

    test('are named and left alone where the group only reports, once', async () => {
      const [account = ''] = sshd.accounts;
      const alice = person(machine, account);
      const hers = await session(alice, account);
      broker.publish({ revoked: [alice.serial], endSessions: 'report' });
      expect((await machine.run('sync')).stdout).toContain('would-end');
      broker.publish();
      expect((await machine.run('sync')).stdout).not.toContain('would-end');
      await machine.run('login-report');
      expect(told('would-end').filter((item) => item.includes(` ${alice.serial} `))).toHaveLength(1);
      expect(hers.alive()).toBe(true);
    });

    test('are nobody’s business where the group says off', async () => {
      const [account = ''] = sshd.accounts;
      const alice = person(machine, account);
      const hers = await session(alice, account);
      broker.publish({ revoked: [alice.serial], endSessions: 'off' });
      expect((await machine.run('sync')).stdout).not.toContain('session of');
      expect(hers.alive()).toBe(true);
    });

    test('a line that somebody wrote into the log afterwards ends nobody’s session', async () => {
      const [account = '', other = ''] = sshd.accounts;
      const [alice, bob] = [person(machine, account), person(machine, other)];
      const his = await session(bob, other);
      await machine.run('login-report');
      const log = read(machine.path('var/log/auth.log'));
      const line =
        log.split('\n').findLast((candidate) => candidate.includes(`(serial ${bob.serial})`)) ?? '';
      appendFileSync(
        machine.path('var/log/auth.log'),
        `${line.replaceAll(String(bob.serial), String(alice.serial))}\n`,
      );
      broker.publish({ revoked: [alice.serial] });
      expect((await machine.run('sync')).stdout).not.toContain('session of');
      expect(his.alive()).toBe(true);
    });

    test('a report that the broker did not take is sent again, and nothing twice', async () => {
      const [account = ''] = sshd.accounts;
      const alice = person(machine, account);
      expect(await machine.run('login-report')).toMatchObject({ code: 0 });
      expect(await sshd.login(account, alice.file)).toBe(0);
      await sshd.logged(new RegExp(`Accepted publickey.*serial ${alice.serial}\\)`));
      const before = broker.reported.length;
      broker.override('report', () => ({ status: 503, body: '' }));
      expect((await machine.run('login-report')).code).toBe(3);
      broker.override('report', () => ({ status: 200, body: 'sallyport-host-answer 1\nnext 0\n' }));
      expect((await machine.run('login-report')).code).toBe(1);
      broker.override('report', undefined);
      expect((await machine.run('login-report')).code).toBe(0);
      expect((await machine.run('login-report')).code).toBe(0);
      const sent = broker.reported.slice(before);
      expect(sent.filter((item) => item.includes(`(serial ${alice.serial})`))).toHaveLength(1);
    });

    test('another watchman’s words go with the report, on one line', async () => {
      expect(await machine.run('alert', 'fail2ban', 'sshd: banned\n192.0.2.7 \u001b[2J')).toMatchObject({
        code: 0,
      });
      expect((await machine.run('alert', 'Not A Source', 'x')).code).toBe(2);
      expect(await machine.run('login-report')).toMatchObject({ code: 0, stderr: '' });
      const alerts = broker.reported.filter((item) => item.startsWith('alert '));
      expect(alerts).toHaveLength(1);
      expect(alerts[0]).toMatch(/^alert \d+ \S+Z fail2ban sshd: banned\?192\.0\.2\.7 \?\[2J$/);
    });

    test('a log that was rotated or cut loses nothing in silence', async () => {
      const [account = ''] = sshd.accounts;
      const log = machine.path('var/log/auth.log');
      const alice = person(machine, account);
      expect(await machine.run('login-report')).toMatchObject({ code: 0 });
      const line = (serial: bigint): string =>
        `Nov 30 08:00:00 vm sshd[4000000]: Accepted publickey for ${account} from 127.0.0.1 port 1 ssh2: ED25519-CERT SHA256:x ID k (serial ${serial}) CA ED25519 SHA256:y\n`;
      appendFileSync(log, line(alice.serial + 1_000n));
      execFileSync('sh', ['-c', `mv ${log} ${log}.1 && : >${log}`]);
      appendFileSync(log, line(alice.serial + 2_000n));
      expect(await machine.run('login-report')).toMatchObject({ code: 0 });
      expect(broker.reported.at(-2)).toContain(`(serial ${alice.serial + 1_000n})`);
      expect(broker.reported.at(-1)).toContain(`(serial ${alice.serial + 2_000n})`);

      writeFileSync(log, '');
      expect(await machine.run('login-report')).toMatchObject({ code: 0 });
      expect(broker.reported.at(-1)).toMatch(/^gap \d+ \S+ log-truncated$/);
      appendFileSync(log, `${line(alice.serial + 3_000n)}Nov 30 08:00:01 vm sshd[40`);
      expect(await machine.run('login-report')).toMatchObject({ code: 0 });
      expect(broker.reported.at(-1)).toContain(`(serial ${alice.serial + 3_000n})`);
    });
  });

  test('are found by what PAM kept, with no log at all, logins are reported as sshd would have, and the hook goes away again', async () => {
    const machine = makeMachine({
      config: `${config}UsePAM yes\n`,
      files: { 'etc/pam.d/sshd': pamService, 'etc/pam.d/other': pamService },
    });
    writeFileSync(machine.path('served.sh'), broker.script());
    broker.publish({ revoked: [], endSessions: 'on' });
    const args = ['install', '--token', broker.token, '--pam', '--log', 'pam'];
    expect(await machine.runFile(machine.path('served.sh'), ...args)).toMatchObject({ code: 0, stderr: '' });
    expect(await machine.run('install', '--pam')).toMatchObject({ code: 0, stderr: '' });
    expect(read(machine.path('etc/pam.d/sshd')).split('pam-session')).toHaveLength(2);
    const sshd = await startMachineSshd(machine, { users: 2, pam: true });
    onTestFinished(async () => {
      await sshd.stop();
    });
    const [account = '', other = ''] = sshd.accounts;
    const [alice, bob] = [person(machine, account), person(machine, other)];
    const hers = await sshd.open(account, alice.file);
    const his = await sshd.open(other, bob.file);
    // The real log is not read, and says the same.
    await sshd.logged(new RegExp(`Accepted publickey for ${other} `));
    const accepted = read(machine.path('var/log/auth.log'))
      .split('\n')
      .flatMap((line) => /(sshd\[\d+\]: Accepted .+)$/.exec(line)?.[1] ?? []);
    const before = broker.reported.length;
    expect(await machine.run('login-report')).toMatchObject({ code: 0, stderr: '' });
    expect(await machine.run('login-report')).toMatchObject({ code: 0, stderr: '' });
    const lines = broker.reported.slice(before).filter((item) => item.startsWith('login '));
    const said = lines.map((item) => /(sshd\[\d+\]: .+)$/.exec(item)?.[1] ?? '');
    expect(said.toSorted()).toEqual(accepted.toSorted());
    expect(accepted).toHaveLength(2);
    expect(readdirSync(machine.path('run/sallyport/logins'))).toEqual([]);
    broker.publish({ revoked: [alice.serial] });
    const done = await machine.run('sync');
    expect(done.stdout).toContain(`session of ${account}`);
    expect(done.stdout).toContain(`certificate ${alice.serial}): ended`);
    await hers.ended;
    expect(his.alive()).toBe(true);
    await his.close();
    await sshd.stop();
    expect(await machine.run('uninstall')).toMatchObject({ code: 0, stderr: '' });
    expect(read(machine.path('etc/pam.d/sshd'))).toBe(pamService);
    expect(existsSync(machine.path('run/sallyport'))).toBe(false);
  }, 180_000);
});

const processes = (): string[] =>
  execFileSync('ps', ['-e', '-o', 'pid=', '-o', 'ppid=', '-o', 'args='], { encoding: 'utf8' }).split('\n');
