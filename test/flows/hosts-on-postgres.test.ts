import { afterAll, beforeAll, expect, it } from 'vitest';
import { parseBundle } from '../../src/hosts/index.ts';
import { parseKrl } from '../../src/ssh/index.ts';
import { ask } from '../doors/http/support.ts';
import { alice, boss, type BrokerFolder } from '../support/broker.ts';
import { describeWithPeers } from '../support/peers.ts';
import { brokersOnPostgres, serveAll, type SharedBrokers } from '../support/postgres-brokers.ts';
import { sharedPostgres } from '../support/postgres.ts';
import {
  newKeyPair,
  newProtocolHost,
  post,
  type HostAnswer,
  type ProtocolHost,
} from '../support/protocol-host.ts';
import { clientWith, logInTo, type Served } from '../support/serve.ts';

describeWithPeers(['postgres', 'psql'], 'hosts, with two brokers on one database', () => {
  let brokers: SharedBrokers;
  let running: Served[] = [];
  let admin: ReturnType<typeof clientWith>;
  let token = '';
  let count = 0;
  const at = (nth: number): BrokerFolder => brokers.folders[nth] as BrokerFolder;
  const read = ({ text }: HostAnswer) => parseBundle(Buffer.from(text.slice(0, text.indexOf('-----BEGIN'))));
  const enrolled = async (nth: number): Promise<ProtocolHost> => {
    const host = newProtocolHost();
    count += 1;
    expect((await host.enrol(at(nth), token, [`n${count}.example.com`])).status).toBe(200);
    return host;
  };
  /** Waits at a broker until that one counts so many. */
  const waiting = async (host: ProtocolHost, nth: number, have: bigint): Promise<Promise<HostAnswer>[]> => {
    const answer = host.sync(at(nth), { have, waitSeconds: 60 });
    const isThere = async (): Promise<boolean> =>
      /^sallyport_hosts_waiting 1$/m.test((await ask(at(nth), { path: '/metrics' })).body.toString('utf8'));
    while (!(await isThere()));
    return [answer];
  };

  beforeAll(async () => {
    brokers = await brokersOnPostgres(await sharedPostgres(), 2);
    running = await serveAll(brokers);
    admin = clientWith(at(0), await logInTo(at(0), boss));
    const asked = { names: ['*.example.com'], addresses: [], group: 'default', maxUses: 9, lifeSeconds: 600 };
    ({ token } = await admin.newHostToken(asked));
  });
  afterAll(async () => {
    admin?.close();
    await Promise.all(running.map((broker) => broker.stop()));
    brokers?.remove();
  });

  it('a revocation at one wakes those who wait at the other', async () => {
    const hosts = [await enrolled(0), await enrolled(1)];
    const { version } = read(await hosts[1]!.sync(at(1)));
    const [answers, others] = [await waiting(hosts[0]!, 0, version), await waiting(hosts[1]!, 1, version)];
    const user = clientWith(at(1), await logInTo(at(1), alice));
    const { serial } = await user.sign(newKeyPair().line, {});
    user.close();
    const target = { kind: 'person', value: 'alice' } as const;
    await admin.revoke({ target, reason: 'left', lock: false, apply: true });
    for (const answer of await Promise.all([...answers, ...others])) {
      const bundle = read(answer);
      expect(bundle.version).toBe(version + 1n);
      const [section] = parseKrl(bundle.krl.bytes).certificates;
      expect([...(section?.serials.firsts ?? [])]).toContain(serial);
    }
  });

  it('a host that is retired at one while it waits at the other gets nothing more', async () => {
    const host = await enrolled(0);
    const { version } = read(await host.sync(at(0)));
    const [answer] = await waiting(host, 1, version);
    await admin.retireHost({ host: host.id, reason: 'sold', apply: true });
    expect((await answer)?.one('error')).toBe('hosts.retired');
  });

  it('what a host said to one, nobody can say again to the other', async () => {
    const host = await enrolled(0);
    const asked = host.syncing();
    expect((await post(at(0), 'sync', asked)).status).toBe(200);
    expect((await post(at(1), 'sync', asked)).one('error')).toBe('hosts.replayed');
    // Nor an older step.
    host.step -= 1n;
    expect((await host.sync(at(1))).one('error')).toBe('hosts.conflict');
  });
});
