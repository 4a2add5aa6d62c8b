import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runCli, type RunResult } from '../../support/fake-terminal.ts';
import { freePort } from '../../support/free-port.ts';
import { makeTestAuthority, type TestAuthority } from '../../support/ibmi-tls.ts';
import { describeWithPeers } from '../../support/peers.ts';
import { startTn5250Server, type TestServer } from '../../support/tn5250-server.ts';

describeWithPeers(['openssl'], 'sallyport probe', () => {
  let folder: string;
  let authority: TestAuthority;
  let secure: TestServer;
  let clear: TestServer;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'sallyport-probe-cli-'));
    authority = makeTestAuthority(join(folder, 'ca'));
    const names = 'DNS:localhost,DNS:<script>x</script>.example,IP:127.0.0.1';
    secure = await startTn5250Server({ tls: authority.issue('prod', { names }), speaks: 'tn5250' });
    clear = await startTn5250Server({ speaks: 'tn5250' });
  });
  afterAll(async () => {
    await Promise.all([secure.close(), clear.close()]);
    rmSync(folder, { recursive: true, force: true });
  });

  const run = (args: readonly string[], columns?: number): Promise<RunResult> =>
    runCli(['probe', ...args], {
      env: { SALLYPORT_HOME: join(folder, 'home') },
      ...(columns === undefined ? {} : { columns }),
    });
  const ports = (): string => `telnet-ssl:${secure.port},telnet:${clear.port}`;

  it('ends with 0 when nothing is to be put right, with 1 when something is', async () => {
    const good = await run(['localhost', '--ca', authority.rootFile, '--ports', `telnet-ssl:${secure.port}`]);
    expect([good.exitCode, good.stderr]).toEqual([0, '']);
    expect(good.stdout).toContain('5250 telnet');
    const bad = await run(['localhost', '--ca', authority.rootFile, '--ports', ports()]);
    expect(bad.exitCode).toBe(1);
    expect(bad.stdout).toContain('Telnet in the clear');
  });

  it('says of a certificate that is ours whether it is revoked, from a list at hand', async () => {
    const [ours, file] = [authority.issue('second', { names: 'DNS:localhost' }), join(folder, 'list.crl')];
    const second = await startTn5250Server({ tls: ours, speaks: 'tn5250' });
    const look = (): Promise<RunResult> =>
      run(
        ['localhost', '--ca', authority.rootFile, '--crl', file, '--ports', `telnet-ssl:${second.port}`],
        140,
      );
    writeFileSync(file, authority.crl());
    expect((await look()).stdout).toContain('ours, not revoked');
    authority.revoke('second');
    writeFileSync(file, authority.crl());
    const revoked = await look();
    expect(revoked.exitCode).toBe(1);
    expect(revoked.stdout).toContain('ours, revoked');
    await second.close();
  });

  it('reads hosts from a file, with remarks', async () => {
    const file = join(folder, 'hosts.txt');
    writeFileSync(file, '# the estate\nlocalhost # production\n\n127.0.0.1\r\n');
    const { stdout } = await run(['--hosts', file, '--ports', ports(), '--json']);
    const said = JSON.parse(stdout) as {
      hosts: readonly { host: string; ports: readonly { tls?: { daysLeft: number } }[] }[];
    };
    expect(said.hosts.map(({ host }) => host)).toEqual(['localhost', '127.0.0.1']);
    expect(said.hosts[0]?.ports.some(({ tls }) => (tls?.daysLeft ?? 0) > 80)).toBe(true);
  });

  it('writes a page that is whole in itself and in which what servers say is inert', async () => {
    const html = join(folder, 'report.html');
    await run(['localhost', '--ports', ports(), '--html', html]);
    const page = readFileSync(html, 'utf8');
    expect(statSync(html).mode & 0o777).toBe(0o644);
    expect(page).toContain('&lt;script&gt;x&lt;/script&gt;.example');
    expect(page).not.toMatch(/<script|<img|<link|src=|href=|@import|url\(/);
    expect(page).toContain('clear_telnet');
    expect(page.startsWith('<!doctype html>')).toBe(true);
    expect(page.trimEnd().endsWith('</html>')).toBe(true);
  });

  it('shows a bar on a terminal that is gone at the end', async () => {
    const { stderr } = await run(['localhost', '--ports', `telnet-ssl:${secure.port}`], 80);
    expect(stderr).toContain('Looking at ports [########################] 1/1');
    expect(stderr.lastIndexOf('\r\u001B[K')).toBeGreaterThan(stderr.indexOf('1/1'));
  });

  it.each([
    [[], 2],
    [['prod:992'], 2],
    [['localhost', '--ports', '22'], 2],
    [['localhost', '--wait', '0'], 2],
    [['localhost', '--ca', '/nowhere.pem'], 2],
    [['localhost', '--crl', '/nowhere.crl'], 2],
    [['localhost', '--crl', '/etc/hostname'], 2],
    [['--hosts', '/nowhere.txt'], 2],
    [['localhost', '--html', '/nowhere/report.html'], 1],
  ])('%j ends with %d before any connection', async (args, exitCode) => {
    const before = secure.connections.length;
    expect((await run(args)).exitCode).toBe(exitCode);
    expect(secure.connections.length).toBe(before);
    expect(existsSync('/nowhere')).toBe(false);
  });

  it('says so when nothing is open', async () => {
    const { exitCode, stdout } = await run(['127.0.0.1', '--ports', `telnet:${await freePort()}`]);
    expect(exitCode).toBe(0);
    expect(stdout).toContain('No port of the catalogue is open.');
  });
});

describeWithPeers([], 'sallyport ibmi apps', () => {
  it('shows the catalogue with the marks of what is from memory', async () => {
    const { exitCode, stdout, stderr } = await runCli(['ibmi', 'apps'], { env: {} });
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/QIBM_QTV_TELNET_SERVER +23 +992/);
    expect(stdout).toContain('990 (?)');
    expect(stdout).toContain('449 (as-svrmap), 992 (telnet-ssl)');
    expect(stderr).toContain('Nothing was tried on a real IBM i.');
  });

  it('shows a system’s own list', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sallyport-usage-'));
    const file = join(folder, 'usage.csv');
    writeFileSync(
      file,
      'APPLICATION_ID,CERTIFICATE_LABELS\nQIBM_QTV_TELNET_SERVER,"[""telnet-2026""]"\nACME_X,\n',
    );
    const { stdout } = await runCli(['ibmi', 'apps', '--usage', file, '--json'], { env: {} });
    const said = JSON.parse(stdout) as {
      applications: readonly { name: string | null; labels: readonly string[] }[];
    };
    expect(said.applications.map(({ name, labels }) => [name, labels])).toEqual([
      ['telnet', ['telnet-2026']],
      [null, []],
    ]);
    writeFileSync(file, 'A,B\n');
    expect((await runCli(['ibmi', 'apps', '--usage', file], { env: {} })).exitCode).toBe(2);
    rmSync(folder, { recursive: true, force: true });
  });
});
