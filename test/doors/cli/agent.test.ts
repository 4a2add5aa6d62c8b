import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { BrokerStub } from '../../support/broker-stub.ts';
import { startBrokerStub } from '../../support/broker-stub.ts';
import type { ClientHome, RunResult } from '../../support/fake-terminal.ts';
import { makeClientHome, runCli } from '../../support/fake-terminal.ts';
import { describeWithPeers } from '../../support/peers.ts';
import type { RunningAgent } from '../../support/ssh-agent.ts';
import { startAgent } from '../../support/ssh-agent.ts';

describeWithPeers(['ssh-agent', 'ssh'], 'the real ssh-agent and ssh', () => {
  let broker: BrokerStub;
  let agent: RunningAgent;
  let home: ClientHome;
  let folder: string;

  beforeAll(async () => {
    broker = await startBrokerStub();
    folder = mkdtempSync(join(tmpdir(), 'sallyport-agent-'));
    agent = await startAgent(folder);
  });
  afterAll(async () => {
    await agent.stop();
    rmSync(folder, { recursive: true, force: true });
    await broker.stop();
  });
  beforeEach(() => {
    home = makeClientHome(broker);
    home.env['SSH_AUTH_SOCK'] = agent.socketPath;
  });
  afterEach(() => home.remove());

  const login = (...args: readonly string[]): Promise<RunResult> =>
    runCli(['login', '--user', 'alice', '--password-stdin', ...args], {
      env: home.env,
      stdin: broker.password,
    });
  const held = (): string => {
    const env = { ...process.env, SSH_AUTH_SOCK: agent.socketPath };
    return spawnSync('ssh-add', ['-L'], { env, encoding: 'utf8' }).stdout;
  };
  const certificate = (): string =>
    readFileSync(home.path('id_ed25519-cert.pub'), 'utf8').split(' ').slice(0, 2).join(' ');

  test('login puts the certificate in, status sees it, logout takes it out', async () => {
    const result = await login('--json');
    expect(JSON.parse(result.stdout)).toMatchObject({ certificate: { agent: { added: true } } });
    expect(held()).toContain(certificate());
    const status = await runCli(['status', '--json'], { env: home.env });
    expect(JSON.parse(status.stdout)).toMatchObject({ agent: { reachable: true, holdsCertificate: true } });
    await runCli(['logout'], { env: home.env });
    expect(held()).not.toContain('cert-v01');
  });

  test('a second login and a renewal leave one certificate of ours in it', async () => {
    await login();
    const first = certificate();
    await login();
    const second = certificate();
    expect(held()).toContain(second);
    expect(held()).not.toContain(first);
    const note = JSON.parse(readFileSync(home.path('certificate.json'), 'utf8')) as object;
    const past = { validAfter: '2020-01-01T00:00:00Z', validBefore: '2020-01-02T00:00:00Z' };
    writeFileSync(home.path('certificate.json'), JSON.stringify({ ...note, ...past }));
    expect((await runCli(['renew', '--quiet'], { env: home.env })).exitCode).toBe(0);
    expect(certificate()).not.toBe(second);
    expect(held()).toContain(certificate());
    expect(held()).not.toContain(second);
    await runCli(['logout'], { env: home.env });
  });

  test('--no-agent leaves it alone, also at renewal', async () => {
    await login('--no-agent');
    expect(held()).not.toContain('cert-v01');
    expect(JSON.parse(readFileSync(home.path('certificate.json'), 'utf8'))).toMatchObject({ agent: false });
  });

  test('a dead agent socket is a note, not a failure', async () => {
    home.env['SSH_AUTH_SOCK'] = `${home.folder}/no-agent`;
    const result = await login();
    expect(result.exitCode).toBe(0);
    expect(result.stderr).toContain('not in the ssh-agent');
  });

  test('ssh understands the block of ssh-config, and takes it only while there is a live certificate', async () => {
    await login();
    const { stdout } = await runCli(['ssh-config', '--hosts', '*.example.com,!db.example.com'], {
      env: home.env,
    });
    writeFileSync(`${home.folder}/ssh_config`, `${stdout}\nHost *\n    User after\n`);
    const resolve = (host: string): string =>
      spawnSync('ssh', ['-G', '-F', `${home.folder}/ssh_config`, host], {
        encoding: 'utf8',
        env: { PATH: process.env['PATH'], HOME: home.folder },
      }).stdout;
    const ours = `certificatefile ${home.path('id_ed25519-cert.pub')}`;
    expect(resolve('web.example.com')).toContain(ours);
    expect(resolve('web.example.com')).toContain('identitiesonly yes');
    expect(resolve('web.example.com')).toContain('user after');
    expect(resolve('db.example.com')).not.toContain(ours);
    expect(resolve('db.example.com')).toContain('user after');
    await runCli(['logout'], { env: home.env });
    expect(resolve('web.example.com')).not.toContain(ours);
    expect(resolve('web.example.com')).toContain('user after');
  });

  test('ssh-config survives a home with spaces and percent signs, and refuses one with quotes', async () => {
    home.env['SALLYPORT_HOME'] = `${home.folder}/a b%h`;
    await login();
    const { stdout } = await runCli(['ssh-config', '--hosts', 'x'], { env: home.env });
    writeFileSync(`${home.folder}/ssh_config`, stdout);
    const run = spawnSync('ssh', ['-G', '-F', `${home.folder}/ssh_config`, 'x'], {
      encoding: 'utf8',
      env: { PATH: process.env['PATH'], HOME: home.folder },
    });
    expect(run.stderr).not.toContain('sallyport');
    expect(run.stdout).toContain('identitiesonly yes');
    home.env['SALLYPORT_HOME'] = `${home.folder}/a'b`;
    expect((await runCli(['ssh-config'], { env: home.env })).exitCode).toBe(2);
  });
});
