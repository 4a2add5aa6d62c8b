import { generateKeyPairSync } from 'node:crypto';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { verifyProof } from '../../src/accounting/verify/index.ts';
import {
  fingerprint,
  formatPublicKey,
  parseCertificate,
  publicKeyFromKeyObject,
} from '../../src/ssh/index.ts';
import {
  alice,
  auditor,
  bob,
  boss,
  startTestBroker,
  type TestBroker,
  type TestPerson,
} from '../support/broker.ts';
import { codeOf } from '../support/code-of.ts';
import { runCli, type RunResult } from '../support/fake-terminal.ts';

let broker: TestBroker;
let folder: string;
beforeAll(async () => {
  broker = await startTestBroker({ people: [boss, alice, bob, auditor] });
  folder = mkdtempSync(join(tmpdir(), 'sallyport-audit-'));
});
afterAll(async () => {
  await broker.stop();
  rmSync(folder, { recursive: true, force: true });
});

const newKey = (): string =>
  formatPublicKey(publicKeyFromKeyObject(generateKeyPairSync('ed25519').publicKey), 'test');
const serialsOf = (page: { readonly items: readonly { readonly serial: bigint }[] }): bigint[] =>
  page.items.map(({ serial }) => serial);

describe('the receipt of a certificate', () => {
  it('proves offline that the issue of this very certificate is in the log', async () => {
    const client = await broker.loggedIn(alice);
    const signed = await client.sign(newKey(), {});
    const { log } = await client.authority();
    const { serial, caKey, key, ...rest } = parseCertificate(signed.certificate);
    const certificate = {
      ...rest,
      serial,
      caFingerprint: fingerprint(caKey.blob),
      keyFingerprint: fingerprint(key.blob),
    };
    const proof = await client.proof(String(serial));
    const verdict = verifyProof(proof, { verifierKey: log.verifierKey, certificate });
    expect(verdict.exitCode).toBe(0);
    expect(verdict.facts?.entry.type).toBe('cred.issue');

    const other = await client.sign(newKey(), {});
    const wrong = verifyProof(await client.proof(String(other.serial)), {
      verifierKey: log.verifierKey,
      certificate,
    });
    expect(wrong.exitCode).toBe(1);
    expect(wrong.integrity.detail).toContain('another serial');
  });

  it('goes to its bearer, to auditors and to admins, and to nobody else', async () => {
    const owner = await broker.loggedIn(alice);
    const { serial } = await owner.sign(newKey(), {});
    const stranger = await broker.loggedIn(bob);
    const unissued = String(serial + 100_000n);
    // The same for what exists and for what does not: a stranger learns nothing.
    for (const asked of [String(serial), unissued]) {
      expect(await codeOf(stranger.proof(asked))).toBe('policy.not_permitted');
      expect(await codeOf(stranger.explainCertificate(asked))).toBe('policy.not_permitted');
    }
    for (const who of [auditor, boss]) {
      const reader = await broker.loggedIn(who);
      expect(await reader.proof(String(serial))).toMatch(/^c2sp\.org\/tlog-proof@v1\nextra /);
      expect(await codeOf(reader.proof(unissued))).toBe('accounting.never_issued');
    }
  });
});

describe('a certificate explained', () => {
  it('tells who asked, which rule allowed it, and who ended it', async () => {
    const owner = await broker.loggedIn(bob);
    const { serial } = await owner.sign(newKey(), { reason: 'to mend the printer' });
    const admin = await broker.loggedIn(boss);
    const target = { kind: 'serial', value: String(serial) } as const;
    await admin.revoke({ target, reason: 'the printer is fine', lock: false, apply: true });

    const reader = await broker.loggedIn(auditor);
    const { credential, entries } = await reader.explainCertificate(String(serial));
    expect(credential).toMatchObject({ serial, state: 'revoked', person: { login: 'bob' } });
    expect(entries.map(({ entry }) => entry['type'])).toEqual(['cred.issue', 'cred.revoke']);
    expect(entries[0]?.entry['decision']).toMatchObject({
      rule: expect.stringContaining('policy') as string,
    });
    expect(entries[0]?.openings).toMatchObject({ reason: 'to mend the printer', 'actor.name': 'bob' });
    expect(entries[1]?.openings).toMatchObject({ reason: 'the printer is fine', 'actor.name': 'boss' });

    // The session ended with the revocation. Whose it was sees that it ended, and not who wrote what.
    const again = await broker.loggedIn(bob);
    const own = await again.explainCertificate(String(serial));
    expect(own.entries.map(({ openings }) => openings?.['reason'])).toEqual([
      'to mend the printer',
      undefined,
    ]);
  });

  it('says of a serial that was never issued just that', async () => {
    const reader = await broker.loggedIn(auditor);
    expect(await reader.explainCertificate('99999999')).toEqual({
      serial: '99999999',
      credential: undefined,
      entries: [],
    });
  });

  it('is recorded as a look', async () => {
    const reader = await broker.loggedIn(auditor);
    await reader.explainCertificate('12345678');
    const [look] = (await reader.searchLog({ type: 'log.read', limit: '2' })).items.slice(1);
    expect(look?.entry['target']).toEqual({ kind: 'certificate', value: '12345678' });
  });
});

