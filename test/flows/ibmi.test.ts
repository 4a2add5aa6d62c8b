import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { everyFileBelow } from '../support/canaries.ts';
import { boss, makeBrokerFolder, startBrokerIn, type TestBroker } from '../support/broker.ts';
import { makeClientHome, runCli, type ClientHome, type RunResult } from '../support/fake-terminal.ts';
import { describeWithPeers } from '../support/peers.ts';
import { run } from '../support/slapd.ts';
import { addTlsAuthority } from '../support/tls-authority.ts';
import { startTn5250Server, type TestServer } from '../support/tn5250-server.ts';

interface Said {
  readonly label: string;
  readonly password: string;
  readonly serial: string;
}
interface Probed {
  readonly hosts: readonly {
    readonly ports: readonly {
      readonly state: string;
      readonly tls: { readonly trust: string; readonly revocation: string };
      readonly findings: readonly { readonly code: string }[];
    }[];
  }[];
}

describeWithPeers(['openssl'], 'a certificate for IBM i, from the broker to the probe', () => {
  let folder: string;
  let broker: TestBroker;
  let home: ClientHome;
  let server: TestServer;
  let said: Said;
  const out = (path: string): string => join(folder, 'plan', path);
  const sallyport = (...args: readonly (string | readonly string[])[]): Promise<RunResult> =>
    runCli(args.flat(), { env: home.env });

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'sallyport-ibmi-flow-'));
    const made = await makeBrokerFolder();
    await addTlsAuthority(made);
    broker = await startBrokerIn(made);
    home = makeClientHome({ url: broker.url, caPem: readFileSync(broker.caFile, 'utf8') });
    const login = ['login', '--user', boss.login, '--password-stdin', '--no-certificate', '--no-agent'];
    expect((await runCli(login, { env: home.env, stdin: `${boss.password}\n` })).exitCode).toBe(0);
  });
  afterAll(async () => {
    await server?.close();
    home.remove();
    await broker.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  it('is issued with its folder: a bundle that the password opens, whose key fits', async () => {
    const { exitCode, stdout, stderr } = await sallyport(
      'ibmi issue localhost --apps telnet --p12 --compat dcm --name 127.0.0.1 --json --out'.split(' '),
      join(folder, 'plan'),
    );
    expect([exitCode, stderr]).toEqual([0, '']);
    said = JSON.parse(stdout) as Said;
    const bundle = out(`${said.label}.p12`);
    expect(statSync(bundle).mode & 0o777).toBe(0o600);
    const pem = run('openssl', ['pkcs12', '-in', bundle, '-passin', `pass:${said.password}`, '-nodes']);
    writeFileSync(join(folder, 'opened.pem'), pem, { mode: 0o600 });
    const [key] = /-----BEGIN PRIVATE KEY-----[^-]+-----END PRIVATE KEY-----/.exec(pem) ?? [''];
    const certificate = readFileSync(out(`${said.label}.crt`), 'utf8');
    const chain = certificate + readFileSync(out('ca/02-issuing.crt'), 'utf8');
    expect(new X509Certificate(certificate).checkHost('localhost')).toBe('localhost');
    expect(
      run('openssl', [
        'verify',
        '-CAfile',
        out('ca/01-root.crt'),
        '-untrusted',
        out('ca/02-issuing.crt'),
        out(`${said.label}.crt`),
      ]),
    ).toContain(': OK');
    server = await startTn5250Server({ tls: { key, certificate, chain, file: '' }, speaks: 'tn5250' });
    for (const file of ['runbook.md', 'runbook.html', 'restart.clle', 'playbook.yml', 'rse-api.json'])
      expect(readFileSync(out(file), 'utf8')).not.toContain(said.password);
    // The answer is the only place where it is.
    for (const [place, bytes] of everyFileBelow(broker.folder, 'broker'))
      expect([place, bytes.includes(said.password)]).toEqual([place, false]);
  });

  const probed = async (): Promise<unknown> => {
    // Whose it is, the broker says.
    const { stdout } = await sallyport(
      'probe',
      'localhost',
      '--ports',
      `telnet-ssl:${server.port}`,
      '--json',
    );
    const port = (JSON.parse(stdout) as Probed).hosts[0]?.ports[0];
    return [port?.state, port?.tls.trust, port?.tls.revocation, port?.findings.map(({ code }) => code)];
  };

  it('is seen by the probe as ours and good, and as revoked when it is', async () => {
    expect(await probed()).toEqual(['tls', 'ours', 'good', []]);
    const revoke = ['admin', 'revoke', '--serial', said.serial, '--reason', 'test', '--yes'];
    expect((await sallyport(...revoke)).exitCode).toBe(0);
    await expect.poll(probed, { timeout: 20_000 }).toEqual(['tls', 'ours', 'revoked', ['revoked']]);
  });

  it('can be asked for with a request that was made elsewhere', async () => {
    const csr = join(folder, 'dcm.csr');
    run('openssl', [
      'req',
      '-new',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-keyout',
      join(folder, 'dcm.key'),
      '-out',
      csr,
      '-subj',
      '/CN=localhost',
    ]);
    const asked = [
      'ibmi',
      'issue',
      'localhost',
      '--apps',
      'telnet,hostservers',
      '--csr',
      csr,
      '--previous-label',
      said.label,
    ];
    const { exitCode, stdout } = await sallyport(...asked, '--out', join(folder, 'second'), '--json');
    expect(exitCode).toBe(0);
    const { label } = JSON.parse(stdout) as Said;
    expect(label).toBe(`${said.label}-2`);
    expect(readFileSync(join(folder, 'second', 'runbook.md'), 'utf8')).toContain('No secret travels.');
  });

  it('is in the list of renewals, and trusted by what `ibmi trust` writes', async () => {
    const { stdout } = await sallyport('ibmi', 'renewals', '--days', '120', '--json');
    const { renewals } = JSON.parse(stdout) as {
      renewals: readonly { host: string; applications: string[]; label: string; nextLabel: string }[];
    };
    // The first one is revoked.
    expect(renewals.map(({ host }) => host)).toEqual(['localhost']);
    // As it was asked for: with the servers that it is for, and never again under the label that it has.
    expect(renewals[0]).toMatchObject({ label: `${said.label}-2` });
    expect(renewals[0]?.applications).toContain('telnet');
    expect(renewals[0]?.applications.length).toBeGreaterThan(5);
    expect(renewals[0]?.nextLabel).toMatch(/^telnet-\d{4}-\d\d/);
    expect(renewals[0]?.nextLabel).not.toBe(renewals[0]?.label);
    const { exitCode } = await sallyport('ibmi', 'trust', '--for', 'tn5250', '--out', join(folder, 'trust'));
    expect(exitCode).toBe(0);
    expect(readFileSync(join(folder, 'trust', 'ca/01-root.crt'), 'utf8')).toBe(
      readFileSync(out('ca/01-root.crt'), 'utf8'),
    );
  });

  it.each([
    [['--csr', '/nowhere.csr'], 2],
    [[], 2],
    [['--p12', '--csr', 'x'], 2],
    [['--p12', '--label', 'a b'], 2],
    [['--p12', '--name', 'evil.example.com'], 1],
    [['--p12', '--profile', 'nothing'], 1],
  ])('is not asked for, or refused, with %j', async (more, exitCode) => {
    const asked = ['ibmi', 'issue', 'localhost', '--apps', 'telnet', '--out', join(folder, 'never')];
    expect((await sallyport(...asked, ...more)).exitCode).toBe(exitCode);
  });
});
