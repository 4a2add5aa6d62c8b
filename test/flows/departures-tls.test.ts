import { afterAll, beforeAll, expect, it } from 'vitest';
import * as ldap from '../interop/slapd-people.ts';
import {
  boss,
  makeBrokerFolder,
  startBrokerIn,
  type LoggedInClient,
  type TestBroker,
} from '../support/broker.ts';
import { getCertificate, until, type Held } from '../support/departures.ts';
import { configured } from '../support/directories.ts';
import { describeWithPeers } from '../support/peers.ts';
import { startSlapd, type Slapd } from '../support/slapd.ts';
import { addTlsAuthority, makeCsr, makeWorkbench, type Workbench } from '../support/tls-authority.ts';

const withinMs = 10_000;
const uids = ['stays', 'moves', 'leaves'];
const groupDn = (name: string): string => `cn=${name},${ldap.groupsDn}`;
const dnOf = (uid: string): string => `uid=${uid},${ldap.peopleDn}`;
const groups = ['unix', 'screens', 'servers'];
const ldif = [
  ...[ldap.peopleDn, ldap.groupsDn].map(ldap.unit),
  ...uids.map((uid) => ldap.person(uid)),
  ...groups.map((name) => ldap.group(groupDn(name), uids.map(dnOf))),
].join('\n');
const policy = `version: 1
roles:
  admin: {groups: [builtin:admins]}
profiles:
  unix:
    who: {groups: ["staff:${groupDn('unix')}"]}
    principals: {from: [{attribute: uid}]}
`;
const profiles = `
tls-profiles:
  screens:
    for: tls-client
    who: {groups: ["staff:${groupDn('screens')}"]}
    account: {from: [{attribute: uid}]}
  servers:
    for: tls-server
    who: {groups: ["staff:${groupDn('servers')}"]}
    names: ["*.test.example"]
`;

interface Alive {
  readonly ssh: boolean;
  readonly screen: boolean;
  readonly server: boolean;
}

describeWithPeers(
  ['slapd', 'ldapsearch', 'openssl', 'ssh-keygen', 'root'],
  'TLS certificates of somebody who leaves, or only moves',
  () => {
    let slapd: Slapd;
    let broker: TestBroker;
    let admin: LoggedInClient;
    let bench: Workbench;
    const held = new Map<string, { readonly ssh: Held; readonly screen: string; readonly server: string }>();

    const issue = async (client: LoggedInClient, profile: string, name: string): Promise<string> => {
      const ext = profile === 'servers' ? [`subjectAltName=DNS:${name}.test.example`] : [];
      const csr = makeCsr(bench, `${profile}-${name}`, { subject: `/CN=${name}.test.example`, ext });
      return (await client.issueTls({ profile, csr })).issued.serial;
    };
    /** What is alive of what somebody got: by the broker's own list of certificates, and by the list that hosts get. */
    const alive = async (uid: string): Promise<Alive> => {
      const { ssh, screen, server } = held.get(uid) ?? expect.unreachable(`${uid} got nothing`);
      const { items } = await admin.listTls({});
      const isLive = (serial: string): boolean =>
        items.find((one) => one.serial === serial)?.state === 'live';
      return { ssh: !(await ssh.isRevoked()), screen: isLive(screen), server: isLive(server) };
    };

    const isScreenLive = async (uid: string): Promise<boolean> => (await alive(uid)).screen;

    beforeAll(async () => {
      bench = makeWorkbench();
      slapd = await startSlapd(ldif, { tellsChanges: true });
      const { directories, files } = configured({ slapd });
      const rules = 'departures: { look: 1s, most-percent: 100 }\n';
      const made = await makeBrokerFolder({
        policy,
        people: [boss],
        directories: `${directories}\n${rules}`,
        files,
      });
      await addTlsAuthority(made, { profiles });
      broker = await startBrokerIn(made);
      admin = await broker.loggedIn(boss);
      for (const uid of uids) {
        const client = await broker.loggedIn({ login: uid, password: `pw-${uid}` });
        held.set(uid, {
          ssh: await getCertificate(client),
          screen: await issue(client, 'screens', uid),
          server: await issue(client, 'servers', uid),
        });
      }
      await until(
        () => broker.running.rooms.followers.every((one) => one.state().state === 'following'),
        withinMs,
      );
    });
    afterAll(async () => {
      for (const { ssh } of held.values()) ssh.remove();
      await broker?.stop();
      await slapd?.close();
      bench?.remove();
    });

    it('out of the group of the screens: that certificate is revoked, and nothing else of anybody', async () => {
      const delta = `dn: ${groupDn('screens')}\nchangetype: modify\ndelete: member\nmember: ${dnOf('moves')}\n`;
      slapd.modify(delta);
      await until(async () => !(await isScreenLive('moves')), withinMs);
      expect(await alive('moves')).toEqual({ ssh: true, screen: false, server: true });
      expect(await alive('stays')).toEqual({ ssh: true, screen: true, server: true });
      const page = await admin.person('moves');
      expect([page.certificates.map(({ today }) => today), page.tlsCertificates]).toEqual([['granted'], []]);
      const [change] = (await admin.searchLog({ type: 'directory.change', limit: '1' })).items;
      expect(change?.entry).toMatchObject({
        reason_code: 'policy.no_longer_granted',
        change: { what: ['rights'], seen_by: 'sync' },
      });
      const [revoked] = (await admin.searchLog({ type: 'cred.revoke', limit: '1' })).items;
      expect(revoked?.entry).toMatchObject({ cred: { kind: 'tls-client', principals: ['MOVES'] } });
    });

    it('shows an admin what a person has for TLS, and whether they could have it today', async () => {
      const page = await admin.person('stays');
      expect(page.tlsCertificates).toMatchObject([
        { credential: { commonName: 'STAYS', profile: 'screens' }, today: 'granted' },
      ]);
    });

    it('deleted: everything of theirs is revoked, and the server that they set up goes on', async () => {
      slapd.modify(`dn: ${dnOf('leaves')}\nchangetype: delete\n`);
      await until(async () => !(await isScreenLive('leaves')), withinMs);
      expect(await alive('leaves')).toEqual({ ssh: false, screen: false, server: true });
      expect(await alive('stays')).toEqual({ ssh: true, screen: true, server: true });
    });
  },
);
