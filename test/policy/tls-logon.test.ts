import { describe, expect, it } from 'vitest';
import type { PersonId } from '../../src/kernel/index.ts';
import { decideTls, parsePolicy, type Policy, type TlsDecision } from '../../src/policy/index.ts';
import { atMs, makePerson, problemsOf, type PersonParts } from './support.ts';

const policyWith = (kind: string, ...lines: readonly string[]): string =>
  ['version: 1', 'profiles: {}', 'tls-profiles:', '  p:', `    for: ${kind}`]
    .concat(['who: {groups: [builtin:users]}', ...lines].map((line) => `    ${line}`))
    .join('\n');
const logon = (settings = '{}'): Policy =>
  parsePolicy(policyWith('windows-logon', `logon: ${settings}`), 'policy.yaml');

const sid = 'S-1-5-21-1004336348-1177238915-682003330-1104';
const attributes = { userprincipalname: ['alice@corp.example'], objectsid: [sid] };
const key = { type: 'rsa', bits: 2048 };

function decideLogon(
  policy: Policy,
  person: PersonParts = { attributes },
  owners: Readonly<Record<string, string>> = {},
): TlsDecision {
  return decideTls(
    policy,
    makePerson(person),
    { profile: 'p', key, newKey: false, names: [], atMs },
    (name) => owners[name] as PersonId | undefined,
  );
}

const codesOf = (decision: TlsDecision): readonly string[] =>
  decision.outcome === 'refused' ? decision.refusals.map(({ code }) => code) : [];

describe('a Windows logon', () => {
  it('takes UPN and SID from the directory, and the principal from the account and the realm', () => {
    expect(decideLogon(logon('{realm: CORP.EXAMPLE}'))).toMatchObject({
      grant: {
        sid,
        commonName: 'alice@corp.example',
        names: [
          { kind: 'upn', value: 'alice@corp.example' },
          { kind: 'kerberos', value: 'alice@CORP.EXAMPLE' },
        ],
        personal: ['alice@corp.example'],
      },
    });
    const other = {
      login: 'a12345',
      attributes: { ...attributes, userprincipalname: ['Bob@partner.example'] },
    };
    expect(decideLogon(logon('{realm: CORP.EXAMPLE}'), other)).toMatchObject({
      grant: {
        names: [{ kind: 'upn' }, { kind: 'kerberos', value: 'a12345@CORP.EXAMPLE' }],
        personal: ['bob@partner.example', 'a12345@corp.example'],
      },
    });
  });

  it('has no Kerberos name unless the profile says the realm', () => {
    expect(decideLogon(logon())).toMatchObject({ grant: { names: [{ kind: 'upn' }] } });
  });

  it.each<[string, readonly string[], string]>([
    ['none', [], 'policy.no_upn'],
    ['two', ['a@corp.example', 'b@corp.example'], 'policy.no_upn'],
    ['no domain', ['alice'], 'policy.no_upn'],
    ['two domains', ['alice@corp@example'], 'policy.no_upn'],
    ['a service', ['host/alice@corp.example'], 'policy.no_upn'],
    ['a control character', ['alice\n@corp.example'], 'policy.no_upn'],
    ['129 characters', [`alice@${'c'.repeat(60)}.${'c'.repeat(62)}`], 'policy.no_upn'],
    ['the administrator’s name', ['Administrator@corp.example'], 'policy.principal_protected'],
  ])('refuses a UPN that is %s', (_, upns, code) => {
    const person = { attributes: { ...attributes, userprincipalname: upns } };
    expect(codesOf(decideLogon(logon(), person))).toEqual([code]);
  });

  it.each<[string, readonly string[]]>([
    ['none', []],
    ['two', [sid, sid]],
    ['a group of Windows itself', ['S-1-5-32-544']],
    ['SYSTEM', ['S-1-5-18']],
    ['a domain', ['S-1-5-21-1004336348-1177238915-682003330']],
    ['longer', [`${sid}-1`]],
    ['a text around one', [` ${sid}`]],
  ])('refuses a SID that is %s', (_, sids) => {
    const person = { attributes: { ...attributes, objectsid: sids } };
    expect(codesOf(decideLogon(logon(), person))).toEqual(['policy.no_sid']);
  });

  it.each(['host/web', 'alice@x', 'a b', ''])('refuses the account %j as a principal', (login) => {
    const decision = decideLogon(logon('{realm: CORP.EXAMPLE}'), { id: 'builtin:1', login, attributes });
    expect(codesOf(decision)).toEqual(['policy.no_account']);
    expect(codesOf(decideLogon(logon(), { id: 'builtin:1', login, attributes }))).toEqual([]);
  });

  it('refuses either name when it is somebody else’s, or an account’s that nobody may have', () => {
    const policy = logon('{realm: REALM.EXAMPLE}');
    for (const name of ['alice@corp.example', 'alice@realm.example']) {
      expect(codesOf(decideLogon(policy, { attributes }, { [name]: 'builtin:id-bob' }))).toEqual([
        'policy.principal_taken',
      ]);
      expect(codesOf(decideLogon(policy, { attributes }, { [name]: 'builtin:id-alice' }))).toEqual([]);
    }
    expect(codesOf(decideLogon(policy, { login: 'Root', attributes }))).toEqual([
      'policy.principal_protected',
    ]);
  });
});

