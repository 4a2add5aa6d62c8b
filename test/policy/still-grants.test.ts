import { describe, expect, it } from 'vitest';
import { isMemberOfAny, parsePolicy, stillGrants } from '../../src/policy/index.ts';
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
