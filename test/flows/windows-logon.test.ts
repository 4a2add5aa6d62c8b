import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { decodePem, namesOf, readCertificate } from '../../src/x509/index.ts';
import { passwordOf, peopleDn, seed } from '../interop/samba-people.ts';
import {
  boss,
  makeBrokerFolder,
  startBrokerIn,
  type LoggedInClient,
  type TestBroker,
} from '../support/broker.ts';
import { codeOf } from '../support/code-of.ts';
import { configured, sidOf } from '../support/directories.ts';
import { startMitKdc, kinit, type MitKdc, type PkinitFiles } from '../support/mit-kdc.ts';
import { describeWithPeers } from '../support/peers.ts';
import { startSamba, type Samba } from '../support/samba.ts';
import {
  addTlsAuthority,
  makeCsr,
  makeWorkbench,
  type TestAuthority,
  type Workbench,
} from '../support/tls-authority.ts';

const realm = 'AD.TEST.EXAMPLE';
const profiles = `
tls-profiles:
  smartcard:
    for: windows-logon
    who: { directories: [corp] }
    logon: { realm: ${realm} }
  kdc:
    for: tls-server
    who: { groups: [builtin:admins] }
    names: ["dc1.ad.test.example"]
    kdc-realm: ${realm}
`;
const rsa = ['rsa:2048'];

