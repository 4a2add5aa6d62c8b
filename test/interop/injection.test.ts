import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { createActiveDirectory, createLdapDirectory } from '../../src/identity/index.ts';
import type { Authentication, Directory, LdapDirectoryConfig, Person } from '../../src/identity/index.ts';
import { LdapConnection } from '../../src/identity/ldap/connection.ts';
import { systemClock } from '../../src/kernel/index.ts';
import { hostileNames } from '../support/hostile-names.ts';
import { describeWithPeers } from '../support/peers.ts';
import { startSamba } from '../support/samba.ts';
import type { Samba } from '../support/samba.ts';
import { startSlapd } from '../support/slapd.ts';
import type { Slapd } from '../support/slapd.ts';
import * as ad from './samba-people.ts';
import { firstValue, isAscii, secondOrderLdif, secondOrderValues } from './second-order.ts';
import { dnValue, group, groupsDn, oddNames, peopleDn, person, suffix, unit } from './slapd-people.ts';

function accepted(answer: Authentication): Person {
  if (answer.outcome !== 'accepted') throw new Error(`refused: ${answer.reason}`);
  return answer.person;
}

/** Tries the password with every name, sixteen at once. @returns whoever got in by a name that is not their own. */
async function strangersAmong(
  directory: Directory,
  names: readonly string[],
  { password, own }: { readonly password: string; readonly own: readonly string[] },
): Promise<readonly string[]> {
  const strangers: string[] = [];
  for (let start = 0; start < names.length; start += 16) {
    const tried = names.slice(start, start + 16);
    const answers = await Promise.all(tried.map((name) => directory.authenticate(name, password)));
    for (const [nth, name] of tried.entries()) {
      const answer = answers[nth];
      // OpenLDAP counts the dotted capital I as an i in another case: a spelling, like any that differs in case.
      if (answer?.outcome === 'accepted' && !own.includes(name.replaceAll('\u0130', 'i').toLowerCase()))
        strangers.push(`${JSON.stringify(name)} as ${answer.person.login}`);
    }
  }
  return strangers;
}

/** @returns how many different questions have gone to a server since. */
function countedQuestions(): () => number {
  const search = vi.spyOn(LdapConnection.prototype, 'search');
  onTestFinished(() => search.mockRestore());
  return () =>
    new Set(search.mock.calls.map(([{ baseDn, filter }]) => JSON.stringify([baseDn, filter]))).size;
}

const groupsOf = ({ groups }: Person): readonly string[] =>
  groups.map(({ dn = '' }) => firstValue(dn)).toSorted();

describeWithPeers(['slapd', 'ldapsearch', 'openssl'], 'injection into a real slapd', () => {
  const dnOf = (uid: string): string => `uid=${dnValue(uid)},${peopleDn}`;
  const secondDn = `ou=second,${suffix}`;
  const victims = ['alice', 'bob', 'tess'];
  const names = hostileNames(victims.slice(0, 2).map((login) => ({ login, dn: dnOf(login) })));
  const opened: Directory[] = [];
  let slapd: Slapd;

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
    slapd = await startSlapd(
      [
        ...[peopleDn, groupsDn].map(unit),
        ...victims.map((uid) => person(uid, { lines: [`mail: ${uid}@test.example`] })),
        ...oddNames.map((uid) => person(uid)),
        group(`cn=everybody,${groupsDn}`, [...victims, ...oddNames].map(dnOf)),
      ].join('\n'),
    );
    slapd.modify(secondOrderLdif('ldap', secondDn, (login) => `pw-${login}`));
  });
  afterAll(async () => {
    await Promise.all(opened.map((directory) => directory.close()));
    await slapd?.close();
  });

  it.each<[string, Partial<LdapDirectoryConfig>, string]>([
    ['by search', {}, ''],
    ['by DN template', { dnTemplate: `uid={login},${peopleDn}` }, ''],
    ['by mail address', { loginAttribute: 'mail' }, '@test.example'],
  ])('lets nobody in as somebody else, %s', async (_, more, ending) => {
    const directory = open(more);
    const tried = names.map((name) => name + ending).filter((name) => directory.recognises(name));
    expect(tried.length).toBeGreaterThanOrEqual(500);
    for (const login of victims) {
      const questions = countedQuestions();
      const victim = { password: `pw-${login}`, own: [login + ending] };
      expect(await strangersAmong(directory, tried, victim)).toEqual([]);
      expect(questions()).toBeGreaterThanOrEqual(500);
      // Everybody still gets in by their own name, those too whose name is syntax elsewhere.
      for (const own of ending === '' ? [...victims, ...oddNames] : victims)
        expect(accepted(await directory.authenticate(own + ending, `pw-${own}`)).login).toBe(own + ending);
    }
  });

  it('asks no server about the other names', async () => {
    const directory = open();
    const others = names.filter((name) => !directory.recognises(name));
    expect(others.length).toBeGreaterThan(100);
    const questions = countedQuestions();
    for (const name of others)
      expect(await directory.authenticate(name, 'pw-alice')).toMatchObject({ reason: 'unknown_person' });
    expect(questions()).toBe(0);
  });

  describe('by what the directory itself holds', () => {
    it.each(secondOrderValues.map((value, nth) => [value, `odd-${nth}`]))(
      'gives a person and a group called %j their own groups only',
      async (value, login) => {
        const directory = open({ peopleBaseDns: [secondDn], groupBaseDns: [`ou=groups,${secondDn}`] });
        const own = [value, `above ${login}`, ...(isAscii(value) ? [`posix ${login}`] : [])].toSorted();
        const found = accepted(await directory.authenticate(login, `pw-${login}`));
        expect(found).toMatchObject({ login: value, displayName: value });
        expect(groupsOf(found)).toEqual(own);
        expect(groupsOf(accepted(await directory.recheck(found.id)))).toEqual(own);
        expect(await directory.authenticate(login, 'pw-alice')).toMatchObject({ reason: 'wrong_password' });
      },
    );
  });
});

