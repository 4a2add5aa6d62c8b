import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createServer } from 'node:tls';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  boss,
  makeBrokerFolder,
  startBrokerIn,
  type LoggedInClient,
  type TestBroker,
} from '../support/broker.ts';
import { describeWithPeers, findPeer } from '../support/peers.ts';
import {
  addTlsAuthority,
  makeCsr,
  makeWorkbench,
  tlsProfiles,
  type TestAuthority,
  type Workbench,
} from '../support/tls-authority.ts';

const serverAuth = '1.3.6.1.5.5.7.3.1';
const clientAuth = '1.3.6.1.5.5.7.3.2';
const smartCard = '1.3.6.1.4.1.311.20.2.2';
const javac = findPeer('javac');

interface Kind {
  readonly profile: string;
  readonly issuer: string;
  readonly csr: Parameters<typeof makeCsr>[2];
  readonly purposes: readonly string[];
  readonly not: string;
  readonly hosts: readonly string[];
}

/** One certificate of each profile, with keys of each type. */
const kinds: Readonly<Record<string, Kind>> = {
  server: {
    profile: 'ibmi',
    issuer: 'issuing-1',
    csr: {
      subject: '/CN=tn.ibmi.test.example',
      ext: ['subjectAltName=DNS:as400,IP:10.1.2.3'],
      key: ['rsa:2048'],
    },
    purposes: [serverAuth],
    not: clientAuth,
    hosts: ['tn.ibmi.test.example', 'as400', '10.1.2.3'],
  },
  'server-ec': {
    profile: 'ibmi',
    issuer: 'issuing-1',
    csr: { subject: '/CN=localhost', key: ['ec', '-pkeyopt', 'ec_paramgen_curve:P-384'] },
    purposes: [serverAuth],
    not: clientAuth,
    hosts: ['localhost'],
  },
  service: {
    profile: 'service',
    issuer: 'issuing-1',
    csr: { subject: '/CN=a.svc.test.example' },
    purposes: [serverAuth, clientAuth],
    not: smartCard,
    hosts: ['a.svc.test.example'],
  },
  client: {
    profile: 'signon',
    issuer: 'issuing-1',
    csr: {},
    purposes: [clientAuth],
    not: serverAuth,
    hosts: [],
  },
  logon: {
    profile: 'logon',
    issuer: 'logon-1',
    csr: { key: ['rsa:2048'] },
    purposes: [clientAuth, smartCard],
    not: serverAuth,
    hosts: [],
  },
};

/** A built-in directory has no attribute for it; any will do. */
const carol = {
  login: 'carol',
  displayName: 'carol@corp.test.example',
  groups: ['users'],
  password: 'canary-carol-2Vb6Yt',
};
const profiles = tlsProfiles.replace('upn: mail', 'upn: displayname');

