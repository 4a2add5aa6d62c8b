import { execFile, execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { systemRandom, toRfc3339 } from '../../src/kernel/index.ts';
import { openKeyFile } from '../../src/keys/index.ts';
import {
  formatCertificate,
  formatOpensshPrivateKey,
  formatPublicKey,
  parseCertificate,
  type Certificate,
} from '../../src/ssh/index.ts';
import { issue, testCa, testFields, type TestCa } from '../ssh/fixtures.ts';
import { boss, startTestBroker, type LoggedInClient, type TestBroker } from '../support/broker.ts';
import { until } from '../support/departures.ts';
import { describeWithPeers } from '../support/peers.ts';
import { newKeyPair, newProtocolHost, type KeyPair, type ProtocolHost } from '../support/protocol-host.ts';
import { addAccount, startSshd, type RunningSshd } from '../support/sshd.ts';

const password = 'canary-3Kd8Wq';
const [hourMs, minuteMs] = [3_600_000, 60_000];
const registered = newKeyPair();

const policy = `version: 1
roles:
  admin: {groups: [builtin:admins]}
profiles:
  users:
    who: {groups: [builtin:users]}
    principals: {from: [{attribute: uid}]}
    lifetime: {default: 1h, max: 2h}
  office:
    who: {groups: [builtin:users]}
    principals: {from: [{attribute: uid}]}
    critical-options: {source-address: [192.0.2.0/24]}
`;

interface Issued {
  readonly key: KeyPair;
  readonly certificate: Certificate;
  readonly line: string;
}

/** Every login is a real one, at a real sshd that trusts more than it should; what it logged is what the broker is told. */
describeWithPeers(['sshd', 'ssh', 'ssh-keygen', 'openssl', 'root'], 'the verdict on a real login', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-verdicts-'));
  const foreignCa = testCa('ed25519');
  const accounts = [addAccount(), addAccount()];
  const [hers = '', other = ''] = accounts;
  let offsetMs = -2 * hourMs;
  const clock = { nowMs: () => Date.now() + offsetMs };
  let broker: TestBroker;
  let admin: LoggedInClient;
  let host: ProtocolHost;
  let sshd: RunningSshd;
  /** The key of the broker’s own CA, in the hands of somebody else. */
  let stolenCa: TestCa;
  let nextSeq = 1n;

  beforeAll(async () => {
    // sshd reads in it as the account that logs in.
    chmodSync(folder, 0o755);
    broker = await startTestBroker({
      people: [boss, { login: hers, groups: ['users'], password }],
      policy,
      directories: `logins: { break-glass-keys: ["${registered.fingerprint}"] }\n`,
      clock,
    });
    const passphrase = readFileSync(join(broker.folder, 'secrets', 'keys.passphrase'), 'utf8').trim();
    const caFile = join(broker.folder, 'keys', 'ssh-user-ca.key');
    stolenCa = testCa('ed25519', await openKeyFile(caFile, 'ssh-user-ca', passphrase));
    admin = await broker.loggedIn(boss);
    const asked = {
      names: ['web1.example.com'],
      addresses: [],
      group: 'default',
      maxUses: 1,
      lifeSeconds: 600,
    };
    const { token } = await admin.newHostToken(asked);
    host = newProtocolHost({ clock });
    expect((await host.enrol(broker, token, ['web1.example.com'])).status).toBe(200);
    const keys = join(folder, 'authorized_keys');
    writeFileSync(keys, '');
    sshd = await startSshd({
      userCaLines: [readFileSync(broker.userCaFile, 'utf8').trim(), formatPublicKey(foreignCa.publicKey, '')],
      users: 0,
      config: [
        `AuthorizedKeysFile ${keys}`,
        `AuthorizedPrincipalsFile ${folder}/principals-%u`,
        'PasswordAuthentication yes',
      ],
    });
    writeFileSync(join(folder, `principals-${hers}`), `${hers}\n`);
    // Somebody opened his account to her by hand.
    writeFileSync(join(folder, `principals-${other}`), `${other}\n${hers}\n`);
    const hash = execFileSync('openssl', ['passwd', '-6', password], { encoding: 'utf8' }).trim();
    execFileSync('usermod', ['-p', hash, other]);
  });
  afterAll(async () => {
    await sshd?.stop();
    await broker?.stop();
    for (const account of accounts) execFileSync('userdel', ['-f', account], { stdio: 'ignore' });
    rmSync(folder, { recursive: true, force: true });
  });

  const issued = async (profile = 'users'): Promise<Issued> => {
    const client = await broker.loggedIn({ login: hers, password });
    const key = newKeyPair();
    const { certificate: line } = await client.sign(key.line, { profile });
    return { key, line, certificate: parseCertificate(line) };
  };
  /** A certificate that nobody recorded: with the fields of `like`, but for some. */
  const signedBy = (
    ca: TestCa,
    key: KeyPair,
    like: Partial<Pick<Certificate, 'serial' | 'keyId'>>,
  ): Issued => {
    const now = BigInt(Math.floor(Date.now() / 1000));
    const times = { validAfter: now - 60n, validBefore: now + 600n };
    const { serial = 4711n, keyId = 'k-outside' } = like;
    const blob = issue(ca, testFields(key.publicKey, { ...times, serial, keyId, principals: [hers] }));
    const line = formatCertificate(blob, '');
    return { key, line, certificate: parseCertificate(line) };
  };
  /** Logs in for real. @returns the line that sshd wrote, as an event for a report */
  const accepted = async (account: string, how: Issued | KeyPair | 'password'): Promise<string> => {
    const before = sshd.log().length;
    if (how === 'password') await byPassword(account);
    else {
      const key = 'key' in how ? how.key : how;
      const identityFile = join(folder, `id-${nextSeq}`);
      writeFileSync(identityFile, formatOpensshPrivateKey(key.privateKey, '', systemRandom), { mode: 0o600 });
      if ('key' in how) writeFileSync(`${identityFile}-cert.pub`, `${how.line}\n`);
      const { code, stderr } = await sshd.login({ account, identityFile });
      expect(code, stderr).toBe(0);
    }
    const line = /^(Accepted (?:publickey|password) for .+?)\r?\n/m;
    await sshd.logged(line, before);
    const event = `login ${nextSeq} ${toRfc3339(clock.nowMs())} ${line.exec(sshd.log().slice(before))?.[1]}`;
    nextSeq += 1n;
    return event;
  };
  const byPassword = (account: string): Promise<void> => {
    const askpass = join(folder, 'askpass');
    writeFileSync(askpass, `#!/bin/sh\necho '${password}'\n`, { mode: 0o700 });
    const options = [`UserKnownHostsFile=${sshd.knownHostsFile}`, 'PreferredAuthentications=password'];
    const args = ['-F', 'none', '-p', String(sshd.port), ...options.flatMap((one) => ['-o', one])];
    const env = { ...process.env, SSH_ASKPASS: askpass, SSH_ASKPASS_REQUIRE: 'force', DISPLAY: ':9' };
    return new Promise((resolve, reject) => {
      execFile('ssh', [...args, `${account}@127.0.0.1`, 'true'], { env, timeout: 30_000 }, (error) =>
        error === null ? resolve() : reject(error),
      );
    });
  };

  it('is the one that its credential deserves, whatever sshd was made to accept', async () => {
    // 1. What was good once: issued two hours ago, and revoked ten minutes ago.
    const ended = await issued();
    offsetMs = -10 * minuteMs;
    const revoked = await issued();
    const target = { kind: 'serial', value: String(revoked.certificate.serial) } as const;
    await admin.revoke({ target, reason: 'lost', lock: false, apply: true });
    offsetMs = 0;
    const good = await issued();
    const office = await issued('office');
    const stranger = newKeyPair();
    writeFileSync(join(folder, 'authorized_keys'), `${stranger.line}\n${registered.line}\n`);

    // 2. Each of them logs in. The whole of what a certificate says is known only to the broker; sshd logs some of it.
    const cases: readonly (readonly [
      verdict: string,
      account: string,
      how: Issued | KeyPair | 'password',
    ])[] = [
      ['explained', hers, good],
      ['unknown_serial', hers, signedBy(stolenCa, newKeyPair(), {})],
      ['mismatch', hers, signedBy(stolenCa, newKeyPair(), good.certificate)],
      ['mismatch', hers, signedBy(stolenCa, good.key, { serial: good.certificate.serial })],
      ['out_of_window', hers, signedBy(stolenCa, ended.key, ended.certificate)],
      ['revoked_used', hers, revoked],
      ['principal_mismatch', other, good],
      ['source_mismatch', hers, signedBy(stolenCa, office.key, office.certificate)],
      ['foreign_ca', hers, signedBy(foreignCa, good.key, good.certificate)],
      ['static_key', hers, stranger],
      ['break_glass', hers, registered],
      ['password_or_other', other, 'password'],
    ];
    const events: string[] = [];
    for (const [, account, how] of cases) events.push(await accepted(account, how));

    // 3. The host reports them, without one login in between.
    expect((await host.report(broker, 1n, events)).status).toBe(200);
    await accepted(hers, good);
    const late = await accepted(hers, good);
    expect((await host.report(broker, BigInt(cases.length) + 2n, [late])).status).toBe(200);

    // 4. Within the minute that the broker waits at most, each has its verdict.
    offsetMs = 31_000;
    await until(async () => (await verdicts()).size === cases.length + 1, 20_000);
    const found = await verdicts();
    expect(cases.map((_, nth) => found.get(String(nth + 1)))).toEqual(cases.map(([verdict]) => verdict));
    expect(found.get(String(cases.length + 2))).toBe('explained');
    const [gap] = (await admin.searchLog({ type: 'host.feed_gap', limit: '9' })).items;
    const missing = String(cases.length + 1);
    expect(gap?.entry).toMatchObject({ gap: { from: missing, to: missing, why: 'not-reported' } });
  });

  /** By the number of the event in the host’s report. */
  const verdicts = async (): Promise<ReadonlyMap<string, string>> => {
    const found = new Map<string, string>();
    for (const type of ['login.seen', 'login.unexplained']) {
      const { items } = await admin.searchLog({ type, limit: '50' });
      for (const { entry } of items) {
        const { seq, verdict } = entry['login'] as { seq: string; verdict: string };
        found.set(seq, verdict);
      }
    }
    return found;
  };
});
