import { spawn } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, rmSync, watch, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { parseCertificate } from '../../../src/ssh/index.ts';
import type { BrokerStub, SignBody } from '../../support/broker-stub.ts';
import { problem, startBrokerStub } from '../../support/broker-stub.ts';
import type { ClientHome, RunResult } from '../../support/fake-terminal.ts';
import { cliPath, makeClientHome, runCli } from '../../support/fake-terminal.ts';

let broker: BrokerStub;
let home: ClientHome;

beforeAll(async () => {
  broker = await startBrokerStub();
});
afterAll(() => broker.stop());
beforeEach(() => {
  home = makeClientHome(broker);
  broker.certificateSeconds = 8 * 3600;
});
afterEach(async () => {
  await untilNobodyRenews();
  home.remove();
  broker.override('POST /v1/ssh/sign', undefined);
});

const login = (...args: readonly string[]): Promise<RunResult> =>
  runCli(['login', '--user', 'alice', '--password-stdin', ...args], {
    env: home.env,
    stdin: broker.password,
  });
const renew = (...args: readonly string[]): Promise<RunResult> =>
  runCli(['renew', '--quiet', ...args], { env: home.env });
const signs = (): number => broker.count('POST /v1/ssh/sign');
const serial = (): bigint =>
  parseCertificate(readFileSync(home.path('id_ed25519-cert.pub'), 'utf8').trimEnd()).serial;

/** Moves the certificate's note so that so many seconds are left of eight hours. */
function leave(seconds: number): void {
  const note = JSON.parse(readFileSync(home.path('certificate.json'), 'utf8')) as object;
  const endMs = Date.now() + seconds * 1000;
  const times = {
    validAfter: new Date(endMs - 8 * 3_600_000).toISOString(),
    validBefore: new Date(endMs).toISOString(),
  };
  writeFileSync(home.path('certificate.json'), JSON.stringify({ ...note, ...times }));
}

/**
 * A renewal that was handed over is nobody's child, so that its end cannot be awaited: it is known by the home in its
 * environment. It would write into a home that is removed already. Linux only.
 */
