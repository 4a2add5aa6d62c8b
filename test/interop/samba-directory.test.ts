import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createActiveDirectory } from '../../src/identity/index.ts';
import type {
  ActiveDirectoryConfig,
  Authentication,
  Directory,
  Group,
  Person,
} from '../../src/identity/index.ts';
import { systemClock } from '../../src/kernel/index.ts';
import type { PersonId } from '../../src/kernel/index.ts';
import { sidOf } from '../support/directories.ts';
import { freePort } from '../support/free-port.ts';
import { lostServer, waysToBeLost } from '../support/lost-server.ts';
import { describeWithPeers } from '../support/peers.ts';
import { startSamba } from '../support/samba.ts';
import type { Samba } from '../support/samba.ts';
import { baseDn, groupsDn, oddAccounts, oddGroupDn, passwordOf, peopleDn, seed } from './samba-people.ts';
import { silentServer, timed } from './silent-server.ts';

function accepted(answer: Authentication): Person {
  if (answer.outcome !== 'accepted') throw new Error(`refused: ${answer.reason}`);
  return answer.person;
}

const dnsOf = (groups: readonly Group[]): readonly (string | undefined)[] => groups.map(({ dn }) => dn);

describeWithPeers(['samba', 'ldapsearch', 'openssl', 'root'], 'an Active Directory on a real Samba', () => {
  let samba: Samba;
  let corp: Directory;
  const opened: Directory[] = [];

  const open = (more: Partial<ActiveDirectoryConfig> = {}): Directory => {
    const directory = createActiveDirectory(
      {
        name: 'ad',
        domain: samba.domain,
        netbiosName: samba.netbiosName,
        servers: [samba.ldapsUrl],
        caPem: samba.caPem,
        service: samba.service,
        ...more,
      },
      { clock: systemClock },
    );
    opened.push(directory);
    return directory;
  };
  const login = (name: string, account = name): Promise<Authentication> =>
    corp.authenticate(name, passwordOf(account));

  beforeAll(async () => {
    samba = await startSamba(seed);
    corp = open();
  });
  afterAll(async () => {
    await Promise.all(opened.map((directory) => directory.close()));
    await samba?.close();
  });

  describe('passwords', () => {
    it('accepts the right one and identifies the person by objectGUID', async () => {
      const alice = accepted(await login('alice'));
      expect(alice).toMatchObject({ directory: 'ad', login: 'alice', displayName: 'alice' });
      expect(alice.id).toMatch(/^ad:[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/);
      expect(alice.attributes.get('mail')).toEqual(['alice@test.example']);
      expect(alice.attributes.get('objectsid')).toEqual([sidOf(samba, `CN=alice,${peopleDn}`)]);
      expect(corp.health()).toMatchObject({ kind: 'active-directory', state: 'up' });
    });

    it.each(['', '\0', `${passwordOf('alice')}\0`, 'x'.repeat(257)])(
      'refuses %j before any server is asked',
      async (password) => {
        const nowhere = open({ servers: [`ldaps://127.0.0.1:${await freePort()}`] });
        expect(await nowhere.authenticate('alice', password)).toMatchObject({
          outcome: 'refused',
          reason: 'wrong_password',
        });
      },
    );

    it.each([
      ['dis', 'disabled'],
      ['mustchange', 'must_change_password'],
      ['expacct', 'account_expired'],
      ['exppw', 'password_expired'],
      ['hours', 'outside_logon_hours'],
    ])('tells %s that it is %s only for the right password', async (account, reason) => {
      expect(await login(account)).toMatchObject({ outcome: 'refused', reason, passwordProved: true });
      expect(await corp.authenticate(account, 'wrong')).toMatchObject({
        reason: 'wrong_password',
        passwordProved: false,
      });
    });

    it('never proves the password of a locked account', async () => {
      expect(await login('locked')).toMatchObject({ reason: 'locked', passwordProved: false });
      expect(await corp.authenticate('locked', 'wrong')).toMatchObject({
        reason: 'locked',
        passwordProved: false,
      });
    });

    it('lets in accounts whose limits are not reached', async () => {
      for (const account of ['futacct', 'anyhour', 'neverexp'])
        expect(accepted(await login(account)).login).toBe(account);
    });

    it('refuses wrong passwords and names that nobody has', async () => {
      expect(await corp.authenticate('zeta', 'wrong')).toMatchObject({
        reason: 'wrong_password',
        passwordProved: false,
      });
      expect(await corp.authenticate('nobody', 'wrong')).toEqual({
        outcome: 'refused',
        reason: 'unknown_person',
        passwordProved: false,
      });
      expect(await corp.authenticate('machine$', 'machine$')).toMatchObject({ reason: 'unknown_person' });
    });
  });

  describe('names', () => {
    it.each([
      'alice',
      'ALICE',
      'alice@ad.test.example',
      'Alice@AD.TEST.EXAMPLE',
      'ADTEST\\alice',
      'adtest\\Alice',
      'ad.test.example\\alice',
    ])('takes %s for alice', async (name) => {
      const { id } = accepted(await login('alice'));
      expect(corp.recognises(name)).toBe(true);
      expect(accepted(await login(name, 'alice'))).toMatchObject({ id, login: 'alice' });
    });

    it('knows the principal name and the implicit one', async () => {
      expect(accepted(await login('bobby@ad.test.example', 'robert')).login).toBe('robert');
      expect(accepted(await login('robert@ad.test.example', 'robert')).login).toBe('robert');
    });

    it('answers for further suffixes only when they are configured', async () => {
      expect(corp.recognises('ext@partner.example')).toBe(false);
      const wider = open({ upnSuffixes: ['Partner.example'] });
      expect(accepted(await wider.authenticate('ext@partner.example', passwordOf('external'))).login).toBe(
        'external',
      );
    });

    it.each([
      'alice ',
      ' alice',
      'ADTEST\\ alice',
      'alice @ad.test.example',
      'ａｌｉｃｅ',
      'alice\0',
      'OTHER\\alice',
      'alice@other.example',
      'ADTEST\\x\\alice',
    ])('refuses %j', async (name) => {
      expect(corp.recognises(name)).toBe(false);
      expect(await login(name, 'alice')).toMatchObject({ outcome: 'refused', reason: 'unknown_person' });
      expect(await corp.find(name)).toBeUndefined();
    });

    it.each(oddAccounts)('lets in %s, whose name is syntax elsewhere, as themselves', async (account) => {
      expect(accepted(await login(account)).login).toBe(account);
    });
  });

  describe('groups', () => {
    it('finds groups nested four deep with SID and DN, the primary group too', async () => {
      const { groups } = accepted(await login('alice'));
      const dns = dnsOf(groups);
      for (const name of ['one', 'two', 'three', 'four']) expect(dns).toContain(`CN=${name},${groupsDn}`);
      expect(dns).toContain(`CN=Domain Users,CN=Users,${baseDn}`);
      for (const { sid } of groups) expect(sid).toMatch(/^S-1-5-\d+(?:-\d+)*$/);
      expect(groups.find(({ dn }) => dn?.startsWith('CN=Domain Users'))?.sid).toMatch(
        /^S-1-5-21-\d+-\d+-\d+-513$/,
      );
    });

    it('tells two groups of the same CN apart', async () => {
      const [alice, bob] = [accepted(await login('alice')), accepted(await login('bob'))];
      const east = alice.groups.find(({ dn }) => dn === `CN=admins,OU=East,${groupsDn}`);
      const west = bob.groups.find(({ dn }) => dn === `CN=admins,OU=West,${groupsDn}`);
      expect(east?.sid).toBeDefined();
      expect(west?.sid).toBeDefined();
      expect(east?.sid).not.toBe(west?.sid);
      expect(dnsOf(bob.groups)).not.toContain(east?.dn);
    });

    it('follows people and groups whose DNs are syntax', async () => {
      const dns = dnsOf(accepted(await login('oddcn')).groups);
      expect(dns).toContain(`CN=above odd,${groupsDn}`);
      expect(dns).toHaveLength(4); // The two, Domain Users, and Users, which Domain Users is in.
      expect(
        dns.some((dn) => dn?.replaceAll('\\', '').startsWith(oddGroupDn.replaceAll('\\', '').slice(0, 20))),
      ).toBe(true);
    });
  });

  describe('recheck', () => {
    it('sees at once that somebody left a group', async () => {
      const { id, groups } = accepted(await login('leaver'));
      expect(dnsOf(groups)).toContain(`CN=four,${groupsDn}`);
      samba.modify(
        `dn: CN=one,${groupsDn}\nchangetype: modify\ndelete: member\nmember: CN=leaver,${peopleDn}\n`,
      );
      expect(dnsOf(accepted(await corp.recheck(id)).groups)).not.toContain(`CN=four,${groupsDn}`);
    });

    it.each([
      ['dis', 'disabled'],
      ['mustchange', 'must_change_password'],
      ['expacct', 'account_expired'],
      ['exppw', 'password_expired'],
      ['hours', 'outside_logon_hours'],
      ['locked', 'locked'],
    ])('refuses %s as %s without a password', async (account, reason) => {
      const found = await corp.find(account);
      expect(found).toMatchObject({ login: account, reason });
      expect(found).not.toHaveProperty('person');
      expect(await corp.recheck(found!.id)).toMatchObject({
        outcome: 'refused',
        reason,
        passwordProved: false,
      });
    });

    it.each(['futacct', 'anyhour', 'neverexp', 'robert'])(
      'accepts %s without a password',
      async (account) => {
        const found = await corp.find(account);
        expect(accepted(await corp.recheck(found!.id)).login).toBe(account);
      },
    );

    it('keeps the id through a rename, and refuses once disabled, out of scope or deleted', async () => {
      const filtered = open({ userFilter: '(!(department=robots))' });
      const { id } = accepted(await login('moved'));
      samba.modify(
        `dn: CN=moved,${peopleDn}\nchangetype: modify\nreplace: sAMAccountName\nsAMAccountName: renamed\n\n` +
          `dn: CN=moved,${peopleDn}\nchangetype: modrdn\nnewrdn: CN=renamed\ndeleteoldrdn: 1\nnewsuperior: ${groupsDn}\n`,
      );
      expect(accepted(await filtered.recheck(id))).toMatchObject({ id, login: 'renamed' });
      const change = (lines: string): void =>
        samba.modify(`dn: CN=renamed,${groupsDn}\nchangetype: modify\n${lines}\n`);
      change('replace: userAccountControl\nuserAccountControl: 514');
      expect(await filtered.recheck(id)).toMatchObject({ reason: 'disabled', personId: id });
      change('replace: department\ndepartment: robots');
      expect(await filtered.recheck(id)).toMatchObject({ reason: 'not_in_scope', personId: id });
      samba.modify(`dn: CN=renamed,${groupsDn}\nchangetype: delete\n`);
      expect(await filtered.recheck(id)).toMatchObject({ reason: 'unknown_person', personId: id });
    });

    it.each(['ad:', 'ad:*', 'ad:x', 'ad:00000000-0000-0000-0000-000000000000'])(
      'finds nobody behind %s',
      async (id) => {
        expect(await corp.recheck(id as PersonId)).toMatchObject({ reason: 'unknown_person' });
      },
    );
  });

  describe('connections', () => {
    it('speaks StartTLS', async () => {
      const directory = open({ servers: [samba.ldapUrl], tls: 'starttls' });
      expect(accepted(await directory.authenticate('alice', passwordOf('alice'))).login).toBe('alice');
    });

    it('refuses a server that it cannot verify', async () => {
      const directory = open({ servers: [samba.ldapsUrl], caPem: samba.strangerCaPem });
      await expect(directory.authenticate('alice', passwordOf('alice'))).rejects.toMatchObject({
        code: 'identity.directory_unavailable',
      });
    });

    it.each(waysToBeLost)(
      'passes a %s first server by: under 3 s, then under 300 ms',
      async (way, described) => {
        const lost = await lostServer(way);
        const directory = open({ servers: [`ldaps://127.0.0.1:${lost.port}`, samba.ldapsUrl] });
        const first = await timed(() => directory.authenticate('alice', passwordOf('alice')));
        const next = await timed(() => directory.authenticate('alice', passwordOf('alice')));
        const { state, detail } = directory.health();
        await lost.close();
        expect(accepted(first.result).login).toBe('alice');
        expect(accepted(next.result).login).toBe('alice');
        expect(state).toBe('up');
        expect(detail).toMatch(described);
        expect(first.ms).toBeLessThan(3_000);
        expect(next.ms).toBeLessThan(300);
      },
    );

    it('passes a first server by that accepts connections and says nothing: under 3 s, then under 300 ms', async () => {
      const silent = await silentServer();
      const directory = open({ servers: [`ldaps://127.0.0.1:${silent.port}`, samba.ldapsUrl] });
      const first = await timed(() => directory.authenticate('alice', passwordOf('alice')));
      const next = await timed(() => directory.authenticate('alice', passwordOf('alice')));
      silent.close();
      expect(accepted(first.result).login).toBe('alice');
      expect(accepted(next.result).login).toBe('alice');
      expect(first.ms).toBeLessThan(3_000);
      expect(next.ms).toBeLessThan(300);
      expect(silent.connections()).toBeGreaterThan(0);
    });

    it('finds its controllers by DNS', async () => {
      const directory = createActiveDirectory(
        {
          name: 'ad',
          domain: samba.domain,
          dnsServers: [samba.address],
          caPem: samba.caPem,
          service: samba.service,
        },
        { clock: systemClock },
      );
      opened.push(directory);
      expect(accepted(await directory.authenticate('alice', passwordOf('alice'))).login).toBe('alice');
      expect(directory.health()).toEqual({
        directory: 'ad',
        kind: 'active-directory',
        state: 'up',
        detail: 'ldaps://dc1.ad.test.example:636 is up',
      });
    });

    it('is unavailable, not empty, when DNS announces nobody or strangers', async () => {
      for (const records of [[], [{ name: 'dc1.evil.example', port: 389, priority: 0, weight: 100 }]]) {
        const directory = createActiveDirectory(
          { name: 'ad', domain: samba.domain, caPem: samba.caPem, service: samba.service },
          { clock: systemClock, resolver: { resolveSrv: () => Promise.resolve(records) } },
        );
        opened.push(directory);
        await expect(directory.authenticate('alice', passwordOf('alice'))).rejects.toMatchObject({
          code: 'identity.directory_unavailable',
        });
        expect(directory.health().state).toBe('down');
      }
    });
  });
});
