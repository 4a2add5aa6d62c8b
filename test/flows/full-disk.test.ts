import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { verifyBundle } from '../../src/accounting/verify/index.ts';
import { generateProofKey, type BrokerClient } from '../../src/doors/client/index.ts';
import { startBroker, type RunningBroker } from '../../src/main/broker.ts';
import { loadConfig } from '../../src/main/config.ts';
import { newPublicKey } from '../doors/http/support.ts';
import { alice, boss, clientOf, makeBrokerFolder, type BrokerFolder } from '../support/broker.ts';
import { codeOf } from '../support/code-of.ts';
import { describeWithPeers } from '../support/peers.ts';

/** A data folder on a file system of its own, of a few megabytes, that can be filled up or made read-only. */
describeWithPeers(['root'], 'a broker whose disk', () => {
  let made: BrokerFolder;
  let mount: string;
  let running: RunningBroker | undefined;
  const clients: BrokerClient[] = [];

  beforeEach(async () => {
    made = await makeBrokerFolder();
    mount = mkdtempSync(join(tmpdir(), 'sallyport-small-disk-'));
    must('mount', '-t', 'tmpfs', '-o', 'size=6m,mode=0700', 'tmpfs', mount);
    cpSync(join(made.folder, 'data'), join(mount, 'data'), { recursive: true });
    const config = readFileSync(made.configFile, 'utf8');
    writeFileSync(made.configFile, config.replace(/^data: .*$/m, `data: ${join(mount, 'data')}`));
  });
  afterEach(async () => {
    for (const client of clients.splice(0)) client.close();
    await running?.stop().catch(() => undefined);
    running = undefined;
    must('umount', mount);
    rmSync(mount, { recursive: true });
    made.remove();
  });

  const start = async (): Promise<void> => {
    running = await startBroker({
      config: loadConfig(made.configFile),
      passphrase: readFileSync(join(made.folder, 'secrets', 'keys.passphrase'), 'utf8').trim(),
      log: pino({ level: 'silent' }),
      version: 'test',
    });
  };
  const stop = async (): Promise<void> => {
    const stopping = running;
    running = undefined;
    await stopping?.stop();
  };
  async function loggedIn({ login, password }: typeof alice): Promise<BrokerClient> {
    const proofKey = generateProofKey();
    const client = clientOf(made);
    const { token } = await client.login({ login, password }, proofKey);
    client.close();
    const signedIn = clientOf(made, undefined, { token, proofKey });
    clients.push(signedIn);
    return signedIn;
  }
  async function verdictNow(): Promise<number> {
    const client = await loggedIn(boss);
    const chunks: Buffer[] = [];
    for await (const chunk of await client.exportLog({})) chunks.push(chunk);
    const bundle = join(made.folder, 'log.bundle');
    writeFileSync(bundle, Buffer.concat(chunks));
    return (await verifyBundle(bundle, { verifierKey: readFileSync(made.logKeyFile, 'utf8').trim() }))
      .exitCode;
  }
  const ballast = (): string => join(mount, 'ballast');
  function fillUp(): void {
    mkdirSync(ballast(), { recursive: true });
    // Down to the last page: dd ends where the disk does.
    for (const block of ['1M', '64k', '4k'])
      spawnSync('dd', ['if=/dev/zero', `of=${join(ballast(), block)}`, `bs=${block}`]);
  }

  it('is full refuses with the cause, keeps what it acknowledged, and goes on when there is space again', async () => {
    await start();
    const client = await loggedIn(alice);
    const admin = await loggedIn(boss);
    const before = await client.sign(newPublicKey(), {});
    fillUp();
    const seen = new Set<string>();
    // Space inside of the files may last for a while.
    for (let attempt = 0; attempt < 400 && !seen.has('store.unavailable'); attempt += 1)
      seen.add(await codeOf(client.sign(newPublicKey(), {})));
    expect(seen).toContain('store.unavailable');
    const target = { kind: 'serial', value: String(before.serial) } as const;
    const refused = admin.revoke({ target, reason: 'lost', lock: false, apply: true });
    expect(await codeOf(refused)).toMatch(/^store\.unavailable$|^revocation\.not_published$/);

    rmSync(ballast(), { recursive: true });
    const after = await client.sign(newPublicKey(), {});
    expect(after.serial).toBeGreaterThan(before.serial);
    expect(await codeOf(admin.revoke({ target, reason: 'lost', lock: false, apply: true }))).toBe('accepted');
    expect(await verdictNow()).toBe(0);
    await stop();
    await start();
    expect(await verdictNow()).toBe(0);
  });

  it('is full at the start says so, leaves everything as it was, and starts when there is space again', async () => {
    await start();
    const client = await loggedIn(alice);
    await client.sign(newPublicKey(), {});
    await stop();
    fillUp();
    expect(await codeOf(start())).toBe('store.unavailable');
    rmSync(ballast(), { recursive: true });
    await start();
    expect(await verdictNow()).toBe(0);
  });

  it('becomes read-only refuses with the cause, and goes on when it can be written again', async () => {
    await start();
    const client = await loggedIn(alice);
    const before = await client.sign(newPublicKey(), {});
    await stop();
    must('mount', '-o', 'remount,ro', mount);
    expect(await codeOf(start())).toBe('store.unavailable');
    must('mount', '-o', 'remount,rw', mount);
    await start();
    const again = await loggedIn(alice);
    expect((await again.sign(newPublicKey(), {})).serial).toBeGreaterThan(before.serial);
    expect(await verdictNow()).toBe(0);
  });
});

function must(command: string, ...args: readonly string[]): void {
  const { status, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr}`);
}
