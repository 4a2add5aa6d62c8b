import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { generateProofKey } from '../../src/doors/client/index.ts';
import { startBroker, type RunningBroker } from '../../src/main/broker.ts';
import { loadConfig } from '../../src/main/config.ts';
import { ask } from '../doors/http/support.ts';
import * as ldap from '../interop/slapd-people.ts';
import {
  boss,
  clientOf,
  makeBrokerFolder,
  startTestBroker,
  type BrokerFolder,
  type LoggedInClient,
  type TestBroker,
} from '../support/broker.ts';
import { codeOf } from '../support/code-of.ts';
import { getCertificate, until, type Held } from '../support/departures.ts';
import { configured } from '../support/directories.ts';
import { describeWithPeers } from '../support/peers.ts';
import { startSlapd, type Slapd } from '../support/slapd.ts';

const withinMs = 30_000;
const uids = Array.from({ length: 12 }, (_, nth) => `p${nth}`);
const dnOf = (uid: string): string => `uid=${uid},${ldap.peopleDn}`;
const parkedDn = `ou=parked,${ldap.suffix}`;
const unixDn = `cn=unix,${ldap.groupsDn}`;
const ldif = [
  ...[ldap.peopleDn, ldap.groupsDn, parkedDn].map(ldap.unit),
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

const removed = (...gone: readonly string[]): string =>
  `dn: ${unixDn}\nchangetype: modify\n${gone.map((uid) => `delete: member\nmember: ${dnOf(uid)}\n`).join('-\n')}`;
const added = (uid: string): string =>
  `dn: ${unixDn}\nchangetype: modify\nadd: member\nmember: ${dnOf(uid)}\n`;
const moved = (uid: string, from: string, to: string): string =>
  `dn: uid=${uid},${from}\nchangetype: modrdn\nnewrdn: uid=${uid}\ndeleteoldrdn: 0\nnewsuperior: ${to}\n`;

describeWithPeers(
  ['slapd', 'ldapsearch', 'openssl', 'ssh-keygen', 'root'],
  'departures that are not believed',
  () => {
    let slapd: Slapd;
    let broker: TestBroker;
    let admin: LoggedInClient;
    const held = new Map<string, Held>();

    const follower = () => {
      const found = broker.running.rooms.followers
        .map((one) => one.state())
        .find(({ directory }) => directory === 'staff');
      return found ?? expect.unreachable('staff is not followed');
    };
    const isRevoked = (uid: string): Promise<boolean> => held.get(uid)?.isRevoked() ?? Promise.resolve(false);
    const anyRevoked = async (): Promise<boolean> => (await Promise.all(uids.map(isRevoked))).includes(true);
    /** A whole look that began after now has ended. */
    const lookedAgain = async (): Promise<void> => {
      for (let turn = 0; turn < 2; turn += 1) {
        const { lookedMs } = follower();
        await until(() => follower().lookedMs !== lookedMs && follower().waiting === 0, withinMs);
      }
    };

    beforeAll(async () => {
      slapd = await startSlapd(ldif, { tellsChanges: true });
      const { directories, files } = configured({ slapd });
      const rules = 'departures: { look: 1s, sweep: 10s, most-people: 3, most-percent: 100, window: 1m }\n';
      broker = await startTestBroker({
        policy,
        people: [boss],
        directories: `${directories}\n${rules}`,
        files,
      });
      admin = await broker.loggedIn(boss);
      for (const uid of uids)
        held.set(uid, await getCertificate(await broker.loggedIn({ login: uid, password: `pw-${uid}` })));
      await until(() => follower().state === 'following', withinMs);
      await lookedAgain();
    });
    afterAll(async () => {
      for (const one of held.values()) one.remove();
      await broker?.stop();
      await slapd?.close();
    });

    it('while the directory is away: nobody', async () => {
      await slapd.stop();
      await until(() => follower().state === 'failing', withinMs);
      expect(await anyRevoked()).toBe(false);
      const metrics = (await ask(broker, { path: '/metrics' })).body.toString('utf8');
      expect(metrics).toMatch(/^sallyport_departures_followed\{directory="staff"\} 0$/m);
      await slapd.start();
      await until(() => follower().state === 'following', withinMs);
      expect(await anyRevoked()).toBe(false);
    });

    it('when the unit is emptied: nobody, and whoever is back is not in doubt any more', async () => {
      slapd.modify(uids.map((uid) => moved(uid, ldap.peopleDn, parkedDn)).join('\n'));
      await until(() => follower().doubtful.size === uids.length, withinMs);
      expect(await anyRevoked()).toBe(false);
      const { followers, reviews } = await admin.departures();
      expect(reviews).toEqual([]);
      expect(
        followers
          .find(({ directory }) => directory === 'staff')
          ?.doubtful.map(({ login }) => login)
          .sort(),
      ).toEqual([...uids].sort());
      slapd.modify(uids.map((uid) => moved(uid, parkedDn, ldap.peopleDn)).join('\n'));
      await until(() => follower().doubtful.size === 0, withinMs);
      expect(await anyRevoked()).toBe(false);
    });

    it('too many at once: they wait, everywhere that shows what waits, until an admin approves', async () => {
      const gone = ['p0', 'p1', 'p2', 'p3', 'p4'];
      slapd.modify(removed(...gone));
      await until(async () => (await admin.departures()).reviews.length > 0, withinMs);
      expect(await anyRevoked()).toBe(false);
      const [review] = (await admin.departures()).reviews;
      expect(review).toMatchObject({
        state: 'waiting',
        limit: 'people',
        directory: 'staff',
        atLarge: uids.length,
      });
      expect(review?.people.map(({ login }) => login).sort()).toEqual(gone);
      const metrics = (await ask(broker, { path: '/metrics' })).body.toString('utf8');
      expect(metrics).toMatch(/^sallyport_departures_held\{directory="staff"\} 5$/m);
      const ready = JSON.stringify((await ask(broker, { path: '/readyz' })).json()['dependencies']);
      expect(ready).toContain('5 people wait for an admin');

      // One of them is back before the admin looks: approval believes the directory of that moment.
      slapd.modify(added('p4'));
      const id = review?.id ?? '';
      const wrong = admin.decideDepartures({ review: 'd-00000000', decision: 'approve', reason: 'x' });
      expect(await codeOf(wrong)).toBe('revocation.unknown_review');
      const decided = await admin.decideDepartures({
        review: id,
        decision: 'approve',
        reason: 'the team was closed',
      });
      expect(decided.credentials.map(({ person }) => person.login).sort()).toEqual(['p0', 'p1', 'p2', 'p3']);
      expect(decided.kept).toHaveLength(1);
      for (const uid of uids) expect(await isRevoked(uid)).toBe(['p0', 'p1', 'p2', 'p3'].includes(uid));
      expect(await codeOf(admin.decideDepartures({ review: id, decision: 'reject', reason: 'x' }))).toBe(
        'revocation.already_decided',
      );
      const { items } = await admin.searchLog({ type: 'departure.approve' });
      expect(items[0]?.openings).toMatchObject({ reason: 'the team was closed' });
    });

    it('rejected, what is listed lives on, and a later departure of one person is another matter', async () => {
      slapd.modify(removed('p5', 'p6', 'p7', 'p8'));
      await until(
        async () => (await admin.departures()).reviews.some(({ state }) => state === 'waiting'),
        withinMs,
      );
      const waiting = (await admin.departures()).reviews.find(({ state }) => state === 'waiting');
      await admin.decideDepartures({ review: waiting?.id ?? '', decision: 'reject', reason: 'a mistake' });
      await lookedAgain();
      for (const uid of ['p5', 'p6', 'p7', 'p8']) expect(await isRevoked(uid)).toBe(false);
      slapd.modify(`dn: ${dnOf('p5')}\nchangetype: delete\n`);
      await until(() => isRevoked('p5'), withinMs);
      expect(await isRevoked('p6')).toBe(false);
    });

    it('when the directory is mended, they wait for nobody any more', async () => {
      const back = ['p4', 'p9', 'p10', 'p11'];
      slapd.modify(removed(...back));
      const states = async (): Promise<readonly string[]> =>
        (await admin.departures()).reviews.map(({ state }) => state);
      await until(async () => (await states()).includes('waiting'), withinMs);
      slapd.modify(back.map(added).join('\n'));
      await until(async () => (await states()).includes('withdrawn'), withinMs);
      expect(await states()).not.toContain('waiting');
      for (const uid of back) expect(await isRevoked(uid)).toBe(false);
      expect((await admin.searchLog({ type: 'departure.withdraw' })).items).toHaveLength(1);
    });
  },
);

describeWithPeers(
  ['slapd', 'ldapsearch', 'openssl', 'ssh-keygen', 'root'],
  'a broker that starts with a mistake',
  () => {
    let slapd: Slapd;
    let folder: BrokerFolder;
    let one: Held;
    let goodConfig = '';

    const start = async (config: string): Promise<RunningBroker> => {
      writeFileSync(folder.configFile, config);
      return startBroker({
        config: loadConfig(folder.configFile),
        passphrase: readFileSync(join(folder.folder, 'secrets', 'keys.passphrase'), 'utf8').trim(),
        log: pino({ level: 'silent' }),
        version: 'test',
      });
    };
    const stateOf = (running: RunningBroker) => {
      const found = running.rooms.followers.map((follower) => follower.state());
      return found.find(({ directory }) => directory === 'staff') ?? expect.unreachable('not followed');
    };

    beforeAll(async () => {
      slapd = await startSlapd(ldif, { tellsChanges: true });
      const { directories, files } = configured({ slapd });
      const rules = 'departures: { look: 1s, sweep: 10s }\n';
      folder = await makeBrokerFolder({
        policy,
        people: [boss],
        directories: `${directories}\n${rules}`,
        files,
      });
      writeFileSync(join(folder.folder, 'secrets/blind.password'), 'canary-blind-8Fk3Pz\n', { mode: 0o600 });
      goodConfig = readFileSync(folder.configFile, 'utf8');
      const running = await start(goodConfig);
      const proofKey = generateProofKey();
      const { token } = await clientOf(folder).login({ login: 'p0', password: 'pw-p0' }, proofKey);
      const client = clientOf(folder, undefined, { token, proofKey });
      one = await getCertificate({ ...client, token, proofKey });
      client.close();
      await running.stop();
    });
    afterAll(async () => {
      one?.remove();
      folder?.remove();
      await slapd?.close();
    });

    it.each([
      [
        'a filter that matches nobody',
        'name: staff\n    kind: ldap\n',
        'name: staff\n    kind: ldap\n    user-filter: (employeeType=none)\n',
        'doubtful',
      ],
      ['a base without people', '["ou=people,dc=test', '["ou=parked,dc=test', 'doubtful'],
      ['a service account without rights', `dn: "cn=svc,`, `dn: "cn=blind,`, 'failing'],
      [
        'groups looked for where there are none',
        'groups: ["ou=groups,dc=test',
        'groups: ["ou=parked,dc=test',
        'doubtful',
      ],
    ] as const)('%s: nobody is cut off', async (_, good, bad, expected) => {
      const config = goodConfig
        .replace(good, bad)
        .replace(
          'secrets/staff.password',
          expected === 'failing' ? 'secrets/blind.password' : 'secrets/staff.password',
        );
      expect(config).not.toBe(goodConfig);
      const running = await start(config);
      try {
        if (expected === 'failing') await until(() => stateOf(running).state === 'failing', withinMs);
        else await until(() => stateOf(running).doubtful.size === 1, withinMs);
        expect(await one.isRevoked()).toBe(false);
        expect(running.rooms.krl.current?.version).toBe(1n);
      } finally {
        await running.stop();
      }
    });
  },
);