describeWithPeers(
  ['samba', 'ldapsearch', 'krb5kdc', 'kadmin.local', 'kinit', 'pkinit.so', 'openssl', 'root'],
  'a Windows logon by certificate',
  () => {
    let samba: Samba;
    let broker: TestBroker;
    let authority: TestAuthority;
    let bench: Workbench;
    let admin: LoggedInClient;
    let files: PkinitFiles;
    let kdc: MitKdc;
    /** Serials by the account that asked. */
    const serials = new Map<string, string>();

    const person = (account: string): Promise<LoggedInClient> =>
      broker.loggedIn({ login: account, password: passwordOf(account), directory: 'corp' });
    /** `ACCOUNT.pem` and `ACCOUNT.key`. */
    const obtain = async (account: string): Promise<void> => {
      const csr = makeCsr(bench, account, { key: rsa });
      const { certificate, issued } = await (await person(account)).issueTls({ profile: 'smartcard', csr });
      bench.write(`${account}.pem`, certificate);
      serials.set(account, issued.serial);
    };
    const readText = (name: string): string => bench.read(name).toString('latin1');
    const holding = (account: string) => ({
      certificate: bench.path(`${account}.pem`),
      key: bench.path(`${account}.key`),
    });

    beforeAll(async () => {
      bench = makeWorkbench();
      samba = await startSamba(seed);
      const made = await makeBrokerFolder({ people: [boss], ...configured({ samba }) });
      authority = await addTlsAuthority(made, { algorithm: 'rsa-3072', profiles });
      broker = await startBrokerIn(made);
      admin = await broker.loggedIn(boss);
      const csr = makeCsr(bench, 'kdc', { subject: '/CN=dc1.ad.test.example', key: rsa });
      bench.write('kdc.pem', (await admin.issueTls({ profile: 'kdc', csr })).certificate);
      const pem = (name: string): string => join(authority.folder, name);
      files = {
        certificate: bench.path('kdc.pem'),
        key: bench.path('kdc.key'),
        anchor: pem('root.pem'),
        between: [pem('issuing-1.pem'), pem('logon-1.pem')],
      };
      for (const account of ['alice', 'bob', 'robert', 'external']) await obtain(account);
      kdc = await startMitKdc(realm, ['alice', 'bob', 'robert', 'external', 'bobby', 'ext'], files);
    });
    afterAll(async () => {
      await kdc?.close();
      await broker?.stop();
      await samba?.close();
      bench?.remove();
    });

    it('names the account as Active Directory does: its SID, its UPN, its name in the realm', () => {
      const sid = sidOf(samba, `CN=alice,${peopleDn}`);
      const { extensions, ...read } = readCertificate(decodePem(readText('alice.pem'), ['CERTIFICATE']));
      expect(extensions.get('1.3.6.1.4.1.311.25.2')?.value.toString('latin1').endsWith(sid)).toBe(true);
      expect(namesOf({ extensions })).toEqual([
        { kind: 'upn', value: 'alice@ad.test.example' },
        { kind: 'kerberos', value: `alice@${realm}` },
      ]);
      expect(read.notAfterMs).toBeGreaterThan(Date.now());
    });

    it('is nothing that a request could widen', async () => {
      const alice = await person('alice');
      const upn = 'subjectAltName=otherName:1.3.6.1.4.1.311.20.2.3;UTF8:bob@ad.test.example';
      const cases: [string, readonly string[]][] = [
        ['another UPN', [upn]],
        ['their own UPN', [upn.replace('bob@', 'alice@')]],
        ['a SID', ['1.3.6.1.4.1.311.25.2=ASN1:FORMAT:HEX,OCTETSTRING:00']],
        ['a host', ['subjectAltName=DNS:dc1.ad.test.example']],
      ];
      for (const [what, ext] of cases) {
        const csr = makeCsr(bench, 'wish', { ext });
        expect([what, await codeOf(alice.issueTls({ profile: 'smartcard', csr }))]).toEqual([
          what,
          'policy.name_not_allowed',
        ]);
      }
      const names = ['bob@ad.test.example'];
      const csr = makeCsr(bench, 'wish', { subject: '/CN=bob' });
      expect(await codeOf(alice.issueTls({ profile: 'smartcard', csr, names }))).toBe('x509.bad_name');
      // A common name counts for nothing.
      const { issued } = await alice.issueTls({ profile: 'smartcard', csr });
      expect(issued.commonName).toBe('alice@ad.test.example');
    });

    it('comes to nobody whose name is protected, or is taken by somebody else', async () => {
      const csr = makeCsr(bench, 'wish');
      // Samba itself refuses a UPN that is somebody's; one that was somebody's, it gives away.
      for (const [cn, upn] of [
        ['external', 'other@partner.example'],
        ['zeta', 'EXT@partner.example'],
        ['leaver', 'administrator@partner.example'],
      ] as const)
        samba.modify(
          `dn: CN=${cn},${peopleDn}\nchangetype: modify\nreplace: userPrincipalName\nuserPrincipalName: ${upn}\n`,
        );
      expect(await codeOf((await person('zeta')).issueTls({ profile: 'smartcard', csr }))).toBe(
        'policy.principal_taken',
      );
      expect(await codeOf((await person('leaver')).issueTls({ profile: 'smartcard', csr }))).toBe(
        'policy.principal_protected',
      );
    });

    it('lets the MIT KDC let in the person, and nobody else', () => {
      for (const account of ['alice', 'bob', 'robert', 'external'])
        expect([account, kdc.kinit({ principal: account, ...holding(account) })]).toMatchObject([
          account,
          { code: 0, principal: `${account}@${realm}` },
        ]);
      // Neither another person nor whoever has the name that a UPN begins with.
      for (const [account, principal] of [
        ['alice', 'bob'],
        ['alice', 'krbtgt/AD.TEST.EXAMPLE'],
        ['robert', 'bobby'],
        ['external', 'ext'],
      ] as const)
        expect([account, principal, kdc.kinit({ principal, ...holding(account) })]).toMatchObject([
          account,
          principal,
          { principal: undefined },
        ]);
      // What is good for a server is good for no person.
      expect(kdc.kinit({ principal: 'alice', certificate: files.certificate, key: files.key })).toMatchObject(
        {
          principal: undefined,
        },
      );
    });

    it('lets Samba let in the person, and nobody else', async () => {
      const client = await samba.serveKdc(files);
      for (const account of ['alice', 'bob', 'robert', 'external'])
        expect([account, kinit(client, { principal: account, ...holding(account) })]).toMatchObject([
          account,
          { code: 0, principal: `${account}@${realm}` },
        ]);
      for (const [account, principal] of [
        ['alice', 'bob'],
        ['robert', 'alice'],
        ['external', 'bob'],
      ] as const)
        expect([account, principal, kinit(client, { principal, ...holding(account) })]).toMatchObject([
          account,
          principal,
          { principal: undefined },
        ]);
      // Samba reads no list of revoked certificates: the account is what ends.
      samba.modify(
        `dn: CN=bob,${peopleDn}\nchangetype: modify\nreplace: userAccountControl\nuserAccountControl: 514\n`,
      );
      expect(kinit(client, { principal: 'bob', ...holding('bob') })).toMatchObject({ principal: undefined });
    });

    it('ends at the MIT KDC with the list that says so', async () => {
      const target = { kind: 'person', value: 'alice' } as const;
      await admin.revoke({ target, reason: 'left', lock: false, apply: true });
      const lists = ['logon-1.pem', 'root.pem'].map(async (name) =>
        Buffer.from(await (await fetch(`${authority.address}/pki/${name}`)).arrayBuffer()),
      );
      bench.write('crls.pem', Buffer.concat(await Promise.all(lists)));
      await kdc.restart(bench.path('crls.pem'));
      expect(kdc.kinit({ principal: 'alice', ...holding('alice') })).toMatchObject({ principal: undefined });
      expect(kdc.kinit({ principal: 'robert', ...holding('robert') })).toMatchObject({
        principal: `robert@${realm}`,
      });
    });
  },
);
