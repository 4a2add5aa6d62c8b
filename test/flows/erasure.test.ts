import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { verifyBundle, verifyProof } from '../../src/accounting/verify/index.ts';
import { removePerson } from '../../src/identity/index.ts';
import { type Clock } from '../../src/kernel/index.ts';
import { startBroker, type RunningBroker } from '../../src/main/broker.ts';
import { loadConfig } from '../../src/main/config.ts';
import { erasePerson } from '../../src/main/operator/index.ts';
import { newPublicKey } from '../doors/http/support.ts';
import {
  auditor,
  bob,
  boss,
  clientOf,
  makeBrokerFolder,
  type BrokerFolder,
  type LoginAttempt,
} from '../support/broker.ts';
import { generateProofKey, type BrokerClient } from '../../src/doors/client/index.ts';
import { codeOf } from '../support/code-of.ts';

// A name that no account has: account names stand in certificates, and in the log in clear.
const clara = { login: 'clara.quintessa', groups: ['guests'], password: 'canary-clara-7Pq2Lm' };
const dayMs = 86_400_000;

let made: BrokerFolder;
let nowMs = Date.UTC(2026, 10, 24, 9);
const clock: Clock = { nowMs: () => nowMs };
beforeEach(async () => {
  nowMs = Date.UTC(2026, 10, 24, 9);
  made = await makeBrokerFolder({ people: [boss, bob, auditor, clara] });
  const policy = readFileSync(made.policyFile, 'utf8');
  const guests = `  guests:
    who: { groups: [builtin:guests] }
    principals: { explicit: [guest] }
    lifetime: { default: 1h, max: 1h }
    extensions: [permit-pty]
    reason: optional
`;
  writeFileSync(
    made.policyFile,
    policy.replace(/^profiles:\n/m, (line) => line + guests),
  );
});
afterEach(() => made.remove());

const passphrase = (): string => readFileSync(join(made.folder, 'secrets', 'keys.passphrase'), 'utf8').trim();
const start = (): Promise<RunningBroker> =>
  startBroker({
    config: loadConfig(made.configFile),
    passphrase: passphrase(),
    log: pino({ level: 'silent' }),
    version: 'test',
    clock,
  });

async function loggedIn({ login, password }: LoginAttempt): Promise<BrokerClient> {
  const proofKey = generateProofKey();
  const client = clientOf(made, clock);
  const { token } = await client.login({ login, password }, proofKey);
  client.close();
  return clientOf(made, clock, { token, proofKey });
}

/** Everything that the files of the database hold. */
function bytesOnDisk(): string {
  const data = join(made.folder, 'data');
  return readdirSync(data)
    .map((name) => readFileSync(join(data, name), 'latin1'))
    .join('\n');
}

async function exported(running: BrokerClient): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of await running.exportLog({})) chunks.push(chunk);
  return Buffer.concat(chunks);
}
async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}

