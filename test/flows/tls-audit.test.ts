import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { verifyProof } from '../../src/accounting/verify/index.ts';
import {
  alice,
  auditor,
  bob,
  boss,
  makeBrokerFolder,
  startBrokerIn,
  type LoggedInClient,
  type TestBroker,
} from '../support/broker.ts';
import { codeOf } from '../support/code-of.ts';
import { makeClientHome, runCli, type ClientHome, type RunResult } from '../support/fake-terminal.ts';
import { describeWithPeers } from '../support/peers.ts';
import { addTlsAuthority, makeCsr, makeWorkbench, type Workbench } from '../support/tls-authority.ts';

const never = `4${'1'.repeat(39)}`;

describeWithPeers(['openssl'], 'an auditor who asks about a certificate for TLS', () => {
  let broker: TestBroker;
  let bench: Workbench;
  let admin: LoggedInClient;
  let reader: LoggedInClient;
  let home: ClientHome;

  beforeAll(async () => {
    bench = makeWorkbench();
    const made = await makeBrokerFolder();
    await addTlsAuthority(made);
    broker = await startBrokerIn(made);
    [admin, reader] = [await broker.loggedIn(boss), await broker.loggedIn(auditor)];
    home = makeClientHome({ url: broker.url, caPem: readFileSync(broker.caFile, 'utf8') });
    const login = ['login', '--user', auditor.login, '--password-stdin', '--no-certificate', '--no-agent'];
    expect((await runCli(login, { env: home.env, stdin: `${auditor.password}\n` })).exitCode).toBe(0);
  });
  afterAll(async () => {
    home.remove();
    await broker.stop();
    bench.remove();
  });

  const sallyport = (...args: readonly string[]): Promise<RunResult> => runCli(args, { env: home.env });
  const issue = async (client: LoggedInClient, profile: string, reason: string): Promise<string> => {
    const csr = makeCsr(bench, 'next', profile === 'ibmi' ? { subject: '/CN=as400' } : {});
    return (await client.issueTls({ profile, csr, reason })).issued.serial;
  };
  /** As openssl prints it. */
  const colons = (serial: string): string => (serial.toUpperCase().match(/../g) ?? []).join(':');

  it('is told who asked, which rule allowed it, and how it ended, by any spelling of the serial', async () => {
    const serial = await issue(admin, 'ibmi', 'the old one ends');
    const explain = (text: string): Promise<RunResult> => sallyport('audit', 'explain', '--serial', text);
    const live = await explain(serial);
    expect(live.stdout).toContain(`Serial ${serial}: live.`);
    const target = { kind: 'serial', value: serial } as const;
    await admin.revoke({ target, reason: 'moved', reasonCode: 'superseded', lock: false, apply: true });
    for (const text of [colons(serial), `0x${serial}`, BigInt(`0x${serial}`).toString()]) {
      const { stdout, exitCode } = await explain(text);
      expect(exitCode).toBe(0);
      expect(stdout).toContain(`Serial ${serial}: revoked.`);
      expect(stdout).toMatch(/who +boss \(/);
      expect(stdout).toMatch(/reason +the old one ends/);
      expect(stdout).toMatch(/allowed by +tls-profiles.*profile ibmi, policy [0-9a-f]{12}/);
      expect(stdout).toMatch(/ended +revoked .* by boss, superseded/);
      expect(stdout).toMatch(/kind +tls-server/);
      expect(stdout).toMatch(/cred\.issue[\s\S]*cred\.revoke/);
    }
    const { tlsCredential, credential, entries } = await reader.explainCertificate(serial);
    expect(tlsCredential).toMatchObject({ serial, state: 'revoked', revokedCode: 'superseded' });
    expect([credential, entries.map(({ entry }) => entry['type'])]).toEqual([
      undefined,
      ['cred.issue', 'cred.revoke'],
    ]);
    const { items } = await reader.searchLog({ serial: colons(serial), limit: '10' });
    expect(items.map(({ entry }) => entry['type'])).toEqual(['cred.revoke', 'cred.issue']);
    const searched = await sallyport('audit', 'search', '--serial', colons(serial), '--json');
    expect((JSON.parse(searched.stdout) as { entries: unknown[] }).entries).toHaveLength(2);
  });

  it('gets a receipt of its issue that verifies offline', async () => {
    const serial = await issue(admin, 'ibmi', 'receipt');
    const out = bench.path('tls.tlog-proof');
    expect((await sallyport('audit', 'prove', '--serial', colons(serial), '--out', out)).exitCode).toBe(0);
    const { log } = await reader.authority();
    const { exitCode, facts } = verifyProof(readFileSync(out, 'utf8'), { verifierKey: log.verifierKey });
    expect([exitCode, facts?.entry.type]).toEqual([0, 'cred.issue']);
    expect(facts?.entry.fields['cred']).toMatchObject({ serial, kind: 'tls-server' });
    const key = bench.write('log.vkey', `${log.verifierKey}\n`);
    const judged = await sallyport('audit', 'verify', out, '--key', key);
    expect([judged.exitCode, judged.stdout.includes(serial)]).toEqual([0, true]);
  });

  it('is told whether a receipt is that of a certificate at hand', async () => {
    const { log } = await reader.authority();
    const key = bench.write('log.vkey', `${log.verifierKey}\n`);
    const out = bench.path('held.tlog-proof');
    const made = async (name: string): Promise<string> => {
      const ext = ['subjectAltName=DNS:tn.ibmi.test.example,IP:10.1.2.3'];
      const csr = makeCsr(bench, name, { subject: '/CN=as400', ext });
      const { certificate, chain, root, issued } = await admin.issueTls({ profile: 'ibmi', csr });
      bench.write(`${name}.pem`, certificate);
      bench.write(`${name}-chain.pem`, certificate + chain.join(''));
      bench.write(`${name}-odd.pem`, certificate + root);
      return issued.serial;
    };
    const serial = await made('mine');
    await made('other');
    await sallyport('audit', 'prove', '--serial', serial, '--out', out);
    const judge = async (file: string): Promise<number> => {
      const args = ['audit', 'verify', out, '--key', key, '--certificate', bench.path(file)];
      return (await sallyport(...args)).exitCode;
    };
    expect(await judge('mine-chain.pem')).toBe(0);
    expect(await judge('other-chain.pem')).toBe(1);
    // Without its issuer, or with somebody else behind it, there is nothing to compare.
    for (const file of ['mine.pem', 'mine-odd.pem']) expect([file, await judge(file)]).toEqual([file, 2]);
  });

  it('never loses a key to another one', async () => {
    const p12 = bench.write('held.p12', 'a key');
    const asked = ['tls', 'issue', '--profile', 'ibmi', '--new', '--name', 'as400', '--p12', p12, '--json'];
    const refused = await sallyport(...asked);
    expect([
      refused.exitCode,
      (JSON.parse(refused.stdout) as { error: { code: string } }).error.code,
    ]).toEqual([1, 'cli.file_exists']);
    expect(bench.read('held.p12').toString()).toBe('a key');
  });

  it('learns of a serial that was never issued just that', async () => {
    expect(await codeOf(reader.proof(never))).toBe('accounting.never_issued');
    const { tlsCredential, credential, entries } = await reader.explainCertificate(never);
    expect([tlsCredential, credential, entries]).toEqual([undefined, undefined, []]);
    const { stdout, exitCode } = await sallyport('audit', 'explain', '--serial', never);
    expect([exitCode, stdout.includes(`Serial ${never}: never issued.`)]).toEqual([0, true]);
    for (const bad of [never.slice(1), `${never}0`, `zz${never.slice(2)}`, colons(never).replace(':', '::')])
      expect((await sallyport('audit', 'explain', '--serial', bad)).exitCode).toBe(2);
  });

  it('is one of few who may: its bearer, auditors and admins', async () => {
    const [owner, stranger] = [await broker.loggedIn(alice), await broker.loggedIn(bob)];
    const own = await issue(owner, 'signon', 'mine');
    expect((await owner.explainCertificate(own)).tlsCredential?.serial).toBe(own);
    expect(await owner.proof(own)).toMatch(/^c2sp\.org\/tlog-proof@v1\n/);
    for (const asked of [own, never])
      for (const refused of [stranger.explainCertificate(asked), stranger.proof(asked)])
        expect(await codeOf(refused)).toBe('policy.not_permitted');
  });
});
