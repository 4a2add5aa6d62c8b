import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  parseAuthorities,
  parsePorts,
  probe,
  type HostLook,
  type PortLook,
} from '../../../src/doors/probe/index.ts';
import { systemClock } from '../../../src/kernel/index.ts';
import { blackHole } from '../../support/black-hole.ts';
import { freePort } from '../../support/free-port.ts';
import { makeTestAuthority, type Holder, type TestAuthority } from '../../support/ibmi-tls.ts';
import { describeWithPeers } from '../../support/peers.ts';
import {
  type ServerMode,
  startPortMapper,
  startTn5250Server,
  type TestServer,
} from '../../support/tn5250-server.ts';

/** Short enough for a test that waits for it, long enough for a busy machine. */
const patience = { connectMs: 3000, handshakeMs: 3000, firstBytesMs: 3000 };
const impatient = { connectMs: 3000, handshakeMs: 400, firstBytesMs: 400 };

describeWithPeers(['openssl'], 'a probe', () => {
  let folder: string;
  let authority: TestAuthority;
  let stranger: TestAuthority;
  let good: Holder;
  const servers: TestServer[] = [];

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'sallyport-probe-'));
    authority = makeTestAuthority(join(folder, 'ours'), 'ours');
    stranger = makeTestAuthority(join(folder, 'theirs'), 'theirs');
    good = authority.issue('good', { names: 'DNS:localhost,IP:127.0.0.1' });
  });
  afterAll(async () => {
    await Promise.all(servers.map((server) => server.close()));
    rmSync(folder, { recursive: true, force: true });
  });

  const start = async (mode: ServerMode): Promise<TestServer> => {
    const server = await startTn5250Server(mode);
    servers.push(server);
    return server;
  };
  const look = async (ports: string, host = '127.0.0.1', wait = patience): Promise<HostLook> => {
    const { hosts } = await probe({
      hosts: [host],
      targets: parsePorts(ports),
      authorities: parseAuthorities(authority.root),
      patience: wait,
      clock: systemClock,
    });
    return hosts[0] as HostLook;
  };
  /** Everything that a test says about one port. */
  const brief = ({ state, telnet, findings }: PortLook): unknown => [
    state,
    telnet,
    findings.map(({ code }) => code),
  ];
  const briefOf = async (service: string, mode: ServerMode, wait = patience): Promise<unknown> => {
    const server = await start(mode);
    const { ports } = await look(`${service}:${server.port}`, '127.0.0.1', wait);
    expect(server.connections.length).toBe(1);
    // No name, no password, nothing at all above TLS; and nothing that makes a device.
    expect(server.connections[0]?.bytes().length).toBe(0);
    expect(server.connections[0]?.reachedSignOn()).toBe(false);
    return brief(ports[0] as PortLook);
  };

  it('names telnet with TLS, TLS 1.2 and 1.3', async () => {
    const expected = ['tls', 'tn5250', []];
    expect(await briefOf('telnet-ssl', { tls: good, speaks: 'tn5250' })).toEqual(expected);
    expect(await briefOf('telnet-ssl', { tls: good, speaks: 'tn5250', maxVersion: 'TLSv1.2' })).toEqual(
      expected,
    );
  });

  it('names telnet in the clear, where it belongs and where TLS is expected', async () => {
    expect(await briefOf('telnet', { speaks: 'tn5250' })).toEqual(['clear', 'tn5250', ['clear_telnet']]);
    const server = await start({ speaks: 'tn5250' });
    const { ports } = await look(`telnet-ssl:${server.port}`);
    expect(ports.map(brief)).toEqual([['not_tls', 'tn5250', ['not_tls']]]);
  });

  it.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'names a server that wants client certificates, %s',
    async (maxVersion) => {
      const mode = { tls: good, clientAuthority: authority.root, maxVersion } as const;
      expect(await briefOf('telnet-ssl', { ...mode, speaks: 'tn5250' })).toEqual([
        'tls_client_certificate',
        undefined,
        ['client_certificate'],
      ]);
      expect(await briefOf('as-signon-s', { ...mode, speaks: 'nothing' })).toEqual([
        'tls_client_certificate',
        undefined,
        ['client_certificate'],
      ]);
    },
  );

  it('names a wrong name, an expired certificate, one that expires soon, one of the future, and one of another authority', async () => {
    const holders: readonly (readonly [Holder, string])[] = [
      [authority.issue('wrong', { names: 'DNS:other.example.com' }), 'wrong_name'],
      [authority.issue('expired', { names: 'IP:127.0.0.1', fromDay: -9, toDay: -1 }), 'expired'],
      [authority.issue('soon', { names: 'IP:127.0.0.1', toDay: 12 }), 'expires_soon'],
      [authority.issue('future', { names: 'IP:127.0.0.1', fromDay: 2 }), 'not_yet_valid'],
      [stranger.issue('foreign', { names: 'IP:127.0.0.1' }), 'not_ours'],
    ];
    for (const [tls, code] of holders)
      expect(await briefOf('telnet-ssl', { tls, speaks: 'tn5250' })).toEqual(['tls', 'tn5250', [code]]);
  });

  it('names a weak key, an old version of TLS, and a chain with a hole', async () => {
    const weak = authority.issue('weak', { names: 'IP:127.0.0.1', newKey: '-newkey rsa:1024 -nodes' });
    const old = { tls: weak, old: true, speaks: 'tn5250' } as const;
    expect(await briefOf('telnet-ssl', old)).toEqual(['tls', 'tn5250', ['old_tls', 'weak_key']]);
    const hole = { ...good, chain: good.certificate };
    const server = await start({ tls: hole, speaks: 'tn5250' });
    const { hosts } = await probe({
      hosts: ['127.0.0.1'],
      targets: parsePorts(`telnet-ssl:${server.port}`),
      authorities: parseAuthorities(authority.root + authority.issuing),
      patience,
      clock: systemClock,
    });
    // Whoever gave the issuing authority trusts it for itself; the clients that know the root alone are the ones that fail.
    expect(hosts[0]?.ports.map(brief)).toEqual([['tls', 'tn5250', ['chain_incomplete']]]);
  });

  it('does not take silence for anything', async () => {
    expect(await briefOf('telnet', { speaks: 'nothing' }, impatient)).toEqual([
      'silent',
      undefined,
      ['silent'],
    ]);
    expect(await briefOf('telnet-ssl', { tls: good, speaks: 'nothing' }, impatient)).toEqual([
      'tls',
      'unclear',
      ['silent'],
    ]);
    const server = await start({ speaks: 'nothing' });
    const { ports } = await look(`telnet-ssl:${server.port}`, '127.0.0.1', impatient);
    expect(ports.map(brief)).toEqual([['silent', undefined, ['silent']]]);
  });

  it('names what is no telnet, and other telnet', async () => {
    expect(await briefOf('telnet', { speaks: 'banner' })).toEqual(['clear', 'other', ['not_telnet']]);
    expect(await briefOf('telnet-ssl', { tls: good, speaks: 'banner' })).toEqual([
      'tls',
      'other',
      ['not_telnet'],
    ]);
    expect(await briefOf('telnet', { speaks: 'line-mode' })).toEqual(['clear', 'telnet', ['clear_telnet']]);
  });

  it('tells a closed port from one that does not answer', async () => {
    const hole = await blackHole();
    const closed = await freePort();
    const { ports } = await look(`telnet:${closed},telnet-ssl:${hole.port}`, '127.0.0.1', {
      ...patience,
      connectMs: 500,
    });
    await hole.close();
    expect(
      Object.fromEntries(ports.map(({ service, state, findings }) => [service, [state, findings.length]])),
    ).toEqual({
      telnet: ['closed', 0],
      'telnet-ssl': ['no_answer', 0],
    });
  });

  it('finds host servers in the clear, and Telnet with TLS that lacks what its sessions need', async () => {
    const [telnet, signOn, central, clearSql] = [
      await start({ tls: good, speaks: 'tn5250' }),
      await start({ tls: good, speaks: 'nothing' }),
      await start({ tls: good, speaks: 'nothing' }),
      await start({ speaks: 'nothing' }),
    ];
    const closed = await freePort();
    const { ports, findings } = await look(
      `telnet-ssl:${telnet.port},as-signon-s:${signOn.port},as-central-s:${central.port},as-rmtcmd-s:${closed},as-database:${clearSql.port}`,
      'localhost',
    );
    const seen = Object.fromEntries(ports.map((port) => [port.service, brief(port)]));
    expect(seen).toEqual({
      'telnet-ssl': ['tls', 'tn5250', []],
      'as-signon-s': ['tls', undefined, []],
      'as-central-s': ['tls', undefined, []],
      'as-rmtcmd-s': ['closed', undefined, []],
      'as-database': ['clear', undefined, ['clear_host_server']],
    });
    expect(findings.map(({ code }) => code)).toEqual(['half_secured']);
    expect(findings[0]?.text).toContain('9475 (as-rmtcmd-s)');
  });

  it.each([false, true])(
    'asks the port mapper on one connection where services listen; it answers once: %s',
    async (answersOnce) => {
      const signOn = await start({ tls: good, speaks: 'nothing' });
      const elsewhere = await freePort();
      const mapper = await startPortMapper({ 'as-signon-s': signOn.port }, { answersOnce });
      servers.push(mapper);
      const { ports } = await look(`as-svrmap:${mapper.port},as-signon-s:${elsewhere}`);
      expect(Object.fromEntries(ports.map(({ service, port, state }) => [service, [port, state]]))).toEqual({
        'as-signon-s': [signOn.port, 'tls'],
        'as-svrmap': [mapper.port, 'clear'],
      });
      expect(mapper.connections.length).toBe(1);
      expect(mapper.asked).toEqual(['as-signon-s']);
    },
  );

  it('says what a certificate is, in numbers that other programs confirm', async () => {
    const server = await start({ tls: good, speaks: 'tn5250' });
    const { ports } = await look(`telnet-ssl:${server.port}`, 'localhost');
    const [tls] = ports.map((port) => port.tls);
    const leaf = new X509Certificate(good.certificate);
    expect(tls?.trust).toBe('ours');
    expect(tls?.chain.length).toBe(2);
    expect(tls?.chain[0]).toMatchObject({
      subject: 'CN=good',
      issuer: 'CN=ours-issuing',
      serial: leaf.serialNumber,
      sha256: leaf.fingerprint256.replaceAll(':', '').toLowerCase(),
      key: 'ec prime256v1',
      names: ['localhost', '127.0.0.1'],
    });
    expect([89, 90]).toContain(tls?.daysLeft);
  });

  it('looks at 200 hosts together, one connection to each port', async () => {
    const server = await start({ tls: good, speaks: 'tn5250' });
    // The whole of 127.0.0.0/8 is this machine, but the server listens on one address: the others are closed.
    const hosts = Array.from({ length: 200 }, (_one, nth) => `127.0.1.${nth + 1}`);
    let calls = 0;
    const report = await probe({
      hosts: [...hosts, '127.0.0.1'],
      targets: parsePorts(`telnet-ssl:${server.port}`),
      authorities: [],
      patience,
      clock: systemClock,
      progress: () => (calls += 1),
    });
    expect(calls).toBe(201);
    expect(report.hosts.map(({ host }) => host)).toEqual([...hosts, '127.0.0.1']);
    expect(report.hosts.filter(({ ports }) => ports[0]?.state === 'closed').length).toBe(200);
    expect(report.hosts.at(-1)?.ports[0]?.tls?.trust).toBe('not_asked');
    expect(server.connections.length).toBe(1);
  });

  it('says that a name has no address, and goes on', async () => {
    const host = 'no-such-host.invalid';
    const { hosts } = await probe({
      hosts: [host, '127.0.0.1'],
      targets: [],
      authorities: [],
      clock: systemClock,
    });
    expect(hosts.map(({ findings }) => findings.map(({ code }) => code))).toEqual([['name_not_found'], []]);
  });
});
