import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { BrokerStub } from '../../support/broker-stub.ts';
import { problem, startBrokerStub } from '../../support/broker-stub.ts';
import type { ClientHome, RunResult } from '../../support/fake-terminal.ts';
import { makeClientHome, runCli } from '../../support/fake-terminal.ts';

const route = 'GET /v1/audit/sinks';
const well = {
  name: 'copy',
  kind: 'file',
  format: 'json',
  state: 'up',
  next: '18446744073709551615',
  lag: '0',
  lastDeliveredAt: '2026-11-23T12:00:00.000Z',
};
const ill = {
  name: 'siem',
  kind: 'syslog',
  format: 'rfc5424',
  state: 'down',
  next: '7',
  lag: '4093',
  failingSince: '2026-11-23T11:00:00.000Z',
  code: 'sinks.unreachable',
};

let broker: BrokerStub;
let home: ClientHome;
beforeAll(async () => {
  broker = await startBrokerStub();
  home = makeClientHome(broker);
  await runCli(['login', '--user', 'boss', '--password-stdin'], { env: home.env, stdin: broker.password });
});
afterAll(async () => {
  home.remove();
  await broker.stop();
});
afterEach(() => broker.override(route, undefined));

const run = (...args: readonly string[]): Promise<RunResult> =>
  runCli(['audit', 'sinks', ...args], { env: { ...home.env, TZ: 'UTC' } });

describe('audit sinks', () => {
  test('shows where copies go, how far behind they are, and which one takes nothing', async () => {
    broker.override(route, () => ({ body: { sinks: [well, ill] } }));
    const { exitCode, stdout, stderr } = await run();
    expect(exitCode, stderr).toBe(0);
    const [header = '', ...rows] = stdout.trimEnd().split('\n');
    expect(header).toMatch(/^NAME +KIND +FORMAT +STATE +BEHIND +NEXT +DELIVERED/);
    expect(rows[0]).toMatch(/^copy +file +json +up +0 +18446744073709551615 +2026-11-23 /);
    expect(rows[1]).toMatch(/^siem +syslog +rfc5424 +down +4093 +7 +-$/);
    expect(stderr).toContain('siem takes nothing since 2026-11-23');
    expect(stderr).toContain('sinks.unreachable');
    expect(stderr).not.toContain('copy takes');
  });

  test('gives a machine what the broker said', async () => {
    broker.override(route, () => ({ body: { sinks: [well, ill] } }));
    expect(JSON.parse((await run('--json')).stdout)).toEqual({ sinks: [well, ill] });
  });

  test('says so when there are none', async () => {
    broker.override(route, () => ({ body: { sinks: [] } }));
    const { exitCode, stdout } = await run();
    expect([exitCode, stdout]).toEqual([0, 'No copies of the log go anywhere.\n']);
  });

  test.each([
    ['a state that is none', { ...well, state: 'fine' }],
    ['a lag that is no number', { ...well, lag: '-1' }],
    ['a time that is none', { ...well, lastDeliveredAt: 'today' }],
    ['no name', { ...well, name: '' }],
  ])('refuses an answer with %s', async (_, sink) => {
    broker.override(route, () => ({ body: { sinks: [sink] }, lies: true }));
    const { exitCode, stdout } = await run('--json');
    expect(exitCode).not.toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'client.bad_answer' } });
  });

  test('passes on that it is for admins and auditors', async () => {
    broker.override(route, () => problem(403, 'http.not_permitted', 'Your session does not permit this.'));
    const { exitCode, stdout } = await run('--json');
    expect(exitCode).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'http.not_permitted' } });
  });
});
