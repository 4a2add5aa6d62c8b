import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { renewTlsAuthority, rotateTlsAuthority, signRootList } from '../../src/main/operator/tls-ca.ts';
import { warnOfAuthorities } from '../../src/main/tls-authority.ts';
import { createKeyFile, generatePrivateKey } from '../../src/keys/index.ts';
import { systemRandom } from '../../src/kernel/index.ts';
import { keyIdentifiersOf, decodePem, readCertificate } from '../../src/x509/index.ts';
import {
  boss,
  makeBrokerFolder,
  startBrokerIn,
  type BrokerFolder,
  type LoggedInClient,
  type TestBroker,
} from '../support/broker.ts';
import { codeOf } from '../support/code-of.ts';
import { describeWithPeers } from '../support/peers.ts';
import {
  addTlsAuthority,
  makeCsr,
  makeWorkbench,
  quiet,
  type TestAuthority,
  type Workbench,
} from '../support/tls-authority.ts';

describeWithPeers(['openssl'], 'an authority for TLS through its years', () => {
  let made: BrokerFolder;
  let broker: TestBroker;
  let authority: TestAuthority;
  let bench: Workbench;
  let admin: LoggedInClient;
  let withRoot: { configFile: string; rootKey: string; rootPassphraseFile: string };

  const issue = async (name: string): Promise<string> => {
    const csr = makeCsr(bench, name, { subject: '/CN=tn.ibmi.test.example' });
    const { certificate, issued } = await admin.issueTls({ profile: 'ibmi', csr });
    bench.write(`${name}.pem`, certificate);
    return issued.serial;
  };
  const pem = (name: string): string => readFileSync(join(authority.folder, name), 'latin1');
  const restart = async (): Promise<void> => {
    await broker.running.stop();
    broker = await startBrokerIn(made);
    admin = await broker.loggedIn(boss);
  };
  /** What openssl says of a certificate, with the lists that are served now and this chain. */
  const judge = async (name: string, between: string, chain = pem(`${between}.pem`)): Promise<string> => {
    bench.write('between.pem', chain);
    bench.write('root.pem', pem('root.pem'));
    const lists = [between, 'root'].map(async (list) =>
      Buffer.from(await (await fetch(`${authority.address}/pki/${list}.pem`)).arrayBuffer()),
    );
    bench.write('crls.pem', Buffer.concat(await Promise.all(lists)));
    const args = '-x509_strict -crl_check_all -CAfile root.pem -untrusted between.pem -CRLfile crls.pem';
    return bench.ask('openssl', ['verify', ...args.split(' '), `${name}.pem`]);
  };
  const authorityEntries = async (): Promise<readonly string[]> => {
    const { items } = await admin.searchLog({ type: 'tls.authority', limit: '20' });
    return items.map(({ entry }) => (entry['authority'] as { name: string }).name).toReversed();
  };

  beforeAll(async () => {
    bench = makeWorkbench();
    made = await makeBrokerFolder({ people: [boss] });
    authority = await addTlsAuthority(made, {
      logon: false,
      organization: 'Test Ltd',
      permitDns: ['ibmi.test.example', 'as400'],
      permitNetworks: ['10.1.0.0/16'],
    });
    withRoot = {
      configFile: made.configFile,
      rootKey: authority.rootKey,
      rootPassphraseFile: join(made.folder, 'secrets', 'root.passphrase'),
    };
    broker = await startBrokerIn(made);
    admin = await broker.loggedIn(boss);
  });
  afterAll(async () => {
    await broker?.stop();
    bench?.remove();
  });

  it('signs nothing outside its bounds, whatever policy says', async () => {
    await issue('first');
    expect(await judge('first', 'issuing-1')).toContain('first.pem: OK');
    for (const [subject, ext] of [
      ['/CN=localhost', []],
      ['/CN=as400', ['subjectAltName=IP:10.2.0.1']],
    ] as const) {
      const csr = makeCsr(bench, 'outside', { subject, ext });
      expect(await codeOf(admin.issueTls({ profile: 'ibmi', csr }))).toBe('issuance.out_of_bounds');
    }
    const { items } = await admin.searchLog({ type: 'cred.issue_denied', limit: '5' });
    expect(items.map(({ entry }) => entry['reason_code'])).toEqual([
      'issuance.out_of_bounds',
      'issuance.out_of_bounds',
    ]);
  });

  it('is renewed for the same key: what it issued verifies by the old certificate and by the new one', async () => {
    const before = pem('issuing-1.pem');
    await renewTlsAuthority({ ...withRoot, name: 'issuing-1' }, quiet);
    const after = pem('issuing-1.pem');
    expect(after).not.toBe(before);
    const [old, now] = [before, after].map((text) => readCertificate(decodePem(text, ['CERTIFICATE'])));
    expect(now?.subject).toEqual(old?.subject);
    expect(now && keyIdentifiersOf(now).subject).toEqual(old && keyIdentifiersOf(old).subject);
    await restart();
    await issue('second');
    for (const chain of [before, after])
      for (const name of ['first', 'second'])
        expect(await judge(name, 'issuing-1', chain)).toContain(`${name}.pem: OK`);
    expect(await authorityEntries()).toEqual(['issuing-1', 'issuing-1']);
    expect(readdirSync(authority.folder).filter((name) => name.startsWith('old-'))).toHaveLength(1);
  });

  let firstSerial = '';
  it('makes way for the next one: both have lists and OCSP, and what the old one issued can be revoked', async () => {
    firstSerial = await issue('early');
    expect(
      await codeOf(signRootList({ ...withRoot, days: 30, revoke: ['issuing-1'], code: 'superseded' }, quiet)),
    ).toBe('main.cannot_revoke');
    await rotateTlsAuthority({ ...withRoot, kind: 'issuing' }, quiet);
    await restart();
    await issue('late');
    const { authorities } = await admin.tlsAuthorities();
    expect(authorities.map(({ name }) => name)).toEqual(['issuing-2', 'issuing-1']);
    expect(await judge('late', 'issuing-2')).toContain('late.pem: OK');
    expect(await judge('early', 'issuing-1')).toContain('early.pem: OK');
    bench.write('issuing-2.pem', pem('issuing-2.pem'));
    const text = bench.run('openssl', [
      'x509',
      '-in',
      'issuing-2.pem',
      '-noout',
      '-subject',
      '-ext',
      'nameConstraints',
    ]);
    expect(text).toContain('O = Test Ltd, CN = Test TLS CA 2');
    expect(text).toContain('DNS:ibmi.test.example');
    const target = { kind: 'serial', value: firstSerial } as const;
    await admin.revoke({ target, reason: 'test', lock: false, apply: true });
    expect(await judge('early', 'issuing-1')).toContain('certificate revoked');
    expect(await judge('late', 'issuing-2')).toContain('late.pem: OK');
    bench.write('issuing-1.pem', pem('issuing-1.pem'));
    for (const [name, issuer, said] of [
      ['early', 'issuing-1', 'revoked'],
      ['first', 'issuing-1', 'good'],
      ['late', 'issuing-2', 'good'],
    ] as const) {
      const about = ['ocsp', '-issuer', `${issuer}.pem`, '-cert', `${name}.pem`];
      const trust = ['-CAfile', 'root.pem', '-verify_other', `${issuer}.pem`];
      const answer = await bench.ask('openssl', [...about, '-url', `${authority.address}/ocsp`, ...trust]);
      expect(answer).toContain(`${name}.pem: ${said}`);
      expect(answer).toContain('Response verify OK');
    }
    expect(await authorityEntries()).toEqual(['issuing-1', 'issuing-1', 'issuing-2']);
  });

  it('says in time that the key of the root is needed', () => {
    const warnings = (days: number): readonly string[] => {
      const lines: string[] = [];
      const log = pino({}, { write: (line: string) => void lines.push(line) });
      warnOfAuthorities(broker.running.rooms.tls, log, Date.now() + days * 86_400_000);
      return lines.map((line) => /"msg":"(.+) ends/.exec(line)?.[1] ?? line);
    };
    expect(warnings(300)).toEqual([]);
    expect(warnings(350)).toEqual(['the list of the root']);
    expect(warnings(4 * 365)).toEqual(['an authority for TLS', 'the list of the root']);
  });

  it('is revoked by the root, and stays in its next lists', async () => {
    await signRootList({ ...withRoot, days: 30, revoke: ['issuing-1'], code: 'keyCompromise' }, quiet);
    await signRootList({ ...withRoot, days: 60, revoke: [], code: 'superseded' }, quiet);
    await restart();
    expect(await judge('first', 'issuing-1')).toContain('error 23 at 1 depth lookup: certificate revoked');
    // And so is the one from before its renewal: whoever has the key could hand out either.
    const [old = ''] = readdirSync(authority.folder).filter((name) => name.startsWith('old-issuing-1-'));
    expect(await judge('first', 'issuing-1', pem(old))).toContain('certificate revoked');
    expect(await judge('late', 'issuing-2')).toContain('late.pem: OK');
    bench.write('root-crl.pem', pem('root-crl.pem'));
    const text = bench.run('openssl', [
      'crl',
      '-in',
      'root-crl.pem',
      '-noout',
      '-text',
      '-CAfile',
      'root.pem',
    ]);
    expect(text).toContain('Key Compromise');
    // The certificate and the one before it, each once although the list was signed twice.
    expect(text.match(/Serial Number:/g)).toHaveLength(2);
  });

  it('is not touched with a key that is not the root’s, or under a name that it has not', async () => {
    const before = readdirSync(authority.folder).map((name) => [name, pem(name)]);
    const strange = join(made.folder, 'strange.key');
    const passphrase = authority.rootPassphrase;
    const privateKey = await generatePrivateKey('ecdsa-p256');
    await createKeyFile(strange, { privateKey, purpose: 'x509-root' }, passphrase, systemRandom);
    const stranger = { ...withRoot, rootKey: strange };
    const root = { days: 30, code: 'superseded' } as const;
    expect(await codeOf(renewTlsAuthority({ ...stranger, name: 'issuing-2' }, quiet))).toBe(
      'main.wrong_root_key',
    );
    expect(await codeOf(rotateTlsAuthority({ ...stranger, kind: 'issuing' }, quiet))).toBe(
      'main.wrong_root_key',
    );
    expect(await codeOf(signRootList({ ...stranger, ...root, revoke: [] }, quiet))).toBe(
      'main.wrong_root_key',
    );
    for (const name of ['issuing-9', 'root', '../issuing-1', 'old-issuing-1', ''])
      expect(await codeOf(renewTlsAuthority({ ...withRoot, name }, quiet))).toBe('main.no_tls_authority');
    for (const kind of ['logon', 'root', ''])
      expect(await codeOf(rotateTlsAuthority({ ...withRoot, kind }, quiet))).toBe('main.no_tls_authority');
    expect(await codeOf(signRootList({ ...withRoot, ...root, revoke: ['root'] }, quiet))).toBe(
      'main.no_tls_authority',
    );
    expect(readdirSync(authority.folder).map((name) => [name, pem(name)])).toEqual(before);
    expect(existsSync(join(made.folder, 'keys', 'x509-issuing-3.key'))).toBe(false);
  });
});