describe('erasing what the log need not keep', () => {
  it('takes values out by age, and proofs of then verify as before', async () => {
    let running = await start();
    const owner = await loggedIn(bob);
    const { serial } = await owner.sign(newPublicKey(), { reason: 'a word to be forgotten' });
    const receipt = await owner.proof(String(serial));
    const { log } = await owner.authority();
    owner.close();
    await running.stop();

    const config = readFileSync(made.configFile, 'utf8');
    writeFileSync(made.configFile, config.replace(/^log:\n/m, 'log:\n  retention: { reasons: 30d }\n'));
    nowMs += 29 * dayMs;
    running = await start();
    await running.stop();
    expect(bytesOnDisk()).toContain('a word to be forgotten');

    nowMs += 2 * dayMs;
    running = await start();
    const reader = await loggedIn(auditor);
    const found = await reader.searchLog({ serial: String(serial), type: 'cred.issue' });
    expect(found.items[0]?.openings).toMatchObject({ 'actor.name': 'bob', 'src.ip': '127.0.0.1' });
    expect(found.items[0]?.openings).not.toHaveProperty('reason');
    expect((await reader.searchLog({ reason: 'forgotten' })).items).toEqual([]);
    const [told] = (await reader.searchLog({ type: 'log.erase' })).items;
    expect(told?.entry['erased']).toMatchObject({ rule: 'reasons', keep_days: 30, entries: 1 });

    expect(bytesOnDisk()).not.toContain('a word to be forgotten');
    const verdict = await verifyBundle(once(await exported(reader)), { verifierKey: log.verifierKey });
    expect([verdict.integrity.state, verdict.facts?.erased]).toEqual(['verified', 1]);
    expect(verifyProof(receipt, { verifierKey: log.verifierKey }).exitCode).toBe(0);
    reader.close();
    await running.stop();
  });

  it('takes the reason of a revocation out of the rows too', async () => {
    let running = await start();
    const owner = await loggedIn(bob);
    const { serial } = await owner.sign(newPublicKey(), {});
    const admin = await loggedIn(boss);
    const target = { kind: 'serial', value: String(serial) } as const;
    await admin.revoke({ target, reason: 'an unkind remark', lock: false, apply: true });
    owner.close();
    admin.close();
    await running.stop();
    const config = readFileSync(made.configFile, 'utf8');
    writeFileSync(
      made.configFile,
      config.replace(/^log:\n/m, 'log:\n  retention: { reasons: 1d, names: 1d }\n'),
    );
    nowMs += 2 * dayMs;
    running = await start();
    const again = await loggedIn(boss);
    const [issued] = (await again.issued({})).items;
    expect(issued).toMatchObject({ person: { login: 'erased' }, revokedReason: 'erased', state: 'revoked' });
    again.close();
    await running.stop();
    expect(bytesOnDisk()).not.toContain('an unkind remark');
  });

  it('forgets a person whole, everywhere in the files, and says so in the log', async () => {
    nowMs = Date.now();
    let running = await start();
    const owner = await loggedIn(clara);
    await owner.sign(newPublicKey(), { reason: 'for the quintessential task' });
    const admin = await loggedIn(boss);
    const id = (await owner.session()).person.id;
    const { log } = await admin.authority();
    const before = await exported(admin);
    owner.close();
    const erase = (yes: boolean) =>
      erasePerson(
        { configFile: made.configFile, person: 'clara.quintessa', reason: 'she asked for it', yes },
        { note: () => undefined, askSecret: async () => '' },
      );
    expect(await codeOf(erase(true))).toBe('store.in_use');
    admin.close();
    await running.stop();
    expect(await codeOf(erase(true))).toBe('main.person_has_access');

    running = await start();
    const again = await loggedIn(boss);
    const target = { kind: 'person', value: id } as const;
    await again.revoke({ target, reason: 'Clara Quintessa left', lock: true, apply: true });
    again.close();
    await removePerson(made.peopleFile, clara.login);
    await running.stop();
    expect(bytesOnDisk()).toContain('uintessa');
    expect(bytesOnDisk()).toContain('quintessential task');

    expect((await erase(false)).value).toMatchObject({ applied: false });
    expect(bytesOnDisk()).toContain('quintessential task');
    expect((await erase(true)).value).toMatchObject({ applied: true, person: { id } });
    const disk = bytesOnDisk();
    expect(disk).not.toContain('quintessential task');
    expect(disk).not.toContain('Quintessa left');
    expect(disk).not.toContain('clara.quintessa');

    running = await start();
    const reader = await loggedIn(auditor);
    const bundle = await exported(reader);
    const verdict = await verifyBundle(once(bundle), { verifierKey: log.verifierKey });
    expect(verdict.integrity.state).toBe('verified');
    expect(verdict.facts?.erased).toBeGreaterThan(5);
    // What was exported before still verifies: nobody can tell it to forget.
    const old = await verifyBundle(once(before), { verifierKey: log.verifierKey });
    expect(old.integrity.state).toBe('verified');
    const [told] = (await reader.searchLog({ type: 'log.erase' })).items;
    expect(told?.entry).toMatchObject({
      actor: { kind: 'operator' },
      subject: { uid: id },
      erased: { rule: 'person' },
    });
    reader.close();
    await running.stop();
  });
});
