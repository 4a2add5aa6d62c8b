import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { parseBundle } from '../../src/hosts/index.ts';
import { toRfc3339 } from '../../src/kernel/index.ts';
import {
  auditor,
  boss,
  makeBrokerFolder,
  startBrokerIn,
  type LoggedInClient,
  type TestBroker,
} from '../support/broker.ts';
import { codeOf } from '../support/code-of.ts';
import { runCli } from '../support/fake-terminal.ts';
import { newProtocolHost, type HostAnswer, type ProtocolHost } from '../support/protocol-host.ts';

let skewMs = 0;
const clock = { nowMs: () => Date.now() + skewMs };
let broker: TestBroker;
let admin: LoggedInClient;
const hosts: ProtocolHost[] = [];

beforeAll(async () => {
  const folder = await makeBrokerFolder();
  const config = readFileSync(folder.configFile, 'utf8');
  writeFileSync(folder.configFile, `${config}\nlogins:\n  events-per-hour: 1000\n`);
  const policy = readFileSync(folder.policyFile, 'utf8');
  const groups =
    'host-groups:\n  web:\n    end-sessions: on\n  payroll:\n    principals:\n      pay: [payroll]\n';
  writeFileSync(folder.policyFile, `${policy}\n${groups}`);
  broker = await startBrokerIn(folder, { clock });
  admin = await broker.loggedIn(boss);
  const names = ['one.example.com', 'two.example.com', 'three.example.com', 'four.example.com'];
  const asked = { names: ['*.example.com'], addresses: [], group: 'web', maxUses: 4, lifeSeconds: 600 };
  const { token } = await admin.newHostToken(asked);
  for (const name of names) {
    const host = newProtocolHost({ clock });
    await host.enrol(broker, token, [name]);
    hosts.push(host);
  }
});
afterAll(() => broker.stop());

const [flooding, quiet, moving, retiring] = [0, 1, 2, 3].map(
  (at) => (): ProtocolHost => hosts[at] ?? newProtocolHost(),
);
const logged = async (type: string): Promise<readonly Record<string, unknown>[]> =>
  (await admin.searchLog({ type, limit: '100' })).items.map(({ entry }) => entry);

