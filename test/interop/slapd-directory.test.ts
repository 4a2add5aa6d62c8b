import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLdapDirectory } from '../../src/identity/index.ts';
import type { Authentication, Directory, LdapDirectoryConfig, Person } from '../../src/identity/index.ts';
import { systemClock } from '../../src/kernel/index.ts';
import type { PersonId } from '../../src/kernel/index.ts';
import { freePort } from '../support/free-port.ts';
import { lostServer, waysToBeLost } from '../support/lost-server.ts';
import { describeWithPeers } from '../support/peers.ts';
import { startSlapd } from '../support/slapd.ts';
import type { Slapd } from '../support/slapd.ts';
import { silentServer, timed } from './silent-server.ts';
import { dnValue, group, groupsDn, line, oddNames, peopleDn, person, suffix, unit } from './slapd-people.ts';

const dnOf = (uid: string): string => `uid=${dnValue(uid)},${peopleDn}`;
const nest = (name: string): string => `cn=${name},ou=nest,${groupsDn}`;
const odd = `cn=odd \\(a\\)*b\\,c\\\\d,ou=east,${groupsDn}`.replaceAll('\\(', '(').replaceAll('\\)', ')');

const ldif = [
  ...[peopleDn, `ou=contractors,${peopleDn}`, groupsDn, `ou=east,${groupsDn}`, `ou=west,${groupsDn}`].map(
    unit,
  ),
  ...[`ou=nest,${groupsDn}`, `ou=loop,${groupsDn}`, `ou=deep,${groupsDn}`].map(unit),
  ...['alice', 'bob', 'tess', 'mallory', 'moved', 'gone', 'frozen'].map((uid) => person(uid)),
  ...oddNames.map((name) => person(name)),
  person('carol', { lines: ['pwdAccountLockedTime: 000001010000Z'] }),
  person('brute'),
  person('dave', { lines: ['pwdReset: TRUE'] }),
  person('erin', { lines: ['pwdChangedTime: 20200101000000Z'] }),
  person('unlocked', { lines: ['pwdAccountLockedTime: 20200101000000Z'] }),
  person('frank', { lines: ['objectClass: shadowAccount', 'shadowExpire: 10'] }),
  person('nopass', { lines: [] }).replace(/userPassword.*\n/, ''),
  person('twin', { password: 'pw-twin' }),
  person('twin', { password: 'pw-twin', ou: `ou=contractors,${peopleDn}` }),
  person('outside', { lines: ['employeeType: robot'] }),
  person('posix', {
    lines: ['objectClass: posixAccount', 'uidNumber: 1001', 'gidNumber: 5001', 'homeDirectory: /home/posix'],
  }),
  group(nest('one'), [dnOf('alice')]),
  group(nest('two'), [nest('one')]),
  group(nest('three'), [nest('two')]),
  group(nest('four'), [nest('three')]),
  group(`cn=admins,ou=east,${groupsDn}`, [dnOf('alice')]),
  group(`cn=admins,ou=west,${groupsDn}`, [dnOf('bob')]),
  group(`cn=unique,${groupsDn}`, [dnOf('bob')], 'uniqueMember'),
  group(`cn=a,ou=loop,${groupsDn}`, [dnOf('tess'), `cn=b,ou=loop,${groupsDn}`]),
  group(`cn=b,ou=loop,${groupsDn}`, [`cn=a,ou=loop,${groupsDn}`]),
  group(odd, [dnOf('(alice)')]),
  group(`cn=above odd,${groupsDn}`, [odd]),
  ...Array.from({ length: 12 }, (_, index) =>
    group(`cn=d${index},ou=deep,${groupsDn}`, [
      index === 0 ? dnOf('mallory') : `cn=d${index - 1},ou=deep,${groupsDn}`,
    ]),
  ),
  `dn: cn=posixgroup,${groupsDn}\nobjectClass: posixGroup\ncn: posixgroup\ngidNumber: 5002\nmemberUid: posix\n`,
  `dn: cn=primary,${groupsDn}\nobjectClass: posixGroup\ncn: primary\ngidNumber: 5001\n`,
].join('\n');

function accepted(answer: Authentication): Person {
  if (answer.outcome !== 'accepted') throw new Error(`refused: ${answer.reason}`);
  return answer.person;
}

