import { afterAll, beforeAll, expect, it } from 'vitest';
import type { BrokerClient, FollowedDirectory } from '../../src/doors/client/index.ts';
import * as ldap from '../interop/slapd-people.ts';
import { boss, type BrokerFolder } from '../support/broker.ts';
import { getCertificate, until, type Held } from '../support/departures.ts';
import { configured } from '../support/directories.ts';
import { describeWithPeers } from '../support/peers.ts';
import { brokersOnPostgres, serveAll, type SharedBrokers } from '../support/postgres-brokers.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { clientWith, logInTo, type Served } from '../support/serve.ts';
import { startSlapd, type Slapd } from '../support/slapd.ts';

const uids = ['first', 'second', 'stays'];
const dnOf = (uid: string): string => `uid=${uid},${ldap.peopleDn}`;
const unixDn = `cn=unix,${ldap.groupsDn}`;
const ldif = [
  ...[ldap.peopleDn, ldap.groupsDn].map(ldap.unit),
  ...uids.map((uid) => ldap.person(uid)),
  ldap.group(unixDn, uids.map(dnOf)),
].join('\n');
const policy = `version: 1
roles:
  admin: {groups: [builtin:admins]}
profiles:
  unix:
    who: {groups: ["staff:${unixDn}"]}
    principals: {from: [{attribute: uid}]}
`;

describeWithPeers(
  ['postgres', 'psql', 'slapd', 'ldapsearch', 'openssl', 'ssh-keygen'],
  'departures, with two brokers on one database',
  () => {
    let slapd: Slapd;
    let server: PostgresServer;
    let brokers: SharedBrokers;
    let running: Served[] = [];
    const clients: BrokerClient[] = [];
    const held: Held[] = [];
    const folder = (nth: number): BrokerFolder => brokers.folders[nth] as BrokerFolder;
    const staffAt = async (nth: number): Promise<FollowedDirectory['state']> =>
      (await clients[nth]?.departures())?.followers.find(({ directory }) => directory === 'staff')?.state ??
      'unknown';

    beforeAll(async () => {
      [slapd, server] = await Promise.all([startSlapd(ldif, { tellsChanges: true }), startPostgres()]);
      const { directories, files } = configured({ slapd });
      const rules = 'departures: { look: 1s }\n';
      const options = { policy, people: [boss], directories: `${directories}\n${rules}`, files };
      brokers = await brokersOnPostgres(server, 2, options);
      running = await serveAll(brokers);
      const session = await logInTo(folder(0), boss);
      clients.push(clientWith(folder(0), session), clientWith(folder(1), session));
    });
    afterAll(async () => {
      for (const open of clients) open.close();
      for (const one of held) one.remove();
      await Promise.all(running.map((broker) => broker.stop()));
      brokers?.remove();
      await Promise.all([server?.close(), slapd?.close()]);
    });

    const take = async (nth: number, uid: string): Promise<Held> => {
      const session = await logInTo(folder(nth), { login: uid, password: `pw-${uid}` });
      const client = clientWith(folder(nth), session);
      clients.push(client);
      const one = await getCertificate({ ...client, ...session });
      held.push(one);
      return one;
    };

    it('one follows, and when it dies the other one goes on', async () => {
      const settled = async (): Promise<boolean> =>
        [await staffAt(0), await staffAt(1)].sort().join() === 'following,standby';
      await until(settled, 30_000);
      const leader = (await staffAt(0)) === 'following' ? 0 : 1;
      const other = 1 - leader;
      const [first, second, stays] = [
        await take(other, 'first'),
        await take(other, 'second'),
        await take(other, 'stays'),
      ];
      slapd.modify(`dn: ${dnOf('first')}\nchangetype: delete\n`);
      // Seen by the one, and served by the other.
      await until(() => first.isRevoked(), 30_000);

      running[leader]?.process.kill('SIGKILL');
      await running[leader]?.ended();
      slapd.modify(`dn: ${dnOf('second')}\nchangetype: delete\n`);
      await until(() => second.isRevoked(), 60_000);
      expect(await staffAt(other)).toBe('following');
      expect(await stays.isRevoked()).toBe(false);
    });
  },
);