describeWithPeers(['openssl', 'certtool'], 'what the authority makes, to others', () => {
  let broker: TestBroker;
  let authority: TestAuthority;
  let bench: Workbench;
  let admin: LoggedInClient;
  let serials: Map<string, string>;

  const fetchTo = async (file: string, path: string): Promise<void> => {
    const answer = await fetch(`${authority.address}/pki/${path}`);
    bench.write(file, Buffer.from(await answer.arrayBuffer()));
  };
  const revoke = async (name: string): Promise<void> => {
    const target = { kind: 'serial', value: serials.get(name) ?? '' } as const;
    const done = await admin.revoke({ target, reason: 'test', lock: false, apply: true });
    expect(done.tlsCredentials).toHaveLength(1);
  };
  const issue = async (name: string, { profile, csr }: Pick<Kind, 'profile' | 'csr'>): Promise<void> => {
    const isPersonal = profile === 'signon' || profile === 'logon';
    const client = isPersonal ? await broker.loggedIn(carol) : admin;
    const { certificate, issued } = await client.issueTls({ profile, csr: makeCsr(bench, name, csr) });
    bench.write(`${name}.pem`, certificate);
    serials.set(name, issued.serial);
  };

  beforeAll(async () => {
    bench = makeWorkbench();
    serials = new Map();
    const folder = await makeBrokerFolder({ people: [boss, carol] });
    authority = await addTlsAuthority(folder, { profiles });
    broker = await startBrokerIn(folder);
    admin = await broker.loggedIn(boss);
    for (const name of ['root', 'issuing-1', 'logon-1'])
      bench.write(`${name}.pem`, readFileSync(join(authority.folder, `${name}.pem`)));
    for (const [name, kind] of Object.entries(kinds)) await issue(name, kind);
    await issue('revoked', { profile: 'ibmi', csr: { subject: '/CN=localhost' } });
  });
  afterAll(async () => {
    await broker.stop();
    bench.remove();
  });

  it('stands before GnuTLS: chain, purposes, names and list', async () => {
    await fetchTo('before.pem', 'issuing-1.pem');
    await fetchTo('root-crl.pem', 'root.pem');
    const verify = (name: string, issuer: string, ...more: string[]): string[] => {
      bench.write('chain.pem', Buffer.concat([bench.read(`${name}.pem`), bench.read(`${issuer}.pem`)]));
      return ['--verify', '--load-ca-certificate', 'root.pem', '--infile', 'chain.pem', ...more];
    };
    for (const [name, { issuer, purposes, not, hosts }] of Object.entries(kinds)) {
      for (const purpose of purposes)
        bench.run('certtool', verify(name, issuer, '--verify-purpose', purpose));
      bench.fails('certtool', verify(name, issuer, '--verify-purpose', not));
      for (const host of hosts) bench.run('certtool', verify(name, issuer, '--verify-hostname', host));
      bench.fails('certtool', verify(name, issuer, '--verify-hostname', 'other.test.example'));
    }
    await revoke('revoked');
    await fetchTo('full.pem', 'issuing-1.pem');
    await fetchTo('delta.pem', 'issuing-1-delta.pem');
    const issuer = '--load-ca-certificate issuing-1.pem --infile'.split(' ');
    for (const list of ['before', 'full', 'delta'])
      bench.run('certtool', ['--verify-crl', ...issuer, `${list}.pem`]);
    const withList = (list: string): string[] => verify('revoked', 'issuing-1', '--load-crl', `${list}.pem`);
    expect(bench.run('certtool', withList('before'))).toContain('Checked against CRL[01]');
    expect(bench.fails('certtool', withList('full'))).toContain('The certificate chain is revoked');
  });

  it('is revoked for openssl by an older list and the delta, and not by the delta alone', () => {
    const verify = (name: string, ...lists: string[]): string[] => [
      ...'verify -x509_strict -crl_check -extended_crl -use_deltas -CAfile root.pem'.split(' '),
      ...'-untrusted issuing-1.pem'.split(' '),
      ...lists.flatMap((list) => ['-CRLfile', `${list}.pem`]),
      `${name}.pem`,
    ];
    expect(bench.run('openssl', verify('revoked', 'before'))).toContain('OK');
    expect(bench.fails('openssl', verify('revoked', 'before', 'delta'))).toContain('certificate revoked');
    expect(bench.run('openssl', verify('server', 'before', 'delta'))).toContain('OK');
    expect(bench.fails('openssl', verify('revoked', 'delta'))).toContain('unable to get certificate CRL');
  });

  it('is good for openssl s_client, which fetches the lists, until it is revoked', async () => {
    const serve = createServer({
      key: bench.read('server-ec.key'),
      cert: Buffer.concat([bench.read('server-ec.pem'), bench.read('issuing-1.pem')]),
    }).listen(0, '127.0.0.1');
    await once(serve, 'listening');
    const { port } = serve.address() as AddressInfo;
    serve.on('secureConnection', (socket) => socket.end('served'));
    const connect = (...how: string[]): Promise<string> =>
      bench.ask('openssl', [
        ...`s_client -connect 127.0.0.1:${port} -verify_return_error -verify_hostname localhost`.split(' '),
        ...how,
      ]);
    // With crl_check_all the root is looked up as well, and a root does not say where: lists are given.
    const withLists = async (): Promise<string> => {
      await fetchTo('full.pem', 'issuing-1.pem');
      bench.write(
        'trust.pem',
        Buffer.concat(['root', 'root-crl', 'full'].map((name) => bench.read(`${name}.pem`))),
      );
      return connect('-CAfile', 'trust.pem', '-crl_check_all');
    };
    const byItself = (): Promise<string> =>
      connect(...'-CAfile root.pem -crl_check -crl_download -extended_crl -use_deltas'.split(' '));
    try {
      for (const ask of [withLists, byItself])
        expect(await ask()).toMatch(/Verify return code: 0 \(ok\)[\s\S]*served/);
      await revoke('server-ec');
      for (const ask of [withLists, byItself])
        expect(await ask()).toContain('Verify return code: 23 (certificate revoked)');
    } finally {
      serve.close();
    }
  });

  it.skipIf(javac === undefined)(
    'stands before Java, if a JDK is installed: keytool prints it, and its path validator fetches lists and asks by OCSP',
    async () => {
      const print = (what: string, file: string): Promise<string> =>
        bench.ask('keytool', ['-J-Duser.language=en', `-print${what}`, '-file', file]);
      const revoked = (serials.get('revoked')?.match(/../g) ?? []).join(':');
      for (const [what, file, lines] of [
        [
          'cert',
          'server.pem',
          ['CN=tn.ibmi.test.example', 'DNSName: as400', 'IPAddress: 10.1.2.3', 'serverAuth'],
        ],
        ['crl', 'full.pem', [revoked, 'FreshestCRL']],
        ['crl', 'delta.pem', [revoked, '2.5.29.27 Criticality=true']],
      ] as const) {
        const printed = await print(what, file);
        for (const line of lines) expect(printed).toContain(line);
      }
      const chains = [...Object.entries(kinds), ['revoked', kinds['server']] as const].flatMap(
        ([name, kind]) => [`${name}.pem`, `${kind?.issuer}.pem`],
      );
      const judged = await bench.ask('java', [
        '-Dcom.sun.security.enableCRLDP=true',
        join(import.meta.dirname, 'PathJudge.java'),
        'root.pem',
        ...chains,
      ]);
      const isRevoked = (name: string): boolean => name === 'revoked' || name === 'server-ec';
      expect(judged.trim().split('\n')).toEqual(
        [...Object.keys(kinds), 'revoked'].map((name) =>
          isRevoked(name) ? `${name}.pem crl=REVOKED ocsp=REVOKED` : `${name}.pem crl=good ocsp=good`,
        ),
      );
    },
  );
});