const dnsOf = (answer: Authentication): readonly (string | undefined)[] =>
  accepted(answer).groups.map(({ dn }) => dn);

describeWithPeers(['slapd', 'ldapsearch', 'openssl'], 'an LDAP directory on a real slapd', () => {
  let slapd: Slapd;
  const opened: Directory[] = [];
  let corp: Directory;

  const open = (more: Partial<LdapDirectoryConfig> = {}): Directory => {
    const directory = createLdapDirectory(
      {
        name: 'corp',
        servers: [slapd.ldapsUrl],
        caPem: slapd.caPem,
        service: slapd.service,
        peopleBaseDns: [peopleDn],
        groupBaseDns: [groupsDn],
        ...more,
      },
      { clock: systemClock },
    );
    opened.push(directory);
    return directory;
  };

  beforeAll(async () => {
    slapd = await startSlapd(ldif);
    corp = open();
  });
  afterAll(async () => {
    await Promise.all(opened.map((directory) => directory.close()));
    await slapd?.close();
  });

  describe('passwords', () => {
    it('accepts the right one and identifies the person by entryUUID', async () => {
      const alice = accepted(await corp.authenticate('alice', 'pw-alice'));
      expect(alice).toMatchObject({ directory: 'corp', login: 'alice', displayName: 'alice' });
      expect(alice.id).toMatch(/^corp:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/);
      expect(alice.attributes.get('uid')).toEqual(['alice']);
      expect([...alice.attributes.keys()]).not.toContain('userpassword');
      expect(corp.health()).toMatchObject({ directory: 'corp', kind: 'ldap', state: 'up' });
    });

    it.each(['', '\0', 'pw-alice\0', '\0pw-alice', 'x'.repeat(257), 'é'.repeat(129), '\ud800'])(
      'refuses %j before any server is asked',
      async (password) => {
        const nowhere = open({ servers: [`ldaps://127.0.0.1:${await freePort()}`] });
        expect(await nowhere.authenticate('alice', password)).toEqual({
          outcome: 'refused',
          reason: 'wrong_password',
          passwordProved: false,
        });
      },
    );

    it.each([
      ['alice', 'wrong', 'wrong_password', false],
      ['nobody', 'pw-alice', 'unknown_person', false],
      ['nopass', 'pw-nopass', 'wrong_password', false],
      ['carol', 'pw-carol', 'locked', false],
      ['dave', 'pw-dave', 'must_change_password', true],
      ['dave', 'wrong', 'wrong_password', false],
      ['erin', 'pw-erin', 'password_expired', true],
      ['erin', 'wrong', 'wrong_password', false],
      ['frank', 'pw-frank', 'account_expired', true],
      ['frank', 'wrong', 'wrong_password', false],
      ['twin', 'pw-twin', 'ambiguous_name', false],
    ])(
      'refuses %s with “%s” as %s (password proved: %s)',
      async (login, password, reason, passwordProved) => {
        expect(await corp.authenticate(login, password)).toMatchObject({
          outcome: 'refused',
          reason,
          passwordProved,
        });
      },
    );

    it('names the person in a refusal only when there is one', async () => {
      const [known, unknown] = [
        await corp.authenticate('bob', 'no'),
        await corp.authenticate('nobody', 'no'),
      ];
      expect(known).toMatchObject({ personId: (await corp.find('bob'))?.id });
      expect(unknown).not.toHaveProperty('personId');
    });

    it('sees the lock that three wrong passwords cause', async () => {
      for (let attempt = 0; attempt < 3; attempt += 1) await corp.authenticate('brute', 'wrong');
      expect(await corp.authenticate('brute', 'pw-brute')).toMatchObject({
        reason: 'locked',
        passwordProved: false,
      });
    });

    it('keeps forty logins at once apart', async () => {
      const logins = Array.from({ length: 40 }, (_, index) => {
        const uid = index % 2 === 0 ? 'alice' : 'posix';
        return corp
          .authenticate(uid, index % 20 === 19 ? 'pw-alice' : `pw-${uid}`)
          .then((answer) => [uid, index, answer] as const);
      });
      for (const [uid, index, answer] of await Promise.all(logins)) {
        if (index % 20 === 19) expect(answer).toMatchObject({ outcome: 'refused', reason: 'wrong_password' });
        else expect(accepted(answer).login).toBe(uid);
      }
    });
  });

  describe('names', () => {
    it('maps spellings that differ in case to the login that the entry holds', async () => {
      const { id } = accepted(await corp.authenticate('alice', 'pw-alice'));
      expect(accepted(await corp.authenticate('ALICE', 'pw-alice'))).toMatchObject({ id, login: 'alice' });
    });

    it.each([
      'alice ',
      ' alice',
      'ａｌｉｃｅ',
      'alice\u200b',
      'ali\u00adce',
      'alice\0',
      'Zoe\u0308',
      'alice\u00a0',
    ])('refuses %j, which only looks like a name', async (login) => {
      expect(corp.recognises(login)).toBe(false);
      expect(await corp.authenticate(login, 'pw-alice')).toMatchObject({ reason: 'unknown_person' });
      expect(await corp.find(login)).toBeUndefined();
    });

    it('leaves names with a domain to other directories, unless its login attribute is one', async () => {
      expect(corp.recognises('alice@test.example')).toBe(false);
      expect(corp.recognises('TEST\\alice')).toBe(false);
      const byMail = open({ name: 'mail', loginAttribute: 'mail' });
      expect(byMail.recognises('alice@test.example')).toBe(true);
      expect(byMail.recognises('alice')).toBe(false);
    });

    it.each(oddNames)('lets in %s, whose name is syntax elsewhere, as themselves', async (name) => {
      expect(accepted(await corp.authenticate(name, `pw-${name}`)).login).toBe(name);
    });

    it('does not let a template bind reach beyond the user filter', async () => {
      const directory = open({
        dnTemplate: `uid={login},${peopleDn}`,
        userFilter: '(!(employeeType=robot))',
      });
      expect(await directory.authenticate('outside', 'pw-outside')).toMatchObject({
        reason: 'unknown_person',
      });
      expect(accepted(await directory.authenticate('alice', 'pw-alice')).login).toBe('alice');
    });
  });

  describe('groups', () => {
    it('finds groups nested four deep, and tells two of the same CN apart', async () => {
      expect(new Set(dnsOf(await corp.authenticate('alice', 'pw-alice')))).toEqual(
        new Set([nest('one'), nest('two'), nest('three'), nest('four'), `cn=admins,ou=east,${groupsDn}`]),
      );
      expect(new Set(dnsOf(await corp.authenticate('bob', 'pw-bob')))).toEqual(
        new Set([`cn=admins,ou=west,${groupsDn}`, `cn=unique,${groupsDn}`]),
      );
    });

    it('counts only direct groups when nesting is off, and only the styles that are asked for', async () => {
      const flat = open({ nestedGroups: false, groupStyles: ['member'] });
      expect(new Set(dnsOf(await flat.authenticate('alice', 'pw-alice')))).toEqual(
        new Set([nest('one'), `cn=admins,ou=east,${groupsDn}`]),
      );
      expect(dnsOf(await flat.authenticate('bob', 'pw-bob'))).toEqual([`cn=admins,ou=west,${groupsDn}`]);
    });

    it('follows groups whose names are filter and DN syntax', async () => {
      const dns = dnsOf(await corp.authenticate('(alice)', 'pw-(alice)'));
      expect(dns).toHaveLength(2);
      expect(dns).toContain(`cn=above odd,${groupsDn}`);
    });

    it('reads POSIX members and the primary group', async () => {
      expect(new Set(dnsOf(await corp.authenticate('posix', 'pw-posix')))).toEqual(
        new Set([`cn=posixgroup,${groupsDn}`, `cn=primary,${groupsDn}`]),
      );
    });

    it('walks a loop once', async () => {
      expect(new Set(dnsOf(await corp.authenticate('tess', 'pw-tess')))).toEqual(
        new Set([`cn=a,ou=loop,${groupsDn}`, `cn=b,ou=loop,${groupsDn}`]),
      );
    });

    it('refuses to shorten the list when there are too many levels or groups', async () => {
      await expect(open({ maxGroupDepth: 10 }).authenticate('mallory', 'pw-mallory')).rejects.toMatchObject({
        code: 'identity.group_limit',
      });
      await expect(open({ maxGroups: 3 }).authenticate('alice', 'pw-alice')).rejects.toMatchObject({
        code: 'identity.group_limit',
      });
      expect(dnsOf(await open({ maxGroupDepth: 12 }).authenticate('mallory', 'pw-mallory'))).toHaveLength(12);
    });
  });

  it.each(['description', 'cn'])(
    'will not take %s for an id when it is missing, or not fit to be one',
    async (idAttribute) => {
      await expect(open({ idAttribute }).authenticate('a b', 'pw-a b')).rejects.toMatchObject({
        code: 'identity.bad_directory_entry',
      });
    },
  );

  describe('recheck', () => {
    it('sees at once that somebody left a group', async () => {
      const { id } = accepted(await corp.authenticate('bob', 'pw-bob'));
      slapd.modify(
        `dn: cn=unique,${groupsDn}\nchangetype: modify\nadd: uniqueMember\nuniqueMember: ${dnOf('alice')}\n-\ndelete: uniqueMember\nuniqueMember: ${dnOf('bob')}\n`,
      );
      expect(dnsOf(await corp.recheck(id))).toEqual([`cn=admins,ou=west,${groupsDn}`]);
    });

    it.each([
      ['carol', 'disabled'],
      ['dave', 'must_change_password'],
      ['frank', 'account_expired'],
    ])('refuses %s as %s without a password', async (login, reason) => {
      const found = await corp.find(login);
      expect(found).toMatchObject({ login, reason });
      expect(found?.person).toBeUndefined();
      expect(await corp.recheck(found!.id)).toMatchObject({
        outcome: 'refused',
        reason,
        passwordProved: false,
      });
    });

    it('knows ends of lockouts and ages of passwords when it knows the policy', async () => {
      const knowing = open({ passwordPolicyDn: `cn=default,ou=policies,${suffix}` });
      expect(await knowing.find('erin')).toMatchObject({ reason: 'password_expired' });
      expect(await knowing.find('unlocked')).not.toHaveProperty('reason');
      expect(await corp.find('erin')).not.toHaveProperty('reason');
      expect(await corp.find('unlocked')).toMatchObject({ reason: 'locked' });
    });

    it('keeps the id through a rename, and knows who left the filter or the directory', async () => {
      const filtered = open({ userFilter: '(&(objectClass=person)(!(employeeType=robot)))' });
      const { id } = accepted(await filtered.authenticate('moved', 'pw-moved'));
      slapd.modify(`dn: ${dnOf('moved')}\nchangetype: modrdn\nnewrdn: uid=renamed\ndeleteoldrdn: 1\n`);
      expect(accepted(await filtered.recheck(id))).toMatchObject({ id, login: 'renamed' });
      slapd.modify(`dn: ${dnOf('renamed')}\nchangetype: modify\nadd: employeeType\nemployeeType: robot\n`);
      expect(await filtered.recheck(id)).toMatchObject({ reason: 'not_in_scope', personId: id });
      slapd.modify(`dn: ${dnOf('renamed')}\nchangetype: delete\n`);
      expect(await filtered.recheck(id)).toMatchObject({ reason: 'unknown_person', personId: id });
    });

    it('takes a service account that sees nothing for an outage, not for everybody leaving', async () => {
      const { id } = accepted(await corp.authenticate('alice', 'pw-alice'));
      const blind = open({ service: { dn: `cn=blind,${suffix}`, password: 'canary-blind-8Fk3Pz' } });
      await expect(blind.recheck(id)).rejects.toMatchObject({ code: 'identity.directory_unavailable' });
      await expect(blind.authenticate('alice', 'pw-alice')).rejects.toMatchObject({
        code: 'identity.directory_unavailable',
      });
    });

    it.each(['corp:', 'corp:*', 'corp:00000000-0000-0000-0000-000000000000', 'corp:)(uid=alice'])(
      'finds nobody behind %s',
      async (id) => {
        expect(await corp.recheck(id as PersonId)).toMatchObject({ reason: 'unknown_person' });
      },
    );

    it('does not answer for other directories', async () => {
      await expect(corp.recheck('other:1' as PersonId)).rejects.toMatchObject({
        code: 'identity.wrong_directory',
      });
    });
  });

  describe('connections', () => {
    it('speaks StartTLS', async () => {
      const directory = open({ servers: [slapd.ldapUrl], tls: 'starttls' });
      expect(accepted(await directory.authenticate('alice', 'pw-alice')).login).toBe('alice');
      expect(dnsOf(await directory.authenticate('alice', 'pw-alice'))).toContain(nest('four'));
    });

    it.each([['ldaps'], ['starttls']])(
      'refuses a server that another authority signed, over %s',
      async (kind) => {
        const directory = open({
          servers: [kind === 'ldaps' ? slapd.ldapsUrl : slapd.ldapUrl],
          ...(kind === 'ldaps' ? {} : { tls: 'starttls' as const }),
          caPem: slapd.strangerCaPem,
        });
        await expect(directory.authenticate('alice', 'pw-alice')).rejects.toMatchObject({
          code: 'identity.directory_unavailable',
        });
        expect(directory.health().state).toBe('down');
        expect(directory.health().detail).toMatch(/certificate|issuer|self.signed/i);
      },
    );

    it('refuses a server whose certificate is for another name', async () => {
      const directory = open({ servers: [slapd.ldapsUrl.replace('127.0.0.1', 'localhost')] });
      await expect(directory.authenticate('alice', 'pw-alice')).rejects.toMatchObject({
        code: 'identity.directory_unavailable',
      });
      expect(directory.health().detail).toMatch(/ERR_TLS_CERT_ALTNAME_INVALID/);
    });

    it('speaks clear text only when told so in so many words', async () => {
      expect(() => open({ servers: [slapd.ldapUrl] })).toThrow(
        expect.objectContaining({ code: 'identity.bad_directory_config' }),
      );
      const directory = open({ servers: [slapd.ldapUrl], tls: 'none-i-accept-clear-text-passwords' });
      expect(accepted(await directory.authenticate('alice', 'pw-alice')).login).toBe('alice');
    });

    it('takes a refused service account for an outage', async () => {
      const directory = open({ service: { dn: slapd.service.dn, password: 'wrong' } });
      await expect(directory.authenticate('alice', 'pw-alice')).rejects.toMatchObject({
        code: 'identity.directory_unavailable',
      });
      expect(directory.health().detail).toMatch(/service account/);
    });

    it.each([
      ['never begins TLS', 'ldaps'],
      ['never answers StartTLS', 'starttls'],
      ['never answers in clear text', 'none'],
    ])(
      'passes a first server that accepts connections and %s: under 3 s, then under 300 ms',
      async (_, kind) => {
        const hole = await silentServer();
        const directory = open({
          servers:
            kind === 'ldaps'
              ? [`ldaps://127.0.0.1:${hole.port}`, slapd.ldapsUrl]
              : [`ldap://127.0.0.1:${hole.port}`, slapd.ldapUrl],
          ...(kind === 'ldaps'
            ? {}
            : {
                tls:
                  kind === 'starttls'
                    ? ('starttls' as const)
                    : ('none-i-accept-clear-text-passwords' as const),
              }),
        });
        const first = await timed(() => directory.authenticate('alice', 'pw-alice'));
        const next = await timed(() => directory.authenticate('alice', 'pw-alice'));
        hole.close();
        expect(accepted(first.result).login).toBe('alice');
        expect(accepted(next.result).login).toBe('alice');
        expect(first.ms).toBeLessThan(3_000);
        expect(next.ms).toBeLessThan(300);
        expect(hole.connections()).toBeGreaterThan(0);
      },
    );

    it.each(waysToBeLost)(
      'passes a %s first server by: under 3 s, then under 300 ms',
      async (way, described) => {
        const lost = await lostServer(way);
        const directory = open({ servers: [`ldaps://127.0.0.1:${lost.port}`, slapd.ldapsUrl] });
        const first = await timed(() => directory.authenticate('alice', 'pw-alice'));
        const next = await timed(() => directory.authenticate('alice', 'pw-alice'));
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

    it('passes a first server by that stops answering on open connections', async () => {
      const twin = await startSlapd(ldif);
      try {
        const directory = open({ servers: [twin.ldapsUrl, slapd.ldapsUrl], caPem: twin.caPem + slapd.caPem });
        accepted(await directory.authenticate('frozen', 'pw-frozen'));
        // Both are known to answer: a server that is down is only the last resort.
        await expect.poll(() => directory.health().detail, { timeout: 20_000 }).not.toMatch(/down|unknown/);
        twin.freeze();
        const first = await timed(() => directory.authenticate('frozen', 'pw-frozen'));
        const next = await timed(() => directory.authenticate('frozen', 'pw-frozen'));
        expect(accepted(first.result).login).toBe('frozen');
        expect(first.ms).toBeLessThan(3_000);
        expect(next.ms).toBeLessThan(300);
        twin.thaw();
        await expect.poll(() => directory.health().detail, { timeout: 20_000 }).not.toMatch(/down/);
      } finally {
        await twin.close();
      }
    });

    it('survives a restart of its only server, and says so while it is away', async () => {
      const directory = open();
      accepted(await directory.authenticate('alice', 'pw-alice'));
      await slapd.stop();
      await expect(directory.authenticate('alice', 'pw-alice')).rejects.toMatchObject({
        code: 'identity.directory_unavailable',
      });
      expect(directory.health().state).toBe('down');
      await slapd.start();
      expect(accepted(await directory.authenticate('alice', 'pw-alice')).login).toBe('alice');
      expect(directory.health().state).toBe('up');
    });

    it('turns logins away when too many wait', async () => {
      const directory = open({ maxConnections: 1, maxWaiting: 1 });
      const answers = await Promise.allSettled(
        Array.from({ length: 12 }, () => directory.authenticate('alice', 'pw-alice')),
      );
      const turnedAway = answers.filter((answer) => answer.status === 'rejected');
      expect(turnedAway.length).toBeGreaterThan(0);
      expect(turnedAway.length).toBeLessThan(12);
      for (const { reason } of turnedAway) expect(reason).toMatchObject({ code: 'identity.busy' });
    });

    it('lets one network fill a quarter of the places, and those who are trusted or logged in already through', async () => {
      const directory = open({ maxConnections: 4, maxWaiting: 40 });
      const { id } = accepted(await directory.authenticate('alice', 'pw-alice'));
      const network = '192.0.2.0/24';
      const crowd = Array.from({ length: 60 }, () =>
        directory.authenticate('bob', 'a wrong word', { trusted: false, network }),
      );
      const others = [
        directory.authenticate('alice', 'pw-alice', { trusted: true, network }),
        directory.authenticate('alice', 'pw-alice', { trusted: false, network: '198.51.100.0/24' }),
        directory.recheck(id),
      ];
      const turnedAway = (await Promise.allSettled(crowd)).filter(({ status }) => status === 'rejected');
      // Three are at work, ten wait.
      expect(turnedAway).toHaveLength(47);
      for (const answer of turnedAway) expect(answer).toMatchObject({ reason: { code: 'identity.busy' } });
      for (const answer of await Promise.all(others)) accepted(answer);
    });

    it('never follows a referral', async () => {
      const trap = await silentServer();
      slapd.modify(
        `dn: ou=elsewhere,${peopleDn}\nchangetype: add\nobjectClass: referral\nobjectClass: extensibleObject\nou: elsewhere\n${line('ref', `ldap://127.0.0.1:${trap.port}/ou=elsewhere,${peopleDn}`)}\n`,
      );
      expect(accepted(await corp.authenticate('alice', 'pw-alice')).login).toBe('alice');
      expect(await corp.authenticate('elsewhere', 'x')).toMatchObject({ reason: 'unknown_person' });
      const template = open({ dnTemplate: `uid={login},ou=elsewhere,${peopleDn}` });
      await expect(template.authenticate('alice', 'pw-alice')).rejects.toMatchObject({
        code: 'identity.directory_unavailable',
      });
      expect(trap.connections()).toBe(0);
      trap.close();
    });

    it('answers nobody once it is closed', async () => {
      const directory = open();
      accepted(await directory.authenticate('alice', 'pw-alice'));
      await directory.close();
      await expect(directory.authenticate('alice', 'pw-alice')).rejects.toMatchObject({
        code: 'identity.directory_unavailable',
      });
    });
  });
});