describe('UPN suffixes of a profile', () => {
  it('are the only ones it gives', () => {
    const policy = logon('{upn-suffixes: [Corp.example, other.example]}');
    expect(codesOf(decideLogon(policy))).toEqual([]);
    for (const upn of ['alice@sub.corp.example', 'alice@evilcorp.example', 'alice@example'])
      expect(
        codesOf(decideLogon(policy, { attributes: { ...attributes, userprincipalname: [upn] } })),
      ).toEqual(['policy.name_not_allowed']);
  });

  it.each(['[]', '["@corp.example"]', '["*.example"]', '[""]', 'corp.example', '[[a]]'])(
    'are not %s',
    (list) => {
      expect(problemsOf(policyWith('windows-logon', `logon: {upn-suffixes: ${list}}`))).toHaveLength(1);
    },
  );
});

describe('a KDC', () => {
  const server = ['names: ["dc1.corp.example"]'];

  it('is a server with the name of its realm, which no request can say', () => {
    const policy = parsePolicy(policyWith('tls-server', ...server, 'kdc-realm: CORP.EXAMPLE'), 'policy.yaml');
    const ask = (kind: string, value: string): TlsDecision =>
      decideTls(
        policy,
        makePerson(),
        { profile: 'p', key, newKey: false, names: [{ kind, value }], atMs },
        () => undefined,
      );
    expect(ask('dns', 'dc1.corp.example')).toMatchObject({
      grant: {
        usages: ['server', 'kdc'],
        names: [{ kind: 'dns' }, { kind: 'kerberos', value: 'krbtgt/CORP.EXAMPLE@CORP.EXAMPLE' }],
        personal: [],
      },
    });
    expect(codesOf(ask('kerberos', 'krbtgt/CORP.EXAMPLE@CORP.EXAMPLE'))).toEqual(['policy.name_not_allowed']);
  });

  it.each([
    ['a realm in small letters', 'tls-server', [...server, 'kdc-realm: corp.example']],
    ['a realm with an @', 'tls-server', [...server, 'kdc-realm: A@B']],
    ['an empty realm', 'tls-server', [...server, 'kdc-realm: ""']],
    ['a list of realms', 'tls-server', [...server, 'kdc-realm: [A, B]']],
    ['kdc as a usage', 'tls-server', [...server, 'usages: [kdc]']],
    ['a client', 'tls-client', ['account: {from: [{attribute: uid}]}', 'kdc-realm: CORP.EXAMPLE']],
    ['a logon', 'windows-logon', ['kdc-realm: CORP.EXAMPLE']],
  ])('is not what the file says with %s', (_, kind, lines) => {
    expect(problemsOf(policyWith(kind, ...lines))).toHaveLength(1);
  });
});