describeWithPeers(
  ['samba', 'ldapsearch', 'openssl', 'root'],
  'injection into a real Active Directory',
  () => {
    const secondDn = `OU=Second,${ad.baseDn}`;
    const victims = ['alice', 'bob', 'zeta'];
    const names = hostileNames(
      victims.slice(0, 2).map((login) => ({ login, dn: `CN=${login},${ad.peopleDn}` })),
    );
    let samba: Samba;
    let directory: Directory;

    beforeAll(async () => {
      samba = await startSamba(ad.seed);
      samba.modify(secondOrderLdif('active-directory', secondDn, ad.passwordOf));
      directory = createActiveDirectory(
        {
          name: 'ad',
          domain: samba.domain,
          netbiosName: samba.netbiosName,
          servers: [samba.ldapsUrl],
          caPem: samba.caPem,
          service: samba.service,
        },
        { clock: systemClock },
      );
    });
    afterAll(async () => {
      await directory?.close();
      await samba?.close();
    });

    it.each<[string, (name: string) => string]>([
      ['by account name', (name) => name],
      ['by DOMAIN\\name', (name) => `ADTEST\\${name}`],
      ['by principal name', (name) => `${name}@ad.test.example`],
    ])('lets nobody in as somebody else, %s', async (_, form) => {
      const tried = names.map(form).filter((name) => directory.recognises(name));
      expect(tried.length).toBeGreaterThanOrEqual(500);
      for (const login of victims) {
        const questions = countedQuestions();
        const own = [login, `adtest\\${login}`, `${login}@ad.test.example`];
        expect(await strangersAmong(directory, tried, { password: ad.passwordOf(login), own })).toEqual([]);
        expect(questions()).toBeGreaterThanOrEqual(500);
        for (const account of [...victims, ...ad.oddAccounts])
          expect(accepted(await directory.authenticate(account, ad.passwordOf(account))).login).toBe(account);
      }
    });

    it.each(secondOrderValues.map((value, nth) => [value, `odd-${nth}`]))(
      'gives a person and a group called %j their own groups only',
      async (value, login) => {
        const own = [value, `above ${login}`, 'Domain Users', 'Users'].toSorted(); // “Domain Users” is in “Users”.
        const found = accepted(await directory.authenticate(login, ad.passwordOf(login)));
        expect(found).toMatchObject({ login, displayName: value });
        expect(groupsOf(found)).toEqual(own);
        expect(groupsOf(accepted(await directory.recheck(found.id)))).toEqual(own);
        expect(await directory.authenticate(login, ad.passwordOf('alice'))).toMatchObject({
          reason: 'wrong_password',
        });
      },
    );
  },
);
