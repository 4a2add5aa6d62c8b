import { afterAll, beforeAll, expect, it } from 'vitest';
import * as ldap from '../interop/slapd-people.ts';
import { boss, startTestBroker, type LoggedInClient, type TestBroker } from '../support/broker.ts';
import { getCertificate, until, type Held } from '../support/departures.ts';
import { configured } from '../support/directories.ts';
import { describeWithPeers } from '../support/peers.ts';
import { startSlapd, type Slapd } from '../support/slapd.ts';

const withinMs = 30_000;
const beyondTheGraceMs = 61 * 60_000;
const uids = Array.from({ length: 8 }, (_, nth) => `g${nth}`);
const dnOf = (uid: string): string => `uid=${uid},${ldap.peopleDn}`;
const unixDn = `cn=unix,${ldap.groupsDn}`;
const ldif = [
  ...[ldap.peopleDn, ldap.groupsDn].map(ldap.unit),
  ...uids.map((uid) => ldap.person(uid)),
  ldap.group(unixDn, [...uids.map(dnOf), `cn=nobody,${ldap.suffix}`]),
].join('\n');
const policy = `version: 1
roles:
  admin: {groups: [builtin:admins]}
profiles:
  unix:
    who: {groups: ["staff:${unixDn}"]}
    principals: {from: [{attribute: uid}]}
`;
const change = (what: 'add' | 'delete', people: readonly string[]): string =>
  `dn: ${unixDn}\nchangetype: modify\n${people.map((uid) => `${what}: member\nmember: ${dnOf(uid)}\n`).join('-\n')}`;

describeWithPeers(
  ['slapd', 'ldapsearch', 'openssl', 'ssh-keygen', 'root'],
  'departures with a grace of an hour, and at most a quarter of the people at once',
  () => {
    let slapd: Slapd;
    let broker: TestBroker;
    let skewMs = 0;
    const clock = { nowMs: () => Date.now() + skewMs };
    const people = new Map<string, { readonly client: LoggedInClient; readonly held: Held }>();

    const follower = () =>
      broker.running.rooms.followers.map((one) => one.state()).find(({ directory }) => directory === 'staff');
    const isRevoked = (uid: string): Promise<boolean> =>
      people.get(uid)?.held.isRevoked() ?? Promise.resolve(false);
    const revoked = async (): Promise<readonly string[]> => {
      const found = await Promise.all(uids.map(async (uid) => ((await isRevoked(uid)) ? [uid] : [])));
      return found.flat();
    };
    /** A whole look that began after now has ended. */
    const lookedAgain = async (): Promise<void> => {
      for (let turn = 0; turn < 2; turn += 1) {
        const lookedMs = follower()?.lookedMs;
        await until(() => follower()?.lookedMs !== lookedMs && follower()?.waiting === 0, withinMs);
      }
    };

    beforeAll(async () => {
      slapd = await startSlapd(ldif, { tellsChanges: true });
      const { directories, files } = configured({ slapd });
      const rules =
        'departures: { look: 1s, sweep: 10s, most-people: 100, most-percent: 25, window: 1m, grace: 1h }\n';
      const options = { policy, people: [boss], directories: `${directories}\n${rules}`, files, clock };
      broker = await startTestBroker(options);
      for (const uid of uids) {
        const client = await broker.loggedIn({ login: uid, password: `pw-${uid}` });
        people.set(uid, { client, held: await getCertificate(client) });
      }
      await until(() => follower()?.state === 'following', withinMs);
    });
    afterAll(async () => {
      for (const { held } of people.values()) held.remove();
      await broker?.stop();
      await slapd?.close();
    });

    it('who is back within it keeps certificate and session, who is not loses them when it is over', async () => {
      slapd.modify(change('delete', ['g0', 'g1']));
      await lookedAgain();
      expect(await revoked()).toEqual([]);
      slapd.modify(change('add', ['g0']));
      await lookedAgain();
      skewMs += beyondTheGraceMs;
      await until(() => isRevoked('g1'), withinMs);
      expect(await revoked()).toEqual(['g1']);
      const { held, client } = people.get('g0') ?? expect.unreachable();
      expect((await client.session()).person).toMatchObject({ login: 'g0' });
      expect(held.serial).toBeGreaterThan(0n);
    });

    it('who leaves again has the whole of it again', async () => {
      slapd.modify(change('delete', ['g0']));
      await lookedAgain();
      expect(await revoked()).toEqual(['g1']);
      skewMs += beyondTheGraceMs;
      await until(() => isRevoked('g0'), withinMs);
    });

    it('more than so many per cent at once wait for an admin, and fewer do not', async () => {
      skewMs += beyondTheGraceMs;
      const gone = ['g2', 'g3', 'g4'];
      slapd.modify(change('delete', gone));
      await lookedAgain();
      skewMs += beyondTheGraceMs;
      const admin = await broker.loggedIn(boss);
      await until(async () => (await admin.departures()).reviews.length > 0, withinMs);
      const [review] = (await admin.departures()).reviews;
      // Three of six who are left.
      expect(review).toMatchObject({ state: 'waiting', limit: 'percent', directory: 'staff', atLarge: 6 });
      await until(
        async () => (await admin.departures()).reviews.some(({ people: all }) => all.length === 3),
        withinMs,
      );
      expect(await revoked()).toEqual(['g0', 'g1']);
      await admin.decideDepartures({
        review: review?.id ?? '',
        decision: 'approve',
        reason: 'the team left',
      });
      expect(await revoked()).toEqual(['g0', 'g1', ...gone]);
    });
  },
);
