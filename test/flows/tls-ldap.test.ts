import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ask } from '../doors/http/support.ts';
import {
  boss,
  makeBrokerFolder,
  startBrokerIn,
  type BrokerFolder,
  type LoggedInClient,
  type TestBroker,
} from '../support/broker.ts';
import { until } from '../support/departures.ts';
import { describeWithPeers } from '../support/peers.ts';
import { parseMetrics } from '../support/prometheus.ts';
import { run, startSlapd, type Slapd } from '../support/slapd.ts';
import {
  addTlsAuthority,
  makeCsr,
  makeWorkbench,
  type TestAuthority,
  type Workbench,
} from '../support/tls-authority.ts';

const base = 'ou=pki,dc=test,dc=example';
const entry = `cn=Test TLS CA 1,${base}`;

describeWithPeers(['openssl', 'slapd', 'ldapsearch'], 'lists in a directory', () => {
  let slapd: Slapd;
  let made: BrokerFolder;
  let broker: TestBroker;
  let authority: TestAuthority;
  let bench: Workbench;
  let admin: LoggedInClient;

  const start = async (): Promise<void> => {
    broker = await startBrokerIn(made);
    admin = await broker.loggedIn(boss);
  };
  const fetchPki = async (path: string): Promise<Buffer> => {
    const answer = await fetch(`${authority.address}/pki/${path}`);
    return Buffer.from(await answer.arrayBuffer());
  };
  const ldap = (program: string, ...args: string[]): string =>
    run(program, ['-x', '-H', slapd.ldapsUrl, '-D', slapd.root.dn, '-w', slapd.root.password, ...args], {
      env: { LDAPTLS_CACERT: bench.path('ldap-ca.pem') },
    });
  /** A list as somebody reads it from there, DER. */
  const read = (dn: string, attribute: string): Buffer => {
    const wanted = ['-LLL', '-o', 'ldif-wrap=no', '-s', 'base', '-b', dn, `${attribute};binary`];
    const [, text = ''] = /List;binary:: (\S+)/.exec(ldap('ldapsearch', ...wanted)) ?? [];
    return Buffer.from(text, 'base64');
  };
  const held = (): Buffer => read(entry, 'certificateRevocationList');
  const ofRoot = (): Buffer => read(`cn=Test Root CA,${base}`, 'authorityRevocationList');
  const isServed = async (): Promise<boolean> => held().equals(await fetchPki('issuing-1.crl'));
  /** A certificate that is revoked at once. @returns what openssl says of it by the list in the directory */
  const revoke = async (name: string): Promise<void> => {
    const csr = makeCsr(bench, name, { subject: '/CN=as400' });
    const { certificate, issued } = await admin.issueTls({ profile: 'ibmi', csr });
    bench.write(`${name}.pem`, certificate);
    const target = { kind: 'serial', value: issued.serial } as const;
    await admin.revoke({ target, reason: 'test', lock: false, apply: true });
  };
  const judged = (name: string): string => {
    bench.write('held.der', held());
    bench.run('openssl', ['crl', '-inform', 'DER', '-in', 'held.der', '-out', 'held.pem']);
    const args = 'verify -crl_check -CAfile root.pem -untrusted issuing-1.pem -CRLfile held.pem'.split(' ');
    return bench.fails('openssl', [...args, `${name}.pem`]);
  };
  const metrics = async (): Promise<unknown> => {
    const { body } = await ask(broker, { path: '/metrics' });
    const found = parseMetrics(body.toString('utf8'));
    const of = (name: string): number | undefined =>
      found.get(`sallyport_crl_copy_${name}`)?.series.values().next().value;
    return { up: of('up'), isBehind: (of('lag_seconds') ?? 0) > 0 };
  };

  beforeAll(async () => {
    bench = makeWorkbench();
    slapd = await startSlapd(`dn: ${base}\nobjectClass: organizationalUnit\nou: pki\n`);
    bench.write('ldap-ca.pem', slapd.caPem);
    made = await makeBrokerFolder({ files: { 'secrets/ldap-pki': `${slapd.root.password}\n` } });
    authority = await addTlsAuthority(made, { logon: false, section: `  ldap-base: ${base}\n` });
    writeFileSync(join(made.folder, 'ldap-ca.pem'), slapd.caPem);
    for (const name of ['root', 'issuing-1'])
      bench.write(`${name}.pem`, readFileSync(join(authority.folder, `${name}.pem`)));
    await start();
  });
  afterAll(async () => {
    slapd.thaw();
    await broker.stop();
    await slapd.close();
    bench.remove();
  });

  it('come there with ldapmodify, by the file that the broker serves, the second time too', async () => {
    bench.write('one.ldif', await fetchPki('issuing-1.ldif'));
    ldap('ldapmodify', '-c', '-f', bench.path('one.ldif'));
    expect(await isServed()).toBe(true);
    bench.write('root.ldif', await fetchPki('root.ldif'));
    ldap('ldapmodify', '-c', '-f', bench.path('root.ldif'));
    expect(ofRoot()).toEqual(await fetchPki('root.crl'));
    await revoke('first');
    expect(await isServed()).toBe(false);
    bench.write('two.ldif', await fetchPki('issuing-1.ldif'));
    // The entry is there already: -c goes on, and says so with its exit code.
    expect(() => ldap('ldapmodify', '-c', '-f', bench.path('two.ldif'))).toThrow(/Already exists/);
    expect(await isServed()).toBe(true);
    expect(judged('first')).toContain('certificate revoked');
  });

  it('come there by themselves after each revocation, also into an entry that is not there', async () => {
    await broker.running.stop();
    ldap('ldapdelete', entry, `cn=Test Root CA,${base}`);
    appendFileSync(
      made.configFile,
      `  ldap-push:\n    url: ${slapd.ldapsUrl}\n    ca-file: ldap-ca.pem\n    bind-dn: ${slapd.root.dn}\n    password-file: secrets/ldap-pki\n`,
    );
    await start();
    const isThere = async (): Promise<boolean> => {
      try {
        return await isServed();
      } catch {
        // The entry is not there yet.
        return false;
      }
    };
    await until(isThere, 20_000);
    await revoke('second');
    await until(isThere, 20_000);
    expect(judged('second')).toContain('certificate revoked');
    await until(async () => !((await metrics()) as { isBehind: boolean }).isBehind, 20_000);
    expect(await metrics()).toEqual({ up: 1, isBehind: false });
    expect(ofRoot()).toEqual(await fetchPki('root.crl'));
  });

  it('come later from a server that hangs, and nothing waits for it', async () => {
    slapd.freeze();
    await revoke('third');
    const list = await fetchPki('issuing-1.crl');
    bench.write('served.der', list);
    bench.run('openssl', ['crl', '-inform', 'DER', '-in', 'served.der', '-out', 'served.pem']);
    const args = 'verify -crl_check -CAfile root.pem -untrusted issuing-1.pem -CRLfile served.pem'.split(' ');
    expect(bench.fails('openssl', [...args, 'third.pem'])).toContain('certificate revoked');
    await until(async () => ((await metrics()) as { isBehind: boolean }).isBehind, 20_000);
    slapd.thaw();
    await until(isServed, 40_000);
    expect(judged('third')).toContain('certificate revoked');
  });
});
