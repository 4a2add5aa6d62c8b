import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  makeBrokerFolder,
  boss,
  alice,
  startBrokerIn,
  type LoggedInClient,
  type TestBroker,
} from '../support/broker.ts';
import { codeOf } from '../support/code-of.ts';
import { newPublicKey } from '../doors/http/support.ts';
import { handOut } from '../support/handed-out.ts';
import { describeWithPeers } from '../support/peers.ts';
import { renewalOf } from '../support/tls-renewal.ts';
import {
  addTlsAuthority,
  makeCsr,
  makeWorkbench,
  type TestAuthority,
  type Workbench,
} from '../support/tls-authority.ts';

describeWithPeers(['openssl'], 'certificates for TLS', () => {
  let broker: TestBroker;
  let authority: TestAuthority;
  let bench: Workbench;
  let admin: LoggedInClient;

  const fetchPki = async (path: string): Promise<Buffer> => {
    const answer = await fetch(`http://127.0.0.1:${authority.port}${path}`);
    expect(answer.status).toBe(200);
    return Buffer.from(await answer.arrayBuffer());
  };
  /** The list and its delta as openssl takes them. */
  const lists = async (): Promise<void> => {
    bench.write('full.pem', await fetchPki('/pki/issuing-1.pem'));
    bench.write('delta.pem', await fetchPki('/pki/issuing-1-delta.pem'));
    bench.write('root-crl.pem', await fetchPki('/pki/root.pem'));
    bench.write('crls.pem', Buffer.concat([bench.read('full.pem'), bench.read('root-crl.pem')]));
  };
  const verifyArgs = (name: string): string[] =>
    `verify -x509_strict -crl_check_all -CAfile root.pem -untrusted issuing.pem -CRLfile crls.pem ${name}.pem`.split(
      ' ',
    );

  beforeAll(async () => {
    bench = makeWorkbench();
    const made = await makeBrokerFolder();
    authority = await addTlsAuthority(made);
    broker = await startBrokerIn(made);
    admin = await broker.loggedIn(boss);
    bench.write('root.pem', readFileSync(join(authority.folder, 'root.pem')));
    bench.write('issuing.pem', readFileSync(join(authority.folder, 'issuing-1.pem')));
  });
  afterAll(async () => {
    await broker.stop();
    bench.remove();
  });

  it('for a server by CSR verify with their lists, until they are revoked', async () => {
    const csr = makeCsr(bench, 'tn', {
      subject: '/CN=tn.ibmi.test.example',
      ext: ['subjectAltName=DNS:as400,IP:10.1.2.3'],
    });
    const { certificate, issued } = await admin.issueTls({ profile: 'ibmi', csr });
    bench.write('tn.pem', certificate);
    await lists();
    expect(bench.run('openssl', verifyArgs('tn'))).toContain('tn.pem: OK');
    const text = bench.run('openssl', ['x509', '-in', 'tn.pem', '-noout', '-text']);
    expect(text).toContain('DNS:tn.ibmi.test.example, DNS:as400, IP Address:10.1.2.3');
    expect(text).toContain('Subject: CN = tn.ibmi.test.example');
    expect(text).toContain(`URI:${authority.address}/pki/issuing-1.crl`);
    expect(text).toContain(`OCSP - URI:${authority.address}/ocsp`);

    const colons = (issued.serial.match(/../g) ?? []).join(':');
    const target = { kind: 'serial', value: colons } as const;
    const rehearsed = await admin.revoke({ target, reason: 'test', lock: false, apply: false });
    expect(rehearsed.tlsCredentials.map(({ serial }) => serial)).toEqual([issued.serial]);
    const done = await admin.revoke({ target, reason: 'test', lock: false, apply: true });
    expect(done.tlsCredentials).toHaveLength(1);
    await lists();
    expect(bench.fails('openssl', verifyArgs('tn'))).toContain('certificate revoked');
  });

  it('are refused by rule, and the refusal is an entry', async () => {
    const cases: [string, Parameters<typeof makeCsr>[2], string][] = [
      ['ca', { subject: '/CN=as400', ext: ['basicConstraints=critical,CA:TRUE'] }, 'x509.ca_requested'],
      ['foreign', { subject: '/CN=www.bank.example' }, 'policy.name_not_allowed'],
      [
        'wild',
        { subject: '/CN=as400', ext: ['subjectAltName=DNS:*.ibmi.test.example'] },
        'policy.name_not_allowed',
      ],
      ['address', { subject: '/CN=as400', ext: ['subjectAltName=IP:192.0.2.1'] }, 'policy.name_not_allowed'],
      [
        'upn',
        { subject: '/CN=as400', ext: ['subjectAltName=otherName:1.3.6.1.4.1.311.20.2.3;UTF8:boss@corp'] },
        'policy.name_not_allowed',
      ],
      ['nobody', {}, 'policy.no_name'],
      ['edwards', { subject: '/CN=as400', key: ['ed25519'] }, 'x509.unsupported_key'],
      ['small', { subject: '/CN=as400', key: ['rsa:1024'] }, 'x509.key_size'],
    ];
    for (const [name, how, code] of cases)
      expect([
        name,
        await codeOf(admin.issueTls({ profile: 'ibmi', csr: makeCsr(bench, name, how) })),
      ]).toEqual([name, code]);
    const { items } = await admin.searchLog({ type: 'cred.issue_denied', limit: '100' });
    expect(items.map(({ entry }) => String(entry['reason_code'])).toSorted()).toEqual(
      cases.map(([, , code]) => code).toSorted(),
    );
  });

  it('keep what is to serve them, in words that are short and plain', async () => {
    const csr = makeCsr(bench, 'served', { subject: '/CN=as400' });
    const servedBy = { applications: ['telnet', 'as-signon'], label: 'telnet-2026-11' };
    const { issued } = await admin.issueTls({ profile: 'ibmi', csr, servedBy });
    expect(issued.servedBy).toEqual(servedBy);
    for (const bad of [
      { applications: ['Telnet'] },
      { applications: ['tel net'] },
      { applications: [''] },
      { applications: ['-x'] },
      { applications: Array.from({ length: 65 }, () => 'telnet') },
      { applications: ['telnet'], label: '1st' },
      { applications: ['telnet'], label: 'a b' },
      { applications: ['telnet'], label: 'x'.repeat(65) },
    ])
      expect([bad, await codeOf(admin.issueTls({ profile: 'ibmi', csr, servedBy: bad }))]).toEqual([
        bad,
        'http.bad_request',
      ]);
  });

  it('come to nobody whom no profile names', async () => {
    const user = await broker.loggedIn(alice);
    const csr = makeCsr(bench, 'alices', { subject: '/CN=as400' });
    expect(await codeOf(user.issueTls({ profile: 'ibmi', csr }))).toBe('policy.not_a_member');
    expect(await codeOf(user.issueTls({ profile: 'nonsense', csr }))).toBe('policy.unknown_profile');
  });

  it('with a pair made by the broker come as PKCS#12 with a password, which is kept nowhere', async () => {
    for (const encryption of ['compatible', 'modern']) {
      const newKey = { type: 'rsa-2048', encryption };
      const { certificate, pkcs12 } = await admin.issueTls({ profile: 'ibmi', newKey, names: ['as400'] });
      if (pkcs12 === undefined) throw new Error('there is no pair');
      handOut(`password of a pair in the ${encryption} encryption`, pkcs12.password);
      expect(pkcs12.friendlyName).toMatch(/^as400-\d{4}-\d\d$/);
      bench.write('new.p12', pkcs12.file);
      const text = bench.run('openssl', [
        'pkcs12',
        '-in',
        'new.p12',
        '-nodes',
        '-passin',
        `pass:${pkcs12.password}`,
      ]);
      const [key = ''] = /-----BEGIN PRIVATE KEY-----[\s\S]*-----END PRIVATE KEY-----\n/.exec(text) ?? [];
      expect(new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key))).toBe(true);
      expect(text.match(/BEGIN CERTIFICATE/g)).toHaveLength(3);
      // Nor the key itself, in any form that a file could hold it.
      handOut('private key of a pair', createPrivateKey(key).export({ format: 'der', type: 'pkcs8' }));
    }
    expect(
      await codeOf(
        admin.issueTls({ profile: 'service', newKey: { type: 'rsa-2048' }, names: ['a.svc.test.example'] }),
      ),
    ).toBe('policy.own_key_required');
  });

  it('are answered for by OCSP: good, revoked, unknown', async () => {
    const csr = makeCsr(bench, 'ocsp', { subject: '/CN=as400' });
    const { certificate, issued } = await admin.issueTls({ profile: 'ibmi', csr });
    bench.write('ocsp.pem', certificate);
    const trust = ['-CAfile', 'root.pem', '-verify_other', 'issuing.pem'];
    const about = ['ocsp', '-issuer', 'issuing.pem', '-cert', 'ocsp.pem'];
    const url = ['-url', `${authority.address}/ocsp`];
    const ask = (...further: string[]): Promise<string> =>
      bench.ask('openssl', [...about, ...url, ...trust, ...further]);
    expect(await ask()).toMatch(/ocsp.pem: good[\s\S]*Response verify OK/);
    expect(await ask('-no_nonce')).toMatch(/ocsp.pem: good/);
    // The second time from what was signed ahead.
    expect(await ask('-no_nonce')).toMatch(/ocsp.pem: good/);
    const target = { kind: 'serial', value: issued.serial } as const;
    await admin.revoke({ target, reason: 'test', lock: false, apply: true });
    expect(await ask()).toMatch(/ocsp.pem: revoked[\s\S]*Response verify OK/);
    expect(await ask('-no_nonce')).toMatch(/ocsp.pem: revoked/);
    const never = ['ocsp', '-issuer', 'issuing.pem', '-serial', `0x4${'1'.repeat(39)}`];
    expect(await bench.ask('openssl', [...never, ...url, ...trust])).toMatch(/: unknown/);
    // GET with the request in the address, as IBM i asks.
    bench.run('openssl', [...about, '-no_nonce', '-reqout', 'ask.der']);
    const asked = encodeURIComponent(bench.read('ask.der').toString('base64'));
    bench.write('answer.der', await fetchPki(`/ocsp/${asked}`));
    const read = await bench.ask('openssl', [...about, '-no_nonce', '-respin', 'answer.der', ...trust]);
    expect(read).toMatch(/ocsp.pem: revoked/);
    // What is no request is told so, in the way of OCSP.
    const nonsense = await fetch(`${authority.address}/ocsp`, { method: 'POST', body: 'nonsense' });
    expect(Buffer.from(await nonsense.arrayBuffer()).toString('hex')).toBe('30030a0101');
  });

  it('of a person die with their access, in one act with everything else', async () => {
    const user = await broker.loggedIn(alice);
    const { certificate, issued } = await user.issueTls({
      profile: 'signon',
      csr: makeCsr(bench, 'alice', { subject: '/CN=QSECOFR' }),
    });
    expect(new X509Certificate(certificate).subject).toBe('CN=ALICE');
    const { serial } = await user.sign(newPublicKey(), {});
    const server = await admin.issueTls({
      profile: 'ibmi',
      csr: makeCsr(bench, 'stays', { subject: '/CN=as400' }),
    });
    const target = { kind: 'person', value: 'alice' } as const;
    const done = await admin.revoke({ target, reason: 'left', lock: false, apply: true });
    expect(done.tlsCredentials.map((one) => one.serial)).toEqual([issued.serial]);
    expect(done.credentials.map((one) => one.serial)).toContain(serial);
    bench.write('alice.pem', certificate);
    bench.write('stays.pem', server.certificate);
    await lists();
    expect(bench.fails('openssl', verifyArgs('alice'))).toContain('certificate revoked');
    expect(bench.run('openssl', verifyArgs('stays'))).toContain('OK');
  });

  it('are renewed by whoever holds the key, for the same names', async () => {
    const anybody = broker.client();
    const old = await admin.issueTls({
      profile: 'ibmi',
      csr: makeCsr(bench, 'old', { subject: '/CN=as400', ext: ['subjectAltName=IP:10.1.2.3'] }),
    });
    const renewal = renewalOf(bench, {
      certificate: old.certificate,
      key: 'old',
      csr: makeCsr(bench, 'new'),
    });
    const { certificate, issued } = await anybody.renewTls(renewal);
    expect(new X509Certificate(certificate).subjectAltName).toBe(
      new X509Certificate(old.certificate).subjectAltName,
    );
    expect(issued.names).toEqual(old.issued.names);
    const other = await admin.issueTls({
      profile: 'ibmi',
      csr: makeCsr(bench, 'other', { subject: '/CN=localhost' }),
    });
    const refused: [string, object, string][] = [
      [
        'with another key',
        renewalOf(bench, { certificate: old.certificate, key: 'new', csr: renewal.csr }),
        'issuance.bad_renewal',
      ],
      ['with the proof for another', { ...renewal, certificate: other.certificate }, 'issuance.bad_renewal'],
      ['with another request', { ...renewal, csr: makeCsr(bench, 'third') }, 'issuance.bad_renewal'],
      [
        'long ago',
        renewalOf(bench, {
          certificate: old.certificate,
          key: 'old',
          csr: renewal.csr,
          time: '2026-01-01T00:00:00Z',
        }),
        'issuance.bad_renewal',
      ],
      [
        'for more names',
        renewalOf(bench, {
          certificate: old.certificate,
          key: 'old',
          csr: makeCsr(bench, 'more', { subject: '/CN=localhost' }),
        }),
        'policy.name_not_allowed',
      ],
    ];
    for (const [what, asked, code] of refused)
      expect([what, await codeOf(anybody.renewTls(asked as typeof renewal))]).toEqual([what, code]);
    const target = { kind: 'serial', value: old.issued.serial } as const;
    await admin.revoke({ target, reason: 'test', lock: false, apply: true });
    expect(
      await codeOf(
        anybody.renewTls(renewalOf(bench, { certificate: old.certificate, key: 'old', csr: renewal.csr })),
      ),
    ).toBe('issuance.not_renewable');
  });

  it('are listed, also by when they end', async () => {
    const { items } = await admin.listTls({ live: 'true' });
    expect(items.length).toBeGreaterThan(3);
    expect(items.every(({ state }) => state === 'live')).toBe(true);
    expect((await admin.listTls({ endsWithinDays: '89' })).items).toEqual([]);
    expect((await admin.listTls({ endsWithinDays: '91' })).items).toHaveLength(items.length);
    const user = await broker.loggedIn(alice);
    const own = await user.listTls({});
    expect(own.items.map(({ person }) => person.login)).toEqual(['alice']);
  });
});
