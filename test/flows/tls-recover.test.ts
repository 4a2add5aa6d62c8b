import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { recover } from '../../src/main/operator/index.ts';
import { alice, boss, makeBrokerFolder, startBrokerIn, type BrokerFolder } from '../support/broker.ts';
import { describeWithPeers } from '../support/peers.ts';
import {
  addTlsAuthority,
  makeCsr,
  makeWorkbench,
  type TestAuthority,
  type Workbench,
} from '../support/tls-authority.ts';

interface Recovered {
  readonly value: { readonly revokedTls: number };
  readonly lines: readonly string[];
}

describeWithPeers(['openssl'], 'certificates for TLS after a recovery from an old copy', () => {
  let made: BrokerFolder;
  let authority: TestAuthority;
  let bench: Workbench;
  const at = (...names: string[]): string => join(made.folder, ...names);

  beforeEach(async () => {
    bench = makeWorkbench();
    made = await makeBrokerFolder();
    authority = await addTlsAuthority(made, { logon: false });
    for (const name of ['root', 'issuing-1'])
      bench.write(`${name}.pem`, readFileSync(join(authority.folder, `${name}.pem`)));
  });
  afterEach(() => {
    made.remove();
    bench.remove();
  });

  /** A broker for as long as the work takes. Its folder stays. */
  async function whileRunning<Value>(
    work: (broker: Awaited<ReturnType<typeof startBrokerIn>>) => Promise<Value>,
  ): Promise<Value> {
    const broker = await startBrokerIn(made);
    try {
      return await work(broker);
    } finally {
      await broker.running.stop();
    }
  }

  /** A server's and a person's certificate in the copy; then the server's is revoked, and another one is issued. */
  async function rolledBack(): Promise<void> {
    const issue = async (
      broker: Awaited<ReturnType<typeof startBrokerIn>>,
      who: typeof boss,
      name: string,
    ): Promise<string> => {
      const client = await broker.loggedIn(who);
      const [profile, how] = who === boss ? ['ibmi', { subject: '/CN=as400' }] : ['signon', {}];
      const { certificate, issued } = await client.issueTls({ profile, csr: makeCsr(bench, name, how) });
      bench.write(`${name}.pem`, certificate);
      return issued.serial;
    };
    const server = await whileRunning(async (broker) => {
      await issue(broker, alice, 'person');
      await issue(broker, boss, 'other');
      return issue(broker, boss, 'server');
    });
    cpSync(at('data'), at('copy'), { recursive: true });
    await whileRunning(async (broker) => {
      const admin = await broker.loggedIn(boss);
      const target = { kind: 'serial', value: server } as const;
      await admin.revoke({ target, reason: 'stolen', lock: false, apply: true });
      await issue(broker, boss, 'lost');
    });
    rmSync(at('data'), { recursive: true });
    cpSync(at('copy'), at('data'), { recursive: true });
    const text = readFileSync(made.configFile, 'utf8');
    writeFileSync(made.configFile, text.replace(/^ {2}origin: (.*)$/m, '  origin: $1.2'));
  }
  const run = (keepServers: boolean, yes = true): Promise<Recovered> =>
    recover(
      { configFile: made.configFile, reason: 'disk lost', asItStands: false, keepServers, yes },
      { note: () => undefined, askSecret: async () => '' },
    ) as Promise<Recovered>;

  /** What the list and OCSP say of each. */
  const verdicts = (): Promise<unknown> =>
    whileRunning(async () => {
      const answer = await fetch(`${authority.address}/pki/issuing-1.pem`);
      bench.write('list.pem', await answer.text());
      const said: Record<string, string> = {};
      for (const name of ['person', 'other', 'server', 'lost']) {
        const list = await bench.ask('openssl', [
          ...'verify -crl_check -CAfile root.pem -untrusted issuing-1.pem -CRLfile list.pem'.split(' '),
          `${name}.pem`,
        ]);
        const ocsp = await bench.ask('openssl', [
          ...'ocsp -issuer issuing-1.pem -CAfile root.pem -verify_other issuing-1.pem'.split(' '),
          '-cert',
          `${name}.pem`,
          '-url',
          `${authority.address}/ocsp`,
        ]);
        const inList = list.includes('certificate revoked') ? 'revoked' : 'good';
        said[name] = `${inList} ${/\.pem: (\w+)/.exec(ocsp)?.[1]}`;
      }
      return said;
    });

  it('are revoked, those of servers too; of what was issued in the lost time OCSP knows nothing', async () => {
    await rolledBack();
    const rehearsed = await run(false, false);
    expect(rehearsed.lines.join('\n')).toContain(
      'certificates for TLS that are known here, those of servers too',
    );
    const done = await run(false);
    expect(done.value.revokedTls).toBe(3);
    expect(await verdicts()).toEqual({
      person: 'revoked revoked',
      other: 'revoked revoked',
      server: 'revoked revoked',
      lost: 'good unknown',
    });
  });

  it('stay where they are of servers and that is asked for: one that was revoked is good again', async () => {
    await rolledBack();
    const done = await run(true);
    expect(done.value.revokedTls).toBe(1);
    expect(await verdicts()).toEqual({
      person: 'revoked revoked',
      other: 'good good',
      server: 'good good',
      lost: 'good unknown',
    });
  });
});
