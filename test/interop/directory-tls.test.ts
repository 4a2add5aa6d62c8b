import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { createLdapDirectory } from '../../src/identity/index.ts';
import type { Directory } from '../../src/identity/index.ts';
import { systemClock } from '../../src/kernel/index.ts';
import { describeWithPeers } from '../support/peers.ts';
import { makeTls, startSlapd } from '../support/slapd.ts';
import type { Slapd } from '../support/slapd.ts';
import { groupsDn, peopleDn, person, unit } from './slapd-people.ts';

type Kind = 'ldaps' | 'starttls';

/** ExtendedResponse to message 1 with result success (RFC 4511 section 4.12). */
const startTlsAccepted = Buffer.from('300c02010178070a010004000400', 'hex');

describeWithPeers(['slapd', 'openssl'], 'the version of TLS that a directory is spoken to with', () => {
  let folder: string;
  let slapd: Slapd;
  const caFile = (): string => join(folder, 'ca.crt');

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'sallyport-tls-'));
    makeTls(folder, 'IP:127.0.0.1');
    slapd = await startSlapd([...[peopleDn, groupsDn].map(unit), person('alice')].join('\n'));
    // As with `node --tls-min-v1.0`, which is another's to set: the floor has to be our own.
    const { DEFAULT_MIN_VERSION: floor, DEFAULT_CIPHERS: ciphers } = tls;
    Object.assign(tls, { DEFAULT_MIN_VERSION: 'TLSv1', DEFAULT_CIPHERS: 'DEFAULT@SECLEVEL=0' });
    return () => void Object.assign(tls, { DEFAULT_MIN_VERSION: floor, DEFAULT_CIPHERS: ciphers });
  });
  afterAll(async () => {
    await slapd?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** The slapd behind a TLS that ends at such a version. */
  async function front(
    kind: Kind,
    maxVersion: tls.SecureVersion,
  ): Promise<{ port: number; spoken: Set<string | null> }> {
    const secureContext = tls.createSecureContext({
      key: readFileSync(join(folder, 'server.key')),
      cert: readFileSync(join(folder, 'server.crt')),
      maxVersion,
    });
    const spoken = new Set<string | null>();
    const open: Socket[] = [];
    const secured = (socket: Socket): void => {
      const inner = connect(Number(new URL(slapd.ldapUrl).port), '127.0.0.1');
      const outer = new tls.TLSSocket(socket, { isServer: true, secureContext });
      outer.once('secure', () => spoken.add(outer.getProtocol()));
      for (const end of [inner, outer]) open.push(end.on('error', () => inner.destroy()));
      outer.pipe(inner).pipe(outer);
    };
    const server: Server = createServer((socket) => {
      open.push(socket.on('error', () => undefined));
      if (kind === 'ldaps') return secured(socket);
      socket.once('data', () => {
        socket.write(startTlsAccepted);
        secured(socket);
      });
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => {
      for (const socket of open) socket.destroy();
      server.close();
    });
    return { port: (server.address() as AddressInfo).port, spoken };
  }

  const open = (kind: Kind, port: number): Directory => {
    const directory = createLdapDirectory(
      {
        name: 'corp',
        servers: [`${kind === 'ldaps' ? 'ldaps' : 'ldap'}://127.0.0.1:${port}`],
        ...(kind === 'ldaps' ? {} : { tls: 'starttls' as const }),
        caPem: readFileSync(caFile(), 'utf8'),
        service: slapd.service,
        peopleBaseDns: [peopleDn],
        groupBaseDns: [groupsDn],
      },
      { clock: systemClock },
    );
    onTestFinished(() => directory.close());
    return directory;
  };

  it.each<[Kind, tls.SecureVersion]>([
    ['ldaps', 'TLSv1.3'],
    ['ldaps', 'TLSv1.2'],
    ['starttls', 'TLSv1.3'],
    ['starttls', 'TLSv1.2'],
  ])('is, over %s, %s with a server that has no higher one', async (kind, version) => {
    const { port, spoken } = await front(kind, version);
    const answer = await open(kind, port).authenticate('alice', 'pw-alice');
    expect(answer).toMatchObject({ outcome: 'accepted', person: { login: 'alice' } });
    expect([...spoken]).toEqual([version]);
  });

  it.each<[Kind, tls.SecureVersion]>([
    ['ldaps', 'TLSv1.1'],
    ['ldaps', 'TLSv1'],
    ['starttls', 'TLSv1.1'],
    ['starttls', 'TLSv1'],
  ])('is, over %s, never %s: that server is down', async (kind, version) => {
    const { port, spoken } = await front(kind, version);
    // It does speak it, with whoever asks for that.
    if (kind === 'ldaps') {
      const old = tls.connect({ port, host: '127.0.0.1', ca: readFileSync(caFile()), maxVersion: version });
      await once(old, 'secureConnect');
      expect(old.getProtocol()).toBe(version);
      old.destroy();
      spoken.clear();
    }
    const directory = open(kind, port);
    await expect(directory.authenticate('alice', 'pw-alice')).rejects.toMatchObject({
      code: 'identity.directory_unavailable',
    });
    expect(directory.health()).toMatchObject({
      state: 'down',
      detail: expect.stringMatching(/protocol.version|unsupported.protocol/i) as unknown,
    });
    expect([...spoken]).toEqual([]);
  });
});