describe('who could', () => {
  it('names the certificates that opened an account at a moment, and no others', async () => {
    const owner = await broker.loggedIn(alice);
    const before = new Date(Date.now() - 120_000).toISOString();
    const first = await owner.sign(newKey(), {});
    const reader = await broker.loggedIn(auditor);
    const between = new Date().toISOString();
    const query = { principal: 'ALICE', at: between };
    expect(serialsOf(await reader.whoCould(query))).toContain(first.serial);
    expect(serialsOf(await reader.whoCould({ principal: 'alice', at: before }))).not.toContain(first.serial);
    expect(serialsOf(await reader.whoCould({ principal: 'bob', at: between }))).not.toContain(first.serial);

    const admin = await broker.loggedIn(boss);
    const target = { kind: 'serial', value: String(first.serial) } as const;
    await admin.revoke({ target, reason: 'lost', lock: false, apply: true });
    const after = new Date().toISOString();
    expect(serialsOf(await reader.whoCould({ ...query, at: after }))).not.toContain(first.serial);
    // What was true then stays true.
    expect(serialsOf(await reader.whoCould(query))).toContain(first.serial);
  });

  it('is not for everybody', async () => {
    const client = await broker.loggedIn(alice);
    expect(await codeOf(client.whoCould({ principal: 'root', at: new Date().toISOString() }))).toBe(
      'http.not_permitted',
    );
  });
});

describe('a search by words', () => {
  it('finds the reason that somebody gave, for auditors alone', async () => {
    const owner = await broker.loggedIn(alice);
    const signed = await owner.sign(newKey(), { reason: 'Ticket INC-4711: the mail server is full' });
    const reader = await broker.loggedIn(auditor);
    const found = await reader.searchLog({ reason: 'inc-4711' });
    expect(found.items.map(({ entry }) => (entry['cred'] as { serial?: string }).serial)).toEqual([
      String(signed.serial),
    ]);
    expect(await codeOf(owner.searchLog({ reason: 'inc-4711' }))).toBe('policy.not_permitted');
  });

  it('narrows by subject and account', async () => {
    const reader = await broker.loggedIn(auditor);
    const about = await reader.searchLog({ subject: 'bob', type: 'cred.issue', principal: 'Bob' });
    expect(about.items.length).toBeGreaterThan(0);
    const subjects = new Set(about.items.map(({ entry }) => (entry['subject'] as { uid: string }).uid));
    expect(subjects.size).toBe(1);
    expect((await reader.searchLog({ subject: 'alice', principal: 'bob' })).items).toEqual([]);
  });
});

