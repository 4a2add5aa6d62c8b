import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ask } from '../doors/http/support.ts';
import { alice, boss, startTestBroker, type TestBroker } from '../support/broker.ts';
import { makeClientHome, runCli, type ClientHome, type RunResult } from '../support/fake-terminal.ts';
import { makeTestAuthority } from '../support/ibmi-tls.ts';
import { describeWithPeers } from '../support/peers.ts';
import { parseMetrics } from '../support/prometheus.ts';
import { startTn5250Server, type TestServer } from '../support/tn5250-server.ts';

describeWithPeers(['openssl'], 'what a probe saw', () => {
  let folder: string;
  let broker: TestBroker;
  const homes: ClientHome[] = [];
  const servers: TestServer[] = [];
  let ports: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'sallyport-probe-flow-'));
    broker = await startTestBroker({ people: [boss, alice] });
    const tls = makeTestAuthority(join(folder, 'ca')).issue('prod', { names: 'DNS:localhost', toDay: 12 });
    servers.push(
      await startTn5250Server({ tls, speaks: 'tn5250' }),
      await startTn5250Server({ speaks: 'tn5250' }),
    );
    ports = `telnet-ssl:${servers[0]?.port},telnet:${servers[1]?.port}`;
  });
  afterAll(async () => {
    await Promise.all(servers.map((server) => server.close()));
    for (const home of homes) home.remove();
    await broker.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const homeOf = async (person: typeof boss | undefined): Promise<ClientHome> => {
    const home = makeClientHome({ url: broker.url, caPem: readFileSync(broker.caFile, 'utf8') });
    homes.push(home);
    if (person !== undefined) {
      const login = ['login', '--user', person.login, '--password-stdin', '--no-certificate', '--no-agent'];
      expect((await runCli(login, { env: home.env, stdin: `${person.password}\n` })).exitCode).toBe(0);
    }
    return home;
  };
  const probe = ({ env }: ClientHome): Promise<RunResult> =>
    runCli(['probe', 'localhost', '--ports', ports, '--log', '--json'], { env });

  it('is in the log and in the metrics, for an admin', async () => {
    const home = await homeOf(boss);
    expect((await probe(home)).exitCode).toBe(1);
    const search = await runCli(
      ['audit', 'search', '--type', 'probe.report', '--host', 'localhost', '--json'],
      { env: home.env },
    );
    const { entries } = JSON.parse(search.stdout) as {
      entries: readonly {
        entry: { probe: { ports: readonly { service: string; findings: readonly string[] }[] } };
      }[];
    };
    expect(entries.length).toBe(1);
    const found = Object.fromEntries(
      entries[0]?.entry.probe.ports.map(({ service, findings }) => [service, findings]) ?? [],
    );
    expect(found).toEqual({ 'telnet-ssl': ['expires_soon'], telnet: ['clear_telnet'] });
    const metrics = parseMetrics((await ask(broker, { path: '/metrics' })).body.toString('utf8'));
    const seriesOf = (name: string): ReadonlyMap<string, number> => metrics.get(name)?.series ?? new Map();
    const [[series = '', days = 0] = []] = seriesOf('sallyport_probe_days_left');
    expect(series).toContain(`host="localhost",port="${servers[0]?.port}",service="telnet-ssl"`);
    expect([days > 10, days < 13]).toEqual([true, true]);
    const codes = [...seriesOf('sallyport_probe_finding').keys()].map((key) => /code="(\w+)"/.exec(key)?.[1]);
    expect(new Set(codes)).toEqual(new Set(['clear_telnet', 'expires_soon']));
  });

  it('is refused from somebody who is neither admin nor auditor, and before any probe without a session', async () => {
    const refused = await probe(await homeOf(alice));
    expect((JSON.parse(refused.stdout) as { error: { code: string } }).error.code).toBe('http.not_permitted');
    const before = servers.map(({ connections }) => connections.length);
    expect((await probe(await homeOf(undefined))).exitCode).toBe(4);
    expect(servers.map(({ connections }) => connections.length)).toEqual(before);
  });

  it('is bounded', async () => {
    const admin = await broker.loggedIn(boss);
    const code = async (hosts: Parameters<typeof admin.recordProbe>[0]): Promise<string> => {
      try {
        await admin.recordProbe(hosts);
        return 'accepted';
      } catch (error) {
        return (error as { code: string }).code;
      }
    };
    const port = { port: 992, service: 'telnet-ssl', application: 'telnet', state: 'tls', findings: [] };
    const host = { host: 'prod', ports: [port], findings: [] };
    expect(await code([host])).toBe('accepted');
    const wrong = [
      [],
      [host, host],
      [{ ...host, host: 'Prod' }],
      [{ ...host, host: 'prod"}' }],
      [{ ...host, ports: [port, port] }],
      [{ ...host, ports: [{ ...port, port: 0 }] }],
      [{ ...host, ports: [{ ...port, state: 'fine' }] }],
      [{ ...host, ports: [{ ...port, findings: ['Bad words'] }] }],
      [{ ...host, ports: [{ ...port, notAfter: 'soon' }] }],
      Array.from({ length: 51 }, (_one, nth) => ({ ...host, host: `h${nth}` })),
    ];
    for (const hosts of wrong) expect(await code(hosts)).toBe('http.bad_request');
  });
});
