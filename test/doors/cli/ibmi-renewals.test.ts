import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runCli, type RunResult } from '../../support/fake-terminal.ts';
import { makeTestAuthority } from '../../support/ibmi-tls.ts';
import { describeWithPeers } from '../../support/peers.ts';
import { startTn5250Server, type TestServer } from '../../support/tn5250-server.ts';

describeWithPeers(['openssl'], 'sallyport ibmi renewals', () => {
  let folder: string;
  let report: string;
  const servers: TestServer[] = [];

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'sallyport-renewals-'));
    report = join(folder, 'report.json');
    const authority = makeTestAuthority(join(folder, 'ca'));
    const tls = authority.issue('prod', { names: 'DNS:localhost', toDay: 29 });
    servers.push(
      await startTn5250Server({ tls, speaks: 'tn5250' }),
      await startTn5250Server({ tls, speaks: 'nothing' }),
    );
    const ports = `telnet-ssl:${servers[0]?.port},as-signon-s:${servers[1]?.port}`;
    const probed = await runCli(['probe', 'localhost', '--ports', ports, '--json'], {
      env: { SALLYPORT_HOME: folder },
    });
    writeFileSync(report, probed.stdout);
  });
  afterAll(async () => {
    await Promise.all(servers.map((server) => server.close()));
    rmSync(folder, { recursive: true, force: true });
  });

  const run = (...args: readonly string[]): Promise<RunResult> =>
    runCli(['ibmi', 'renewals', '--report', report, ...args], { env: {} });

  it('reads what the probe found, and writes a calendar', async () => {
    const ics = join(folder, 'renewals.ics');
    const { exitCode, stdout, stderr } = await run('--days', '60', '--ics', ics, '--json');
    expect([exitCode, stderr]).toEqual([0, '']);
    const said = JSON.parse(stdout) as {
      renewals: readonly { applications: readonly string[]; window: object }[];
    };
    expect(
      said.renewals.map(({ applications }) => [...applications].sort((a, b) => (a < b ? -1 : 1))),
    ).toEqual([['signon', 'telnet']]);
    expect(readFileSync(ics, 'utf8')).toContain('SUMMARY:New TLS certificate on localhost\r\n');
  });

  it('says so when nothing ends', async () => {
    const { exitCode, stdout } = await run('--days', '5');
    expect([exitCode, stdout]).toEqual([0, 'Nothing ends within 5 days.\n']);
  });

  it.each([
    [['--window', 'sometime'], 2],
    [['--days', '0'], 2],
    [['--ics', '/nowhere/x.ics'], 1],
  ])('%j ends with %d', async (args, exitCode) => {
    expect((await run(...args)).exitCode).toBe(exitCode);
  });

  it('refuses a report that is none', async () => {
    writeFileSync(join(folder, 'other.json'), '{}');
    const other = ['ibmi', 'renewals', '--report', join(folder, 'other.json')];
    expect((await runCli(other, { env: {} })).exitCode).toBe(2);
    expect((await runCli([...other.slice(0, 3), '/nowhere.json'], { env: {} })).exitCode).toBe(2);
  });
});