async function untilNobodyRenews(): Promise<void> {
  const renews = (pid: string): boolean => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/environ`, 'utf8').includes(home.folder);
    } catch {
      // It ended between the two looks.
      return false;
    }
  };
  while (process.platform === 'linux' && readdirSync('/proc').some(renews)) await delay(20);
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

interface Started {
  readonly code: number | null;
  readonly stderr: string;
  readonly ms: number;
}

/** A process of its own, as ssh starts it. */
function start(...args: readonly string[]): Promise<Started> {
  return startNode([cliPath, 'renew', '--quiet', ...args]);
}

function startNode(args: readonly string[]): Promise<Started> {
  const began = performance.now();
  const child = spawn(process.execPath, args, {
    env: { ...home.env, PATH: process.env['PATH'], HOME: home.folder },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  return new Promise((resolve) => {
    child.on('close', (code) => resolve({ code, stderr, ms: performance.now() - began }));
  });
}

describe('renew', () => {
  test('with a fresh certificate asks nobody and says nothing', async () => {
    await login();
    const before = broker.requests.length;
    expect(await renew()).toEqual({ exitCode: 0, stdout: '', stderr: '' });
    expect(broker.requests.length).toBe(before);
  });

  test('with a dead one gets a new certificate for the same key, asked for as at login', async () => {
    await login('--principal', 'ops', '--ttl', '2h', '--extension', 'permit-pty');
    const key = readFileSync(home.path('id_ed25519'), 'utf8');
    const first = serial();
    leave(-60);
    expect(await renew()).toEqual({ exitCode: 0, stdout: '', stderr: '' });
    expect(serial()).toBeGreaterThan(first);
    expect(readFileSync(home.path('id_ed25519'), 'utf8')).toBe(key);
    const asked = broker.requests.findLast(({ path }) => path === '/v1/ssh/sign');
    expect(asked?.body).toMatchObject({ principals: ['ops'], extensions: ['permit-pty'], ttlSeconds: 7200 });
  });

  test('asks for no extensions where login asked for none', async () => {
    await login('--no-extensions');
    leave(-60);
    expect((await renew()).exitCode).toBe(0);
    const asked = broker.requests.findLast(({ path }) => path === '/v1/ssh/sign');
    expect(asked?.body).toMatchObject({ extensions: [] });
  });

  test('with one that is due lets ssh go on at once and renews behind its back', async () => {
    await login();
    const first = serial();
    leave(600);
    const renewed = new Promise<void>((resolve) => {
      const watcher = watch(home.path(''), (_event, name) => {
        if (name !== 'certificate.json') return;
        watcher.close();
        resolve();
      });
    });
    expect(await renew()).toEqual({ exitCode: 0, stdout: '', stderr: '' });
    await renewed;
    expect(serial()).toBeGreaterThan(first);
  });

  test('says on a terminal what ssh waits for, once that takes over a second', async () => {
    await login();
    leave(-60);
    broker.override('POST /v1/ssh/sign', async ({ body }) => {
      await delay(1100);
      return broker.sign(body as SignBody, 'alice');
    });
    const [first, second] = await Promise.all([
      runCli(['renew', '--quiet'], { env: home.env, columns: 80 }),
      runCli(['renew', '--quiet'], { env: home.env, columns: 80 }),
    ]);
    expect([first.exitCode, second.exitCode]).toEqual([0, 0]);
    const said = `${first.stderr}${second.stderr}`;
    expect(said).toContain('Renewing the SSH certificate…');
    expect(said).toContain('Waiting for a renewal that is under way…');
    for (const { stdout, stderr } of [first, second])
      expect([stdout, stderr.endsWith('\r\u001B[K')]).toEqual(['', true]);
  });

  test('before anybody logged in says to do so, and makes no home', async () => {
    const result = await renew();
    expect([result.exitCode, result.stdout]).toEqual([4, '']);
    expect(result.stderr).toMatch(/^sallyport: .*Run `sallyport login`\.\n$/);
    expect(existsSync(home.path(''))).toBe(false);
  });

  test('without a session prints one helpful line and lets ssh go on', async () => {
    await login();
    leave(-3600);
    rmSync(home.path('session.json'));
    const result = await renew();
    expect(result.exitCode).toBe(4);
    expect(result.stdout).toBe('');
    expect(result.stderr.trimEnd().split('\n')).toHaveLength(1);
    expect(result.stderr).toContain('sallyport login');
    expect(result.stderr).toContain('1 h ago');
  });

  test('a session that the broker ended says to log in, too', async () => {
    await login();
    leave(-60);
    broker.override('POST /v1/ssh/sign', () => problem(401, 'identity.session_revoked', 'Revoked.'));
    const result = await renew();
    expect(result.exitCode).toBe(4);
    expect(result.stderr).toMatch(/^sallyport: .*Run `sallyport login`\.\n$/);
    expect(existsSync(home.path('renew.lock'))).toBe(false);
  });

  test('a refusal of the policy is told in one line', async () => {
    await login();
    leave(-60);
    broker.override('POST /v1/ssh/sign', () => problem(403, 'policy.no_profile', 'You left\nthe group.'));
    const result = await renew();
    expect(result.exitCode).toBe(1);
    expect(result.stderr).toMatch(/^sallyport: .*You left\?the group.*\n$/);
  });

  test('a certificate for somebody else’s key is not put in place', async () => {
    await login();
    const other = broker.requests.findLast(({ path }) => path === '/v1/ssh/sign');
    const own = makeClientHome(broker);
    await runCli(['login', '--user', 'bob', '--password-stdin'], { env: own.env, stdin: broker.password });
    const certificate = readFileSync(own.path('id_ed25519-cert.pub'), 'utf8').trimEnd();
    own.remove();
    expect(other).toBeDefined();
    leave(-60);
    const before = serial();
    broker.override('POST /v1/ssh/sign', () => ({
      lies: true,
      status: 201,
      body: {
        certificate,
        serial: '2',
        keyId: 'k',
        profile: 'users',
        caFingerprint: `SHA256:${'A'.repeat(43)}`,
      },
    }));
    expect((await renew()).exitCode).toBe(1);
    expect(serial()).toBe(before);
  });

  test('waits for another one that is at it, and takes its result', async () => {
    await login();
    leave(-60);
    const running = [renew(), renew(), renew()];
    const before = signs();
    expect((await Promise.all(running)).map(({ exitCode }) => exitCode)).toEqual([0, 0, 0]);
    expect(signs()).toBe(before + 1);
  });
});

describe('a renewal that somebody else has under way', () => {
  test('and that fails is told in one line', async () => {
    await login();
    leave(-60);
    const holder = { host: hostname(), pid: process.pid, since: Date.now() };
    writeFileSync(home.path('renew.lock'), JSON.stringify(holder));
    const waiting = renew();
    setTimeout(() => rmSync(home.path('renew.lock')), 100);
    const result = await waiting;
    expect(result.exitCode).toBe(1);
    expect(result.stderr).toMatch(/^sallyport: .*sallyport status.*\n$/);
  });

  test('is left alone while the certificate lives', async () => {
    await login();
    leave(600);
    writeFileSync(
      home.path('renew.lock'),
      JSON.stringify({ host: hostname(), pid: process.pid, since: Date.now() }),
    );
    const before = signs();
    expect(await renew('--now')).toEqual({ exitCode: 0, stdout: '', stderr: '' });
    expect(signs()).toBe(before);
  });
});

describe('renew as ssh starts it', () => {
  test('twenty at once renew once', async () => {
    await login();
    const before = signs();
    leave(-60);
    const all = await Promise.all(Array.from({ length: 20 }, () => start()));
    expect(all.map(({ code }) => code)).toEqual(Array.from({ length: 20 }, () => 0));
    expect(signs()).toBe(before + 1);
    expect(existsSync(home.path('renew.lock'))).toBe(false);
  });

  test('with the broker away and a live certificate costs ssh under 200 ms in the median, more only where Node itself does', async () => {
    const gone = await startBrokerStub();
    const own = makeClientHome(gone);
    await runCli(['login', '--user', 'alice', '--password-stdin'], { env: own.env, stdin: gone.password });
    await gone.stop();
    home.remove();
    home = own;
    // Due, so that it would love to renew.
    leave(600);
    const [renewals, bare]: [number[], number[]] = [[], []];
    for (let nth = 0; nth < 9; nth += 1) {
      bare.push((await startNode(['--eval', '0'])).ms);
      const { code, stderr, ms } = await start();
      expect([code, stderr]).toEqual([0, '']);
      renewals.push(ms);
      // What it handed over is not part of what ssh waits for, and must not slow the next start down.
      await untilNobodyRenews();
    }
    // The machine that runs the tests has other things to do, too: a Node that does nothing takes some 40 ms when it has not.
    expect(median(renewals)).toBeLessThan(Math.max(200, 5 * median(bare)));
  });

  test('with the broker away and a dead certificate says so in one line', async () => {
    const gone = await startBrokerStub();
    const own = makeClientHome(gone);
    await runCli(['login', '--user', 'alice', '--password-stdin'], { env: own.env, stdin: gone.password });
    await gone.stop();
    home.remove();
    home = own;
    leave(-60);
    const { code, stderr } = await start();
    expect(code).toBe(3);
    expect(stderr).toMatch(/^sallyport: .*cannot be reached.*\n$/);
  });
});
