import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { cpSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { describeVerdict, verifyBundle, type Verdict } from '../../src/accounting/verify/index.ts';
import { systemClock } from '../../src/kernel/index.ts';
import { startBroker, type RunningBroker } from '../../src/main/broker.ts';
import { loadConfig } from '../../src/main/config.ts';
import { recover } from '../../src/main/operator/index.ts';
import { parseCertificate, parseKrl, type Certificate } from '../../src/ssh/index.ts';
import { newPublicKey } from '../doors/http/support.ts';
import { alice, boss, makeBrokerFolder, type BrokerFolder } from '../support/broker.ts';
import { codeOf } from '../support/code-of.ts';
import { findPeer } from '../support/peers.ts';
import { bundleOf, clientWith, logInTo, runSallyport } from '../support/serve.ts';

let made: BrokerFolder;
beforeEach(async () => {
  made = await makeBrokerFolder();
});
afterEach(() => made.remove());

const at = (...names: string[]): string => join(made.folder, ...names);
const start = (): Promise<RunningBroker> =>
  startBroker({
    config: loadConfig(made.configFile),
    passphrase: readFileSync(at('secrets', 'keys.passphrase'), 'utf8').trim(),
    log: pino({ level: 'silent' }),
    version: 'test',
  });

/** A start, so many certificates for alice, a clean stop. */
async function day(certificates = 1): Promise<string[]> {
  const running = await start();
  const client = clientWith(made, await logInTo(made, alice));
  const got: string[] = [];
  for (let nth = 0; nth < certificates; nth += 1)
    got.push((await client.sign(newPublicKey(), { ttlSeconds: 600 })).certificate);
  client.close();
  await running.stop();
  return got;
}

const kept = (): string => at('log-checkpoint');
const keptOrigin = (): string => readFileSync(kept(), 'utf8').split('\n')[0] ?? '';
const backUp = (): void => cpSync(at('data'), at('copy'), { recursive: true });
function restore(): void {
  rmSync(at('data'), { recursive: true });
  cpSync(at('copy'), at('data'), { recursive: true });
}
const originOf = (): string => loadConfig(made.configFile).log.origin;
function rename(origin: string): void {
  const text = readFileSync(made.configFile, 'utf8');
  writeFileSync(made.configFile, text.replace(/^ {2}origin: .*$/m, `  origin: ${origin}`));
}
const quiet = { note: () => undefined, askSecret: async () => '' };
const run = (
  over: Partial<Parameters<typeof recover>[0]> = {},
): Promise<{ value: object; lines: readonly string[] }> =>
  recover(
    { configFile: made.configFile, reason: 'disk lost', asItStands: false, yes: true, ...over },
    quiet,
  ) as Promise<{
    value: object;
    lines: readonly string[];
  }>;

/** What the broker's list says of a certificate; `ssh-keygen` is asked as well where there is one. */
function isRevoked(krl: Buffer, text: string): boolean {
  const { key, caKey, serial, keyId }: Certificate = parseCertificate(text);
  const { revoked } = parseKrl(krl).isRevoked({ key: key.blob, caKey: caKey.blob, serial, keyId });
  const keygen = findPeer('ssh-keygen');
  if (keygen !== undefined) {
    writeFileSync(at('asked.krl'), krl);
    writeFileSync(at('asked-cert.pub'), `${text}\n`);
    const { status } = spawnSync(keygen, ['-Q', '-f', at('asked.krl'), at('asked-cert.pub')]);
    expect(status).toBe(revoked ? 1 : 0);
  }
  return revoked;
}

async function verify(bundle: Buffer | string, verifierKey: string): Promise<Verdict> {
  const file = typeof bundle === 'string' ? bundle : at('log.bundle');
  if (typeof bundle !== 'string') writeFileSync(file, bundle);
  return verifyBundle(file, { verifierKey });
}

/** Backed up, gone on, restored: what `audit recover` is for. @returns a certificate from before and those from after the copy */
async function rolledBack(): Promise<{ before: string; after: readonly string[] }> {
  const [before = ''] = await day();
  backUp();
  const after = await day(3);
  restore();
  expect(await codeOf(start())).toBe('accounting.rolled_back');
  return { before, after };
}

describe('a broker that goes on from an old copy', () => {
  it('begins a new log, and nothing of the lost time is good any more', async () => {
    const { before, after } = await rolledBack();
    const old = originOf();
    rename(`${old}.2`);
    const sizeBefore = statSync(kept()).size;
    const rehearsed = await run({ yes: false });
    expect(rehearsed.value).toMatchObject({ applied: false, found: 'rolled_back', newOrigin: `${old}.2` });
    expect([statSync(kept()).size, await codeOf(start())]).toEqual([sizeBefore, 'store.foreign_log']);

    const done = await run();
    expect(done.value).toMatchObject({ applied: true, revoked: 1, sessionsEnded: 1 });
    expect(keptOrigin()).toBe(`${old}.2`);
    const { archive, verifierKey } = done.value as {
      archive: { file: string; sha256: string };
      verifierKey: string;
    };

    const running = await start();
    // Whoever had a session logs in again.
    const client = clientWith(made, await logInTo(made, alice));
    const { certificate } = await client.sign(newPublicKey(), { ttlSeconds: 600 });
    const krl = await client.krl();
    client.close();
    expect([before, ...after].map((one) => isRevoked(krl, one))).toEqual([true, true, true, true]);
    expect(isRevoked(krl, certificate)).toBe(false);
    const serial = parseCertificate(certificate).serial;
    expect([before, ...after].every((one) => parseCertificate(one).serial < serial)).toBe(true);
    const reader = await logInTo(made, boss);
    const bundle = await bundleOf(made, reader);
    const asking = clientWith(made, reader);
    // This log never had it, and does not say that nobody issued it.
    const older = String(parseCertificate(before).serial);
    expect(await codeOf(asking.proof(older))).toBe('accounting.log_before');
    expect(await codeOf(asking.proof(String(serial + 1000n)))).toBe('accounting.never_issued');
    asking.close();
    await running.stop();

    // The old log with the old key, the new one with the new.
    const oldKey = readFileSync(made.logKeyFile, 'utf8').trim();
    expect(await verify(archive.file, oldKey)).toMatchObject({ exitCode: 0 });
    expect(createHash('sha256').update(readFileSync(archive.file)).digest('hex')).toBe(archive.sha256);
    expect(statSync(archive.file).mode & 0o777).toBe(0o600);
    expect((await verify(bundle, oldKey)).exitCode).not.toBe(0);
    const verdict = await verify(bundle, verifierKey);
    expect(verdict).toMatchObject({ exitCode: 0, completeness: { state: 'verified' } });
    expect(describeVerdict(verdict)).toContain(`goes on from the log ${old}`);
    const entries = [...bundle.toString().matchAll(/^\{.*"v":1\}$/gm)].map(
      ([line]) => JSON.parse(line) as Entry,
    );
    expect(entries.map(({ type }) => type).slice(0, 3)).toEqual(['log.epoch', 'cred.revoke', 'system.start']);
    expect(entries[0]?.epoch).toMatchObject({
      origin: old,
      found: 'rolled_back',
      archive_sha256: archive.sha256,
      kept: expect.stringContaining(old) as string,
    });
    expect(await codeOf(run())).toBe('main.nothing_to_recover');

    // The new log is as append-only as the old one was.
    const database = new DatabaseSync(at('data', 'sallyport.db'));
    for (const sql of ['DELETE FROM log_entry', 'UPDATE log_entry SET entry = leaf_hash'])
      expect(() => database.exec(sql)).toThrow('append-only');
    database.close();
  });

  it('asks for a new name first, and takes none that a log had', async () => {
    await rolledBack();
    const old = originOf();
    expect((await run({ yes: false })).lines.join('\n')).toContain(`origin: ${old}.2`);
    expect(await codeOf(run())).toBe('main.same_origin');
    expect(await codeOf(start())).toBe('accounting.rolled_back');

    // Recovered once; then a copy from before that comes back.
    rename(`${old}.2`);
    await run();
    await day();
    restore();
    expect(await codeOf(run())).toBe('main.same_origin');
    expect((await run({ yes: false })).lines.join('\n')).toContain(`origin: ${old}.3`);
    rename(`${old}.3`);
    await run();
    const [certificate = ''] = await day();
    // Beyond whatever the log of which this copy knows nothing has issued.
    expect(parseCertificate(certificate).serial).toBeGreaterThan(BigInt(Date.now() - 600_000) * 1024n);
  });

  it('recovers from a fork, where both sides issued the same serials', async () => {
    const [before = ''] = await day();
    backUp();
    const then = readFileSync(kept());
    const lost = await day(2);
    const newest = readFileSync(kept());
    restore();
    writeFileSync(kept(), then);
    const twins = await day(9);
    writeFileSync(kept(), newest);
    expect(await codeOf(start())).toBe('accounting.forked');
    rename(`${originOf()}.2`);
    expect((await run()).value).toMatchObject({ found: 'forked' });
    const running = await start();
    const krl = running.rooms.krl.current?.bytes ?? Buffer.alloc(0);
    await running.stop();
    expect([before, ...lost, ...twins].every((one) => isRevoked(krl, one))).toBe(true);
  });

  it.each([
    ['is gone', () => rmSync(kept()), 'no_kept_checkpoint'],
    ['is noise', () => writeFileSync(kept(), 'x'.repeat(1000)), 'bad_kept_checkpoint'],
  ])('recovers when what was kept %s', async (_what, damage, found) => {
    const [before = ''] = await day();
    damage();
    rename(`${originOf()}.2`);
    expect((await run()).value).toMatchObject({ found });
    const [certificate = ''] = await day();
    expect(parseCertificate(certificate).serial).toBeGreaterThan(
      parseCertificate(before).serial + 1_000_000n,
    );
  });

  it('drops the range once no certificate of that time can be alive', async () => {
    await rolledBack();
    rename(`${originOf()}.2`);
    await run();
    const running = await start();
    const { store, issuer } = running.rooms;
    const seconds = BigInt(Math.floor(systemClock.nowMs() / 1000));
    const ranges = async (inHours: bigint): Promise<number> =>
      (await store.revokedRanges(issuer.caFingerprint, seconds + inHours * 3600n)).length;
    expect([await ranges(0n), await ranges(24n), await ranges(26n)]).toEqual([1, 1, 0]);
    await running.stop();
  });
});

interface Entry {
  readonly type: string;
  readonly epoch?: object;
}

describe('a recovery that does not come to its end', () => {
  it('is finished by saying it again when only the checkpoint is missing', async () => {
    await rolledBack();
    const old = readFileSync(kept());
    rename(`${originOf()}.2`);
    await run();
    writeFileSync(kept(), old);
    expect(await codeOf(start())).toBe('accounting.bad_kept_checkpoint');
    expect((await run({ yes: false })).value).toMatchObject({ found: 'broke_off', applied: false });
    expect((await run()).value).toMatchObject({ found: 'broke_off', applied: true });
    await day();
    // Once a broker has run, the same file is a sign of something else.
    writeFileSync(kept(), old);
    expect(await codeOf(run())).toBe('main.same_origin');
  });

  it('leaves the old state or the new one after kill -9, at 12 moments', async () => {
    await rolledBack();
    const old = originOf();
    const keptThen = readFileSync(kept());
    rename(`${old}.2`);
    const outcomes = new Set<string>();
    for (let nth = 0; nth < 12; nth += 1) {
      restore();
      rmSync(at('archive'), { recursive: true, force: true });
      writeFileSync(kept(), keptThen);
      const asked = ['audit', 'recover', '--config', made.configFile, '--reason', 'x', '--yes'];
      const recovering = runSallyport(asked);
      // It says when it writes the archive, and when it begins the transaction: death comes up to 20 ms after either.
      await recovering.said(nth % 2 === 0 ? /Writing/ : /Beginning/);
      await sleep(nth * 2);
      if (nth < 11) recovering.process.kill('SIGKILL');
      const exitCode = await recovering.ended();
      if (nth === 11) expect(exitCode).toBe(0);
      const code = await codeOf(run());
      outcomes.add(code);
      expect(['accepted', 'main.nothing_to_recover']).toContain(code);
      expect(keptOrigin()).toBe(`${old}.2`);
      expect(readdirSync(at('archive')).filter((name) => name.endsWith('.bundle'))).toHaveLength(1);
      await (await start()).stop();
    }
    expect(outcomes.size).toBe(2);
  }, 300_000);
});

describe('a database that is the last one, without its checkpoint', () => {
  it('goes on with its log when the operator vouches for it', async () => {
    const [before = ''] = await day();
    rmSync(kept());
    expect(await codeOf(start())).toBe('accounting.no_kept_checkpoint');
    expect((await run({ asItStands: true, yes: false })).value).toMatchObject({ applied: false });
    expect(await codeOf(start())).toBe('accounting.no_kept_checkpoint');
    await run({ asItStands: true });
    const running = await start();
    expect(await running.rooms.store.searchLog({ type: 'system.restore', limit: 9 })).toHaveLength(1);
    expect(isRevoked(running.rooms.krl.current?.bytes ?? Buffer.alloc(0), before)).toBe(false);
    const bundle = await bundleOf(made, await logInTo(made, boss));
    await running.stop();
    expect(await verify(bundle, readFileSync(made.logKeyFile, 'utf8').trim())).toMatchObject({ exitCode: 0 });
  });

  it.each([true, false])('is refused where a checkpoint says otherwise (yes: %s)', async (yes) => {
    await rolledBack();
    const then = readFileSync(kept());
    expect(await codeOf(run({ asItStands: true, yes }))).toBe('accounting.rolled_back');
    writeFileSync(kept(), 'noise');
    expect(await codeOf(run({ asItStands: true, yes }))).toBe('accounting.bad_kept_checkpoint');
    writeFileSync(kept(), then);
    expect(await codeOf(start())).toBe('accounting.rolled_back');
  });

  it('is left alone while a broker runs on it, and while nothing is wrong', async () => {
    const running = await start();
    expect(await codeOf(run())).toBe('store.in_use');
    await running.stop();
    expect(await codeOf(run())).toBe('main.nothing_to_recover');
    expect(await codeOf(run({ asItStands: true }))).toBe('main.nothing_to_recover');
  });
});
