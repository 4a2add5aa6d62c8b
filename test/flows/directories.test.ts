import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isCodedError, type CodedError } from '../../src/kernel/index.ts';
import { parseCertificate, parseKrl } from '../../src/ssh/index.ts';
import { ask, newPublicKey } from '../doors/http/support.ts';
import * as ad from '../interop/samba-people.ts';
import { timed } from '../interop/silent-server.ts';
import * as ldap from '../interop/slapd-people.ts';
import { blackHole, type BlackHole } from '../support/black-hole.ts';
import {
  alice,
  boss,
  startTestBroker,
  type LoggedInClient,
  type LoginAttempt,
  type TestBroker,
} from '../support/broker.ts';
import { codeOf } from '../support/code-of.ts';
import { configured, sidOf } from '../support/directories.ts';
import { lostServer, waysToBeLost } from '../support/lost-server.ts';
import { describeWithPeers } from '../support/peers.ts';
import { startSamba, unicodePwd, type Samba } from '../support/samba.ts';
import { startSlapd, type Slapd } from '../support/slapd.ts';

/** The one who tries, by the password that the directories of these tests give. */
const staff = (uid: string, more: Partial<LoginAttempt> = {}): LoginAttempt => ({
  login: uid,
  password: `pw-${uid}`,
  ...more,
});
const corp = (account: string, more: Partial<LoginAttempt> = {}): LoginAttempt => ({
  login: `ADTEST\\${account}`,
  password: ad.passwordOf(account),
  ...more,
});

const staffDn = (uid: string): string => `uid=${uid},${ldap.peopleDn}`;
const nest = (name: string): string => `cn=${name},ou=nest,${ldap.groupsDn}`;
const staffLdif = [
  ...[ldap.peopleDn, ldap.groupsDn, `ou=nest,${ldap.groupsDn}`, `ou=other,${ldap.groupsDn}`].map(ldap.unit),
  ...['alice', 'bob', 'mover', 'quitter', 'jailed'].map((uid) => ldap.person(uid)),
  ldap.person('carol', { lines: ['pwdAccountLockedTime: 000001010000Z'] }),
  ldap.person('dave', { lines: ['pwdReset: TRUE'] }),
  ldap.person('erin', { lines: ['pwdChangedTime: 20200101000000Z'] }),
  ldap.person('frank', { lines: ['objectClass: shadowAccount', 'shadowExpire: 10'] }),
  ldap.group(nest('inner'), ['alice', 'mover', 'quitter', 'jailed'].map(staffDn)),
  ldap.group(nest('unix'), [nest('inner')]),
  ldap.group(`cn=unix,ou=other,${ldap.groupsDn}`, [staffDn('bob')]),
].join('\n');

/** Nested in “three” and “four” like alice; longer than an IBM i profile name may be. */
const longName = 'christophermoore';
const longNamed = `dn: CN=${longName},${ad.peopleDn}
changetype: add
objectClass: user
sAMAccountName: ${longName}
userPrincipalName: ${longName}@ad.test.example
unicodePwd:: ${unicodePwd(ad.passwordOf(longName))}
userAccountControl: 512

dn: CN=two,${ad.groupsDn}
changetype: modify
add: member
member: CN=${longName},${ad.peopleDn}
`;

const policyFor = (sid: string): string => `version: 1
roles:
  admin: {groups: [builtin:admins]}
  auditor: {groups: [builtin:auditors]}
profiles:
  unix:
    who: {groups: ["staff:CN=Unix, OU=nest,${ldap.groupsDn}"]}
    principals: {from: [{attribute: uid}]}
  ibmi:
    who: {groups: ["corp:${sid}"]}
    principals:
      from:
        - attribute: sAMAccountName
          transforms: [upper, max-length 10]
  windows:
    who: {groups: ["corp:CN=four,${ad.groupsDn}"]}
    principals: {from: [{attribute: userPrincipalName, transforms: [lower]}]}
`;

interface Entry {
  readonly reason_code?: string;
  readonly subject?: { readonly uid: string };
  readonly decision?: { readonly conflict?: unknown };
}

async function faultOf(work: Promise<unknown>): Promise<CodedError> {
  const fault: unknown = await work.then(
    () => 'nothing was refused',
    (error: unknown) => error,
  );
  return isCodedError(fault) ? fault : expect.unreachable(String(fault));
}

