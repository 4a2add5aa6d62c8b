import { generateKeyPairSync } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { followLogins } from '../../src/broker/index.ts';
import { toRfc3339 } from '../../src/kernel/index.ts';
import {
  fingerprint,
  formatPublicKey,
  parseCertificate,
  publicKeyFromKeyObject,
} from '../../src/ssh/index.ts';
import { alice, boss, startTestBroker, type LoggedInClient, type TestBroker } from '../support/broker.ts';
import { codeOf } from '../support/code-of.ts';
import { newProtocolHost } from '../support/protocol-host.ts';

describe('a host that reports what its sshd let in', () => {
  let broker: TestBroker;
  let admin: LoggedInClient;
  let line: string;
  let nowMs = Date.now();
  const clock = { nowMs: () => nowMs };
  const host = newProtocolHost({ clock });
  const event = (seq: number, text: string): string => `login ${seq} ${toRfc3339(nowMs)} ${text}`;
  beforeAll(async () => {
    broker = await startTestBroker({ clock });
    const policy = readFileSync(broker.policyFile, 'utf8');
    writeFileSync(
      broker.policyFile,
      `${policy}\nhost-groups:\n  web:\n    principals:\n      deploy: [alice, release-team]\n`,
    );
    await broker.running.reload();
    admin = await broker.loggedIn(boss);
    const asked = { names: ['*.example.com'], addresses: [], group: 'web', maxUses: 1, lifeSeconds: 600 };
    const { token } = await admin.newHostToken(asked);
    await host.enrol(broker, token, ['web1.example.com']);
    const client = await broker.loggedIn(alice);
    const key = publicKeyFromKeyObject(generateKeyPairSync('ed25519').publicKey);
    const held = parseCertificate((await client.sign(formatPublicKey(key), {})).certificate);
    client.close();
    const { caFingerprint } = broker.running.rooms.issuer;
    line = `Accepted publickey for alice from 192.0.2.7 port 4711 ssh2: ED25519-CERT ${fingerprint(key.blob)} ID ${held.keyId} (serial ${held.serial}) CA ED25519 ${caFingerprint}`;
  });
  afterAll(async () => {
    admin.close();
    await broker.stop();
  });

  it('is told what is durable, and its logins are shown beside how many hosts report', async () => {
    expect((await admin.logins({ unexplained: false, limit: '10' })).coverage).toEqual({
      enrolledHosts: 1,
      reportingHosts: 0,
      gaps: 0,
    });
    const answer = await host.report(broker, 1n, [
      event(1, line),
      event(2, line.replace('for alice', 'for root')),
    ]);
    expect([answer.status, answer.one('next')]).toEqual([200, '3']);
    const seen = await admin.logins({ unexplained: false, host: 'web1.example.com', limit: '10' });
    expect(seen.items.map(({ entry }) => entry)).toMatchObject([
      { type: 'login.seen', login: { account: 'alice', verdict: 'explained' }, target: { host_id: host.id } },
    ]);
    expect(seen.coverage).toEqual({ enrolledHosts: 1, reportingHosts: 1, gaps: 0 });
    nowMs += 30_000;
    await followLogins(broker.running.rooms);
    const unexplained = await admin.logins({ unexplained: true, limit: '10' });
    expect(unexplained.items.map(({ entry }) => entry['login'])).toMatchObject([
      { account: 'root', verdict: 'principal_mismatch' },
    ]);
  });

  it('has its say in who could log in, and in what explains a line', async () => {
    const at = toRfc3339(nowMs);
    const could = async (principal: string, host?: string): Promise<number> =>
      (await admin.whoCould({ principal, at, limit: '10', ...(host === undefined ? {} : { host }) })).items
        .length;
    expect(await could('deploy')).toBe(0);
    expect(await could('deploy', 'web1.example.com')).toBe(1);
    expect(await could('deploy', host.id)).toBe(1);
    expect(await codeOf(could('deploy', 'web2.example.com'))).toBe('hosts.unknown_host');

    const asDeploy = line.replace('for alice', 'for deploy');
    const verdict = async (text: string, on?: string): Promise<string> =>
      (await admin.explainLine({ line: text, at, ...(on === undefined ? {} : { host: on }) })).verdict;
    expect(await verdict(line)).toBe('explained');
    expect(await verdict(asDeploy)).toBe('principal_mismatch');
    expect(await verdict(asDeploy, 'web1.example.com')).toBe('explained');
    const { certificate } = await admin.explainLine({ line, at });
    expect(certificate?.credential?.person.login).toBe('alice');
    expect(await verdict('Accepted password for alice from 192.0.2.7 port 1 ssh2')).toBe('password_or_other');
    expect(await codeOf(verdict('Failed password for alice from 192.0.2.7 port 1 ssh2'))).toBe(
      'hosts.not_a_login',
    );
  });

  it('is refused when somebody else signs, when it repeats itself, and when what it sends cannot be read', async () => {
    const stranger = newProtocolHost({ clock });
    stranger.id = host.id;
    expect((await stranger.report(broker, 3n, [event(3, line)])).one('error')).toBe('hosts.bad_signature');
    expect((await host.report(broker, 3n, [event(4, line)])).one('error')).toBe('hosts.malformed');
    expect((await host.report(broker, 3n, [`login 3 now ${line}`])).one('error')).toBe('hosts.malformed');
    expect((await host.report(broker, 3n, ['reboot 3'])).one('error')).toBe('hosts.malformed');
    expect((await host.report(broker, 3n, [])).one('next')).toBe('3');
  });
});
