import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { createActiveDirectory } from '../../src/identity/index.ts';
import { systemClock } from '../../src/kernel/index.ts';
import { checkConfig } from '../../src/main/operator/check.ts';
import { makeBrokerFolder } from '../support/broker.ts';

describe('checking a configuration', () => {
  it('connects to no directory', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const callers: (number | undefined)[] = [];
    server.on('connection', (socket) => callers.push(socket.remotePort));
    const made = await makeBrokerFolder({
      people: [],
      directories: `  - name: staff
    kind: ldap
    servers: ["ldap://127.0.0.1:${port}"]
    tls: none-i-accept-clear-text-passwords
    people: ["dc=example,dc=org"]
`,
    });
    try {
      await checkConfig(made.configFile, {
        note: () => undefined,
        askSecret: () => Promise.reject(new Error('the passphrase is in a file')),
      });
      // Connections are accepted in order: had there been one before, this would be the second.
      const marker = connect(port, '127.0.0.1');
      await Promise.all([once(marker, 'connect'), once(server, 'connection')]);
      expect(callers).toEqual([marker.localPort]);
      marker.destroy();
    } finally {
      server.close();
      made.remove();
    }
  });

  it('leaves a directory that is closed at once unasked, and one that lives asked by itself', async () => {
    const asked: string[] = [];
    const resolver = {
      resolveSrv: (name: string) => {
        asked.push(name);
        return Promise.resolve([]);
      },
    };
    const corp = {
      name: 'corp',
      domain: 'corp.example.org',
      service: { dn: 'CN=reader', password: 'canary-reader-8Fb3Uq' },
    };
    await createActiveDirectory(corp, { clock: systemClock, resolver }).close();
    await new Promise((resolve) => setImmediate(resolve));
    expect(asked).toEqual([]);
    const living = createActiveDirectory(corp, { clock: systemClock, resolver });
    await new Promise((resolve) => setImmediate(resolve));
    expect(asked).toEqual(['_ldap._tcp.dc._msdcs.corp.example.org']);
    await living.close();
  });
});