describe('the command line of an auditor', () => {
  const run = (person: TestPerson, args: readonly string[], stdin = ''): Promise<RunResult> =>
    runCli(args, {
      env: {
        SALLYPORT_URL: broker.url,
        SALLYPORT_CA_FILE: broker.caFile,
        SALLYPORT_HOME: join(folder, person.login),
      },
      stdin,
    });
  const logIn = (person: TestPerson, ...more: readonly string[]): Promise<RunResult> =>
    run(
      person,
      ['login', '--user', person.login, '--password-stdin', '--no-agent', ...more],
      person.password,
    );

  it('explains, proves, verifies and makes a table for spreadsheets', async () => {
    const reason = '=HYPERLINK("http://x.example","x")';
    const signed = await (await broker.loggedIn(alice)).sign(newKey(), { reason });
    const serial = String(signed.serial);
    await logIn(auditor, '--no-certificate');
    const explained = await run(auditor, ['audit', 'explain', '--serial', serial]);
    expect(explained.stdout).toContain(`Serial ${serial}: live.`);
    expect(explained.stdout).toMatch(/who +alice/);

    const [receipt, certificate, key] = ['r.tlog-proof', 'alice-cert.pub', 'log.vkey'].map((name) =>
      join(folder, name),
    ) as [string, string, string];
    writeFileSync(certificate, `${signed.certificate}\n`);
    writeFileSync(key, (await run(auditor, ['ca', 'show', '--only', 'log-key'])).stdout);
    expect((await run(auditor, ['audit', 'prove', '--serial', serial, '--out', receipt])).exitCode).toBe(0);
    const verify = ['audit', 'verify', receipt, '--key', key];
    const verified = await run(auditor, [...verify, '--certificate', certificate]);
    expect([verified.exitCode, verified.stdout]).toEqual([0, expect.stringContaining('Verified.')]);
    expect((await run(auditor, verify)).stdout).toContain('not compared with one');
    writeFileSync(receipt, readFileSync(receipt, 'utf8').replace(/^index \d+/m, 'index 0'));
    expect((await run(auditor, verify)).exitCode).toBe(1);

    const csv = await run(auditor, ['audit', 'search', '--serial', serial, '--csv']);
    expect(csv.stdout.split('\n')[0]).toMatch(/^index,time,type,outcome,/);
    expect(csv.stdout).toContain(`"'=HYPERLINK(""http://x.example"",""x"")"`);
    const could = await run(auditor, ['audit', 'who-could', '--as', 'alice', '--json']);
    expect((JSON.parse(could.stdout) as { people: string[] }).people).toEqual(['alice']);
  });

  it('goes on with an export that broke off, at every kind of place, and though the log has grown', async () => {
    await logIn(auditor, '--no-certificate');
    const out = join(folder, 'whole.bundle');
    const key = join(folder, 'resume.vkey');
    writeFileSync(key, (await run(auditor, ['ca', 'show', '--only', 'log-key'])).stdout);
    expect((await run(auditor, ['audit', 'export', '--out', out])).exitCode).toBe(0);
    const whole = readFileSync(out);
    const resumed = join(folder, 'resumed.bundle');
    for (const held of [1, 30, 400, 5000, whole.length - 300, whole.length - 1]) {
      writeFileSync(`${resumed}.part`, whole.subarray(0, held), { mode: 0o600 });
      const result = await run(auditor, ['audit', 'export', '--out', resumed]);
      expect([held, result.exitCode, result.stderr]).toEqual([held, 0, expect.any(String)]);
      // From within the header nothing can be gone on with: then it is a newer export, and whole all the same.
      if (held > 1000) expect(readFileSync(resumed).equals(whole)).toBe(true);
      expect((await run(auditor, ['audit', 'verify', resumed, '--key', key])).exitCode).toBe(0);
      expect(existsSync(`${resumed}.part`)).toBe(false);
    }
  });

  it('begins an export anew where what is there is of something else', async () => {
    await logIn(auditor, '--no-certificate');
    const out = join(folder, 'anew.bundle');
    const key = join(folder, 'anew.vkey');
    writeFileSync(key, (await run(auditor, ['ca', 'show', '--only', 'log-key'])).stdout);
    expect((await run(auditor, ['audit', 'export', '--out', out])).exitCode).toBe(0);
    const damaged = readFileSync(out).subarray(0, 6000);
    damaged[5500] = (damaged[5500] ?? 0) ^ 1;
    for (const [what, bytes] of [
      ['damaged', damaged],
      ['noise', Buffer.alloc(9000, 7)],
      [
        'of another stretch',
        Buffer.from(readFileSync(out, 'latin1').replace(/v1 0 \d+/, 'v1 0 3'), 'latin1'),
      ],
    ] as const) {
      writeFileSync(`${out}.part`, bytes, { mode: 0o600 });
      expect([what, (await run(auditor, ['audit', 'export', '--out', out])).exitCode]).toEqual([what, 0]);
      expect([what, (await run(auditor, ['audit', 'verify', out, '--key', key])).exitCode]).toEqual([
        what,
        0,
      ]);
    }
    writeFileSync(`${out}.part`, 'x', { mode: 0o644 });
    chmodSync(`${out}.part`, 0o644);
    expect((await run(auditor, ['audit', 'export', '--out', out])).stderr).toContain('private file of yours');
  });

  it('keeps the receipt beside the certificate where login is asked to', async () => {
    const home = join(folder, bob.login);
    expect((await logIn(bob, '--proof')).exitCode).toBe(0);
    const receipt = join(home, 'id_ed25519-cert.tlog-proof');
    const key = join(folder, 'bob.vkey');
    writeFileSync(key, (await run(bob, ['ca', 'show', '--only', 'log-key'])).stdout);
    const certificate = join(home, 'id_ed25519-cert.pub');
    const verify = ['audit', 'verify', receipt, '--key', key, '--certificate', certificate];
    expect((await run(bob, verify)).exitCode).toBe(0);
    await run(bob, ['logout']);
    expect(existsSync(receipt)).toBe(false);
  });
});