describe('a host that moves to another group', () => {
  const read = ({ text }: HostAnswer) => {
    expect(text).toContain('sallyport-bundle 1');
    return parseBundle(Buffer.from(text.slice(0, text.indexOf('-----BEGIN'))));
  };

  it('gets the rules of that group at once, and the log says where it was', async () => {
    const host = moving?.() ?? newProtocolHost();
    const before = read(await host.sync(broker));
    expect(before).toMatchObject({ group: 'web', endSessions: 'on', principals: [] });
    const waiting = host.sync(broker, { have: before.version, waitSeconds: 60 });
    while (broker.running.rooms.hosts.waiting.count < 1)
      await new Promise((resolve) => setImmediate(resolve));
    const asked = { host: 'three.example.com', group: 'payroll', reason: 'takes over payroll' };
    expect(await admin.moveHost(asked)).toMatchObject({ host: host.id, state: 'enrolled' });
    expect(read(await waiting)).toMatchObject({
      group: 'payroll',
      endSessions: 'off',
      principals: [{ account: 'pay', names: ['payroll'] }],
      version: before.version + 1n,
    });
    expect(await admin.host('three.example.com')).toMatchObject({ group: 'payroll' });
    const [entry] = await logged('host.move');
    expect(entry).toMatchObject({
      outcome: 'success',
      target: { host_id: host.id },
      host: { group: 'payroll', from_group: 'web' },
    });
  });

  it('must be enrolled, the group must exist and be another one, and an auditor may not', async () => {
    const asked = { host: 'three.example.com', reason: 'r' };
    expect(await codeOf(admin.moveHost({ ...asked, group: 'payroll' }))).toBe('hosts.same_group');
    expect(await codeOf(admin.moveHost({ ...asked, group: 'nowhere' }))).toBe('hosts.unknown_group');
    expect(await codeOf(admin.moveHost({ ...asked, host: 'x.example.com', group: 'web' }))).toBe(
      'hosts.unknown_host',
    );
    const looking = await broker.loggedIn(auditor);
    expect(await codeOf(looking.moveHost({ ...asked, group: 'web' }))).toBe('http.not_permitted');
    await admin.retireHost({ host: 'four.example.com', reason: 'r', apply: true });
    const retired = retiring?.() ?? newProtocolHost();
    expect(await codeOf(admin.moveHost({ ...asked, host: retired.id, group: 'payroll' }))).toBe(
      'hosts.wrong_state',
    );
    expect(await logged('host.move')).toHaveLength(1);
  });

  it('moves by the command line, which says what came of it', async () => {
    const home = mkdtempSync(join(tmpdir(), 'sallyport-host-cli-'));
    onTestFinished(() => rmSync(home, { recursive: true, force: true }));
    const env = { SALLYPORT_URL: broker.url, SALLYPORT_CA_FILE: broker.caFile, SALLYPORT_HOME: home };
    const run = (args: string, stdin = '') => runCli(args.split(' '), { env, stdin });
    await run('login --user boss --password-stdin --no-certificate', boss.password);
    const moved = await run('host move three.example.com --group web --reason back');
    expect(moved).toMatchObject({ exitCode: 0, stderr: '' });
    expect(moved.stdout).toContain('in the group web now');
    const shown = await run('host show three.example.com --json');
    expect(JSON.parse(shown.stdout)).toMatchObject({ group: 'web', state: 'enrolled' });
    const again = await run('host move three.example.com --group web --reason back --json');
    expect([again.exitCode, JSON.parse(again.stdout)]).toMatchObject([
      1,
      { error: { code: 'hosts.same_group' } },
    ]);
    expect((await run('host move three.example.com --group web')).exitCode).toBe(2);
  });
});

describe('a host that floods', () => {
  let seq = 1;
  const flood = async (host: ProtocolHost, count: number): Promise<HostAnswer> => {
    const events = Array.from(
      { length: count },
      (_, at) => `alert ${seq + at} ${toRfc3339(clock.nowMs())} fail2ban banned`,
    );
    const answer = await host.report(broker, BigInt(seq), events);
    if (answer.status === 200) seq += count;
    return answer;
  };

  it('is cut off at its hour, which is one entry for all that it goes on to send', async () => {
    const host = flooding?.() ?? newProtocolHost();
    expect((await flood(host, 500)).one('next')).toBe('501');
    expect((await flood(host, 500)).one('next')).toBe('1001');
    for (let more = 0; more < 3; more += 1) {
      const refused = await flood(host, 500);
      expect([refused.status, refused.one('error')]).toEqual([429, 'hosts.too_many_events']);
    }
    expect(await logged('host.flood')).toMatchObject([
      { outcome: 'denied', reason_code: 'hosts.too_many_events', target: { host_id: host.id } },
    ]);
    expect(await logged('host.alert')).toHaveLength(100);
  });

  it('hears of revocations nevertheless, and no other host has less', async () => {
    const host = flooding?.() ?? newProtocolHost();
    expect((await host.sync(broker)).status).toBe(200);
    expect((await host.report(broker, BigInt(seq), [])).one('next')).toBe(String(seq));
    const other = quiet?.() ?? newProtocolHost();
    const event = `alert 1 ${toRfc3339(clock.nowMs())} fail2ban banned`;
    expect((await other.report(broker, 1n, [event])).one('next')).toBe('2');
  });

  it('goes on where it was when its hour has filled again', async () => {
    skewMs += 1_800_000;
    const host = flooding?.() ?? newProtocolHost();
    expect((await flood(host, 450)).one('next')).toBe('1451');
    expect((await flood(host, 450)).one('error')).toBe('hosts.too_many_events');
    expect(await logged('host.flood')).toHaveLength(2);
  });
});
