import { describe, expect, it } from 'vitest';
import { isMemberOfAny, parsePolicy, stillGrants, stillGrantsTls } from '../../src/policy/index.ts';
import { parsePersonId } from '../../src/kernel/index.ts';
import { makePerson, nobodyOwns, onePolicy, type PersonParts } from './support.ts';

const two = parsePolicy(
  `version: 1
profiles:
  wide:
    who: {groups: [builtin:ops]}
    principals: {explicit: [root], from: [{attribute: uid}]}
    reason: required
    sources: [192.0.2.0/24]
    windows: [{days: [mon], from: 08:00, to: 09:00, timezone: UTC}]
    keys: {types: [ssh-rsa]}
  narrow:
    who: {groups: [builtin:users]}
    principals: {from: [{attribute: uid}]}
`,
  'policy.yaml',
);
const ask = (parts: PersonParts, profile: string, ...principals: string[]): string =>
  stillGrants(two, makePerson(parts), { profile, principals }, nobodyOwns);
const ops = [{ name: 'ops' }];
const users = [{ name: 'users' }];

describe('what somebody could still be given', () => {
  it.each([
    ['all names of the profile', { groups: ops }, 'wide', ['root', 'alice'], 'granted'],
    ['some of them', { groups: ops }, 'wide', ['root'], 'granted'],
    ['a profile that is not open any more', { groups: users }, 'wide', ['root'], 'lost'],
    ['not even where another profile gives the name', { groups: users }, 'wide', ['alice'], 'lost'],
    [
      'a name that is somebody else’s now',
      { groups: users, attributes: { uid: ['other'] } },
      'narrow',
      ['alice'],
      'lost',
    ],
    [
      'a name whose attribute has no value',
      { groups: users, attributes: {} },
      'narrow',
      ['alice'],
      'unclear',
    ],
    ['a profile that the file lost, by any other', { groups: users }, 'renamed', ['alice'], 'granted'],
    ['and not by none', { groups: [] }, 'renamed', ['alice'], 'lost'],
    [
      'a protected name that the profile does not give',
      { groups: users, attributes: { uid: ['root'] } },
      'narrow',
      ['root'],
      'lost',
    ],
  ] as const)('%s', (_, parts, profile, principals, expected) => {
    expect(ask(parts, profile, ...principals)).toBe(expected);
  });

  it('does not depend on key, address, reason, hour or lifetime', () => {
    expect(ask({ groups: ops }, 'wide', 'root')).toBe('granted');
  });

  it('is not a name that belongs to another person', () => {
    const other = parsePersonId('builtin:other');
    const held = { profile: 'narrow', principals: ['alice'] };
    expect(stillGrants(two, makePerson(), held, () => other)).toBe('lost');
    expect(stillGrants(two, makePerson(), held, () => makePerson().id)).toBe('granted');
  });

  it('is unclear where who is in is said by an attribute without any value', () => {
    const policy = onePolicy('who: {attributes: [{attribute: department, equals: ops}]}');
    const held = { profile: 'p', principals: ['alice'] };
    const of = (attributes: Record<string, string[]>): string =>
      stillGrants(policy, makePerson({ attributes: { uid: ['alice'], ...attributes } }), held, nobodyOwns);
    expect([of({ department: ['ops'] }), of({ department: ['sales'] }), of({})]).toEqual([
      'granted',
      'lost',
      'unclear',
    ]);
  });

  it('membership of any profile is another question', () => {
    expect(
      [{ groups: ops }, { groups: users }, { groups: [] }].map((parts) =>
        isMemberOfAny(two, makePerson(parts)),
      ),
    ).toEqual([true, true, false]);
  });
});

const tls = parsePolicy(
  `version: 1
profiles: {}
tls-profiles:
  screen:
    for: tls-client
    who: {groups: [builtin:ops]}
    account: {from: [{attribute: uid}]}
  logon:
    for: windows-logon
    who: {groups: [builtin:ops]}
    logon: {upn: mail, sid: objectSid}
`,
  'policy.yaml',
);
const sid = 'S-1-5-21-1-2-3-1104';
const mail = ['alice@corp.example'];
const screen = { profile: 'screen', kind: 'tls-client', commonName: 'ALICE', names: [] } as const;
const logon = {
  profile: 'logon',
  kind: 'windows-logon',
  commonName: 'alice@corp.example',
  names: ['upn:alice@corp.example'],
} as const;

describe('what somebody could still be given for TLS', () => {
  it.each([
    ['the account of a client', { groups: ops }, screen, 'granted'],
    ['when the group is gone: nothing', { groups: users }, screen, 'lost'],
    ['another account by now', { groups: ops, attributes: { uid: ['other'] } }, screen, 'lost'],
    ['an account that is Q’s', { groups: ops, attributes: { uid: ['qsecofr'] } }, screen, 'lost'],
    ['an account whose attribute has no value', { groups: ops, attributes: {} }, screen, 'unclear'],
    ['a profile that the file lost, by any other', { groups: ops }, { ...screen, profile: 'old' }, 'granted'],
    ['a logon', { groups: ops, attributes: { mail, objectsid: [sid] } }, logon, 'granted'],
    [
      'a logon of another name',
      { groups: ops, attributes: { mail: ['b@c.example'], objectsid: [sid] } },
      logon,
      'lost',
    ],
    ['a logon without its SID', { groups: ops, attributes: { mail } }, logon, 'unclear'],
    [
      'a logon with two names',
      { groups: ops, attributes: { mail: [...mail, 'x@y.example'], objectsid: [sid] } },
      logon,
      'lost',
    ],
  ] as const)('%s', (_, parts, held, expected) => {
    expect(stillGrantsTls(tls, makePerson(parts), held, nobodyOwns)).toBe(expected);
  });

  it('is not a name that belongs to another person', () => {
    const person = makePerson({ groups: ops });
    expect(stillGrantsTls(tls, person, screen, () => parsePersonId('builtin:other'))).toBe('lost');
    expect(stillGrantsTls(tls, person, screen, () => person.id)).toBe('granted');
  });
});

it('counts profiles for TLS where it asks whether any is open', () => {
  expect(isMemberOfAny(tls, makePerson({ groups: ops }))).toBe(true);
  expect(isMemberOfAny(tls, makePerson({ groups: users }))).toBe(false);
});