describeWithPeers(['slapd', 'samba', 'ldapsearch', 'openssl', 'root'], 'people of real directories', () => {
  let slapd: Slapd;
  let samba: Samba;
  let broker: TestBroker;
  let admin: LoggedInClient;

  beforeAll(async () => {
    [slapd, samba] = await Promise.all([startSlapd(staffLdif), startSamba(ad.seed)]);
    samba.modify(longNamed);
    const policy = policyFor(sidOf(samba, `CN=three,${ad.groupsDn}`));
    const { directories, files } = configured({ slapd, samba });
    // What happens at a request is looked at here, not what the broker does by itself.
    const rules = 'departures: { follow: false }\n';
    broker = await startTestBroker({
      policy,
      people: [boss],
      directories: `${directories}\n${rules}`,
      files,
    });
    admin = await broker.loggedIn(boss);
  });
  afterAll(async () => {
    await broker?.stop();
    await Promise.all([slapd?.close(), samba?.close()]);
  });

  const newest = async (type: string): Promise<Entry> =>
    (await admin.searchLog({ type, limit: '1' })).items[0]?.entry ?? {};
  const principalsOf = async (client: LoggedInClient, profile?: string): Promise<readonly string[]> => {
    const signed = await client.sign(newPublicKey(), profile === undefined ? {} : { profile });
    return parseCertificate(signed.certificate).principals;
  };

  describe('log in and get what their groups and attributes give', () => {
    it.each([
      ['by uid', staff('alice'), 'staff', ['alice']],
      ['by uid in another case', staff('alice', { login: 'ALICE' }), 'staff', ['alice']],
      ['with the directory named', staff('alice', { directory: 'staff' }), 'staff', ['alice']],
      ['by DOMAIN\\name', corp(longName), 'corp', ['CHRISTOPHE']],
      ['by principal name', corp(longName, { login: `${longName}@ad.test.example` }), 'corp', ['CHRISTOPHE']],
      ['by account name that no other has', corp(longName, { login: longName }), 'corp', ['CHRISTOPHE']],
      [
        'by account name with the directory named',
        corp(longName, { login: longName, directory: 'corp' }),
        'corp',
        ['CHRISTOPHE'],
      ],
    ])('%s', async (_, attempt, directory, principals) => {
      const client = await broker.loggedIn(attempt);
      expect(await principalsOf(client)).toEqual(principals);
      const { person } = await client.session();
      expect(person.id).toMatch(new RegExp(`^${directory}:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$`));
      expect((await newest('cred.issue')).subject?.uid).toBe(person.id);
    });

    it('by a nested group of another profile, named by DN', async () => {
      const client = await broker.loggedIn(corp(longName));
      expect(await principalsOf(client, 'windows')).toEqual([`${longName}@ad.test.example`]);
    });

    it('but nothing by a group that only has the same CN', async () => {
      for (const attempt of [staff('bob'), corp('bob')]) {
        const client = await broker.loggedIn(attempt);
        expect(await codeOf(client.sign(newPublicKey(), {}))).toBe('policy.no_profile');
      }
    });

    it('and never the name of a namesake in another directory', async () => {
      const first = await broker.loggedIn(staff('alice'));
      const second = await broker.loggedIn(corp('alice'));
      await first.sign(newPublicKey(), {});
      expect(await codeOf(second.sign(newPublicKey(), { profile: 'ibmi' }))).toBe('policy.principal_taken');
      const { decision } = await newest('cred.issue_denied');
      expect(decision?.conflict).toEqual({
        principal: 'ALICE',
        person: (await second.session()).person.id,
        owner: (await first.session()).person.id,
      });
    });
  });

  it.each([
    ['staff', staff('carol'), 'locked', 'login_refused'],
    ['staff', staff('dave'), 'must_change_password', 'must_change_password'],
    ['staff', staff('erin'), 'password_expired', 'password_expired'],
    ['staff', staff('frank'), 'account_expired', 'account_expired'],
    ['staff', staff('frank', { password: 'wrong' }), 'wrong_password', 'login_refused'],
    ['staff', staff('alice', { password: 'wrong' }), 'wrong_password', 'login_refused'],
    ['corp', corp('dis'), 'disabled', 'account_disabled'],
    ['corp', corp('locked'), 'locked', 'login_refused'],
    ['corp', corp('exppw'), 'password_expired', 'password_expired'],
    ['corp', corp('mustchange'), 'must_change_password', 'must_change_password'],
    ['corp', corp('expacct'), 'account_expired', 'account_expired'],
    ['corp', corp('hours'), 'outside_logon_hours', 'outside_logon_hours'],
    ['corp', corp('dis', { password: 'wrong' }), 'wrong_password', 'login_refused'],
    ['corp', corp('alice', { password: 'wrong' }), 'wrong_password', 'login_refused'],
    ['nobody', staff('nobody'), 'unknown_person', 'login_refused'],
    ['nobody', corp('nobody'), 'unknown_person', 'login_refused'],
  ])('%s, %j: the log reads %s, the person reads %s', async (directory, attempt, reason, told) => {
    const fault = await faultOf(broker.loggedIn(attempt));
    const { reason_code: logged, subject } = await newest('auth.fail');
    expect([logged, fault.code]).toEqual([`identity.${reason}`, `identity.${told}`]);
    if (told === 'login_refused') expect(fault.message).toBe('The name or the password is not right.');
    expect(subject?.uid.split(':')[0] ?? 'nobody').toBe(directory);
  });

  describe('lose what the directory takes away', () => {
    it.each([
      [
        'a group in LDAP',
        staff('mover'),
        () =>
          slapd.modify(
            `dn: ${nest('inner')}\nchangetype: modify\ndelete: member\nmember: ${staffDn('mover')}\n`,
          ),
      ],
      [
        'a group in Active Directory',
        corp('leaver'),
        () =>
          samba.modify(
            `dn: CN=one,${ad.groupsDn}\nchangetype: modify\ndelete: member\nmember: CN=leaver,${ad.peopleDn}\n`,
          ),
      ],
    ])('%s that others are nested in: the next certificate is refused', async (_, attempt, remove) => {
      const client = await broker.loggedIn(attempt);
      expect(await principalsOf(client)).toHaveLength(1);
      remove();
      expect(await codeOf(client.sign(newPublicKey(), {}))).toBe('policy.no_profile');
      const { person } = await client.session();
      expect(await newest('cred.issue_denied')).toMatchObject({
        reason_code: 'policy.no_profile',
        subject: { uid: person.id },
      });
    });

    it.each([
      [
        'disabled in Active Directory',
        corp('moved'),
        'disabled',
        () =>
          samba.modify(
            `dn: CN=moved,${ad.peopleDn}\nchangetype: modify\nreplace: userAccountControl\nuserAccountControl: 514\n`,
          ),
      ],
      [
        'locked in LDAP by an administrator',
        staff('jailed'),
        'disabled',
        () =>
          slapd.modify(
            `dn: ${staffDn('jailed')}\nchangetype: modify\nadd: pwdAccountLockedTime\npwdAccountLockedTime: 000001010000Z\n`,
          ),
      ],
      [
        'deleted in LDAP',
        staff('quitter'),
        'unknown_person',
        () => slapd.modify(`dn: ${staffDn('quitter')}\nchangetype: delete\n`),
      ],
    ])('their account, %s: each session ends at its next request', async (_, attempt, reason, takeAway) => {
      const [first, second] = [await broker.loggedIn(attempt), await broker.loggedIn(attempt)];
      const { person } = await first.session();
      takeAway();
      for (const client of [first, second]) {
        expect(await codeOf(client.sign(newPublicKey(), {}))).toBe('identity.session_ended');
        expect(await newest('session.revoke')).toMatchObject({
          reason_code: `identity.${reason}`,
          subject: { uid: person.id },
        });
        expect(await codeOf(client.session())).toBe('identity.session_unknown');
      }
      expect(await codeOf(broker.loggedIn(attempt))).not.toBe('accepted');
    });
  });

  it('lose nothing while their directory is away', async () => {
    const client = await broker.loggedIn(staff('alice'));
    await client.sign(newPublicKey(), {});
    const krl = await admin.krl();
    const lastRevocation = await newest('session.revoke');

    await slapd.stop();
    const fault = await faultOf(client.sign(newPublicKey(), {}));
    expect([fault.code, fault.details['status']]).toEqual(['identity.directory_unavailable', 503]);
    expect(await codeOf(broker.loggedIn(staff('alice')))).toBe('identity.directory_unavailable');
    expect((await newest('auth.fail')).reason_code).toBe('identity.directory_unavailable');
    // A name that the lost directory may know is nobody else's meanwhile.
    const bare = corp(longName, { login: longName });
    expect(await codeOf(broker.loggedIn(bare))).toBe('identity.directory_unavailable');
    expect(await codeOf(broker.loggedIn(corp(longName)))).toBe('accepted');

    const ready = (await ask(broker, { path: '/readyz' })).json();
    expect(ready['status']).toBe('ready');
    expect(ready['dependencies']).toEqual(
      expect.arrayContaining([
        { name: 'directory:staff', state: 'down', detail: expect.stringContaining('ECONNREFUSED') },
        { name: 'directory:corp', state: 'up', detail: expect.any(String) },
      ]),
    );
    const metrics = (await ask(broker, { path: '/metrics' })).body.toString('utf8');
    expect(metrics).toMatch(/^sallyport_directory_up\{directory="staff"\} 0$/m);
    expect(metrics).toMatch(/^sallyport_directory_up\{directory="corp"\} 1$/m);
    // Asked again at each request with a session, and timed with what came of it.
    const asked = 'sallyport_directory_seconds_count{directory="staff",operation="recheck",outcome=';
    expect(metrics).toContain(`${asked}"identity.directory_unavailable"} 1\n`);
    expect(metrics).toMatch(/_count\{directory="staff",operation="recheck",outcome="accepted"\} \d+$/m);
    expect(await admin.krl()).toEqual(krl);
    expect(await newest('session.revoke')).toEqual(lastRevocation);

    await slapd.start();
    expect(await principalsOf(client)).toEqual(['alice']);
  });

  it.each(waysToBeLost)(
    'log in past a %s first server: under 3 s, then without waiting for it, under 300 ms',
    async (way, described) => {
      const [first, second] = await Promise.all([lostServer(way), lostServer(way)]);
      const before = { slapd: `ldaps://127.0.0.1:${first.port}`, samba: `ldaps://127.0.0.1:${second.port}` };
      const other = await startTestBroker({ people: [boss], ...configured({ slapd, samba, before }) });
      try {
        const logins = (): Promise<{ ms: number }[]> =>
          Promise.all([staff('alice'), corp('alice')].map((who) => timed(() => other.loggedIn(who))));
        for (const { ms } of await logins()) expect(ms).toBeLessThan(3_000);
        // The quickest of three: who waits for a lost server does so every time, and a busy machine now and then.
        const later = [await logins(), await logins(), await logins()];
        for (const nth of [0, 1])
          expect(Math.min(...later.map((pair) => pair[nth]?.ms ?? Infinity))).toBeLessThan(300);
        const [, ...health] = other.running.rooms.identity.health();
        expect(health.map(({ directory }) => directory)).toEqual(['staff', 'corp']);
        for (const { detail } of health) expect(detail).toMatch(described);
      } finally {
        await other.stop();
        await Promise.all([first.close(), second.close()]);
      }
    },
  );

  it('are cut off at once although their directory stops answering', async () => {
    const client = await broker.loggedIn(staff('mover'));
    slapd.freeze();
    try {
      const target = { kind: 'person', value: 'mover' } as const;
      const { result, ms } = await timed(() =>
        admin.revoke({ target, reason: 'left', lock: true, apply: true }),
      );
      expect(ms).toBeLessThan(2_000);
      expect(result).toMatchObject({ sessions: 2, lockedPerson: { login: 'mover' } });
      expect(await codeOf(client.session())).toBe('identity.session_unknown');
    } finally {
      slapd.thaw();
    }
  });
});

describe('a directory behind a firewall that drops', () => {
  let hole: BlackHole;
  let broker: TestBroker;
  beforeAll(async () => {
    hole = await blackHole();
    broker = await startTestBroker({
      directories: `  - name: dark
    kind: ldap
    servers: ["ldaps://127.0.0.1:${hole.port}"]
    people: ["ou=people,dc=dark,dc=example"]
    connect-timeout-ms: 30000
    request-timeout-ms: 60000
`,
    });
  });
  afterAll(async () => {
    await broker?.stop();
    await hole?.close();
  });

  it('does not hold up a revocation', async () => {
    const [admin, client] = [await broker.loggedIn(boss), await broker.loggedIn(alice)];
    const { serial } = await client.sign(newPublicKey(), {});
    const target = { kind: 'person', value: 'alice' } as const;
    const { result, ms } = await timed(() =>
      admin.revoke({ target, reason: 'left', lock: true, apply: true }),
    );
    expect(ms).toBeLessThan(2_000);
    expect(result.credentials.map((credential) => credential.serial)).toEqual([serial]);
    expect(parseKrl(await admin.krl()).version).toBeGreaterThan(1n);
    expect(await codeOf(client.session())).toBe('identity.session_unknown');
  });
});
