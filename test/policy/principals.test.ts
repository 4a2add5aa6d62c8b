import { describe, expect, it } from 'vitest';
import { parsePersonId } from '../../src/kernel/index.ts';
import { decideUserCertificate, parsePolicy } from '../../src/policy/index.ts';
import type { UserCertificateRequest } from '../../src/policy/index.ts';
import { codesOf, decide, granted, makePerson, makeRequest, onePolicy } from './support.ts';

function from(...transforms: readonly string[]): string {
  return `principals: {from: [{attribute: uid, transforms: [${transforms.join(', ')}]}]}`;
}

describe('principals from attributes', () => {
  it.each<[string[], string, string]>([
    [[], 'alice', 'alice'],
    [[], 'Alice.B-c_d$+e@x', 'Alice.B-c_d$+e@x'],
    [['lower'], 'ALICE', 'alice'],
    [['upper'], 'alice', 'ALICE'],
    [['strip-domain'], 'alice@corp.example', 'alice'],
    [['strip-domain'], 'CORP\\alice', 'alice'],
    [['strip-domain'], 'alice', 'alice'],
    [['max-length-8'], 'alexander1', 'alexande'],
    [['max-length 10'], 'alexander12', 'alexander1'],
    [['max-length 10'], 'al', 'al'],
    [['strip-domain', 'lower', 'max-length 8'], 'Alexandra.Smith@corp.example', 'alexandr'],
    [['max-length 8', 'strip-domain'], 'al@corp.example', 'al'],
  ])('%j makes of %s: %s', (transforms, value, expected) => {
    const grant = granted(decide(onePolicy(from(...transforms)), { attributes: { uid: [value] } }));
    expect(grant.principals).toEqual([expected]);
    expect(grant.personalPrincipals).toEqual([expected]);
  });

  it('are several from several values, in order and without duplicates', () => {
    const policy = onePolicy(
      'principals: {explicit: [deploy], from: [{attribute: uid, transforms: [lower]}, {attribute: mail, transforms: [strip-domain]}]}',
    );
    const grant = granted(
      decide(policy, { attributes: { mail: ['carol@x', 'Zoe@x'], uid: ['B', 'a', 'b', 'deploy'] } }),
    );
    expect(grant.principals).toEqual(['deploy', 'b', 'a', 'carol', 'Zoe']);
    expect(grant.personalPrincipals).toEqual(['b', 'a', 'carol', 'Zoe']);
  });

  const bad = [
    'alice,root',
    'alice root',
    ' alice',
    'alice ',
    '*',
    'al?ce',
    '!alice',
    '#alice',
    'alice#',
    'a=b',
    "o'brien",
    'alice\n',
    'alice\nroot',
    'alice\0',
    'alice\u001b[0m',
    '\u202ealice',
    'álice',
    'ａｌｉｃｅ',
    '\u212aaren',
    '\u017fam',
    '\u0130van',
    'straße',
    '用户',
    '',
    'a'.repeat(257),
  ];

  it.each(bad)('refuse the value %j rather than clean it, under any transform', (value) => {
    for (const transforms of [
      [],
      ['lower'],
      ['upper'],
      ['strip-domain'],
      ['max-length 5'],
      ['strip-domain', 'lower', 'max-length 8'],
    ]) {
      const decision = decide(onePolicy(from(...transforms)), { attributes: { uid: ['alice', value] } });
      expect(codesOf(decision)).toEqual(['policy.bad_principal']);
    }
  });

  it.each<[string[], string]>([
    [[], 'a'.repeat(129)],
    [[], '-alice'],
    [['strip-domain'], 'CORP\\-alice'],
    [['strip-domain'], '@corp.example'],
    [['strip-domain'], 'alice@'],
    [['strip-domain'], 'CORP\\'],
    [['strip-domain'], 'root@alice@corp.example'],
    [['strip-domain'], 'CORP\\root@corp.example'],
    [['max-length 5', 'strip-domain'], 'root@corp'.slice(0, 5).padEnd(9, 'x')],
  ])('%j refuse what they make of %s', (transforms, value) => {
    expect(codesOf(decide(onePolicy(from(...transforms)), { attributes: { uid: [value] } }))).toEqual([
      'policy.bad_principal',
    ]);
  });

  it.each([[{}], [{ uid: [] }], [{ UID: ['alice'] }], [{ mail: ['alice'] }]])(
    'are none for a person with %j, which refuses',
    (attributes) => {
      expect(codesOf(decide(onePolicy(), { attributes }))).toEqual(['policy.no_principals']);
    },
  );

  it('are at most 256', () => {
    const values = (count: number): readonly string[] =>
      Array.from({ length: count }, (_, index) => `u${index}`);
    expect(granted(decide(onePolicy(), { attributes: { uid: values(256) } })).principals).toHaveLength(256);
    expect(codesOf(decide(onePolicy(), { attributes: { uid: values(257) } }))).toEqual([
      'policy.too_many_principals',
    ]);
    const some = decide(onePolicy(), { attributes: { uid: values(257) } }, { principals: ['u256'] });
    expect(granted(some).principals).toEqual(['u256']);
  });
});

describe('principals that are asked for', () => {
  const policy = onePolicy('principals: {explicit: [deploy, www], from: [{attribute: uid}]}');
  it.each<[readonly string[], readonly string[]]>([
    [['deploy'], ['deploy']],
    [
      ['alice', 'deploy'],
      ['deploy', 'alice'],
    ],
    [['alice', 'alice'], ['alice']],
  ])('%j narrow the certificate to %j', (principals, expected) => {
    expect(granted(decide(policy, {}, { principals })).principals).toEqual(expected);
  });

  it.each<[readonly string[], string[]]>([
    [[], ['policy.no_principals']],
    [['root'], ['policy.principal_not_granted']],
    [['deploy', 'root'], ['policy.principal_not_granted']],
    [['Deploy'], ['policy.principal_not_granted']],
    [['deploy,www'], ['policy.principal_not_granted']],
    [['deploy '], ['policy.principal_not_granted']],
    [['*'], ['policy.principal_not_granted']],
    [[''], ['policy.principal_not_granted']],
    [
      ['x', 'y', 'x'],
      ['policy.principal_not_granted', 'policy.principal_not_granted'],
    ],
    [Array.from({ length: 257 }, () => 'deploy'), ['policy.too_many_principals']],
  ])('%j are refused', (principals, expected) => {
    expect(codesOf(decide(policy, {}, { principals }))).toEqual(expected);
  });

  it('make a bad value of the directory matter only where it is asked for', () => {
    const person = { attributes: { uid: ['al ice'] } };
    expect(granted(decide(policy, person, { principals: ['deploy'] })).principals).toEqual(['deploy']);
    expect(codesOf(decide(policy, person, { principals: ['al ice'] }))).toEqual([
      'policy.principal_not_granted',
    ]);
  });
});

describe('protected principals', () => {
  it.each([
    'root',
    'Root',
    'ROOT',
    'qsecofr',
    'QSECOFR',
    'administrator',
    'oracle',
    'root@corp.example',
    'CORP\\Administrator',
  ])('%s does not come from an attribute', (name) => {
    const policy = parsePolicy(
      'version: 1\nprotected-principals: [Oracle]\nprofiles: {p: {who: {directories: [builtin]}, principals: {from: [{attribute: uid}]}}}',
      'p',
    );
    expect(codesOf(decide(policy, { attributes: { uid: [name] } }))).toEqual(['policy.principal_protected']);
  });

  it('are found after the transforms', () => {
    expect(codesOf(decide(onePolicy(from('max-length 4')), { attributes: { uid: ['rooted'] } }))).toEqual([
      'policy.principal_protected',
    ]);
    expect(
      granted(decide(onePolicy(from('max-length 3')), { attributes: { uid: ['root'] } })).principals,
    ).toEqual(['roo']);
  });

  it('that a profile names may also come from an attribute in another case', () => {
    const policy = onePolicy('principals: {explicit: [QSECOFR], from: [{attribute: uid}]}');
    const grant = granted(decide(policy, { attributes: { uid: ['qsecofr'] } }));
    expect(grant.principals).toEqual(['QSECOFR', 'qsecofr']);
    expect(grant.personalPrincipals).toEqual([]);
  });

  it('are given where a profile names them', () => {
    const grant = granted(
      decide(onePolicy('principals: {explicit: [root, QSECOFR], from: [{attribute: uid}]}'), {
        attributes: { uid: ['root'] },
      }),
    );
    expect(grant.principals).toEqual(['root', 'QSECOFR']);
    expect(grant.personalPrincipals).toEqual([]);
  });
});

describe('shared accounts', () => {
  const policy = parsePolicy(
    `version: 1
profiles:
  users: {who: {groups: [builtin:users]}, principals: {from: [{attribute: uid}]}}
  dba: {who: {groups: [builtin:dba]}, principals: {explicit: [db2inst1]}}
`,
    'p',
  );
  const users = { name: 'users' };

  it.each(['db2inst1', 'DB2INST1'])('do not come to somebody whose attribute says %s', (uid) => {
    expect(codesOf(decide(policy, { attributes: { uid: [uid] } }))).toEqual(['policy.principal_shared']);
  });

  it('come only from the profile that names them, with its conditions, also to those whom it is for', () => {
    const both = { groups: [users, { name: 'dba' }], attributes: { uid: ['db2inst1'] } };
    expect(codesOf(decide(policy, both, { profile: 'users' }))).toEqual(['policy.principal_shared']);
    const grant = granted(decide(policy, both));
    expect(grant).toMatchObject({ profile: 'dba', principals: ['db2inst1'], personalPrincipals: [] });
  });
});

describe('two people on one name', () => {
  const alice = parsePersonId('builtin:id-alice');
  const bob = parsePersonId('builtin:id-bob');
  const policy = onePolicy(
    'principals: {explicit: [deploy], from: [{attribute: uid, transforms: [max-length 8]}]}',
  );
  const decideOwned = (request: Partial<UserCertificateRequest>, owned: string, owner = bob) =>
    decideUserCertificate(
      policy,
      makePerson({ attributes: { uid: ['alexander1'] } }),
      makeRequest(request),
      (principal) => (principal === owned ? owner : undefined),
    );

  it('are refused, with both ids for the log and none for the person', () => {
    const decision = decideOwned({}, 'alexande');
    expect(codesOf(decision)).toEqual(['policy.principal_taken']);
    if (decision.outcome === 'granted') throw new Error('granted');
    expect(decision.refusals[0]?.forLog).toEqual({ principal: 'alexande', person: alice, owner: bob });
    expect(decision.refusals[0]?.message).toContain('“alexande” belongs to another person');
    expect(decision.refusals[0]?.message).not.toContain(bob);
    expect(JSON.stringify(decision.steps)).not.toContain(bob);
  });

  it('are one person when the owner asks', () => {
    expect(granted(decideOwned({}, 'alexande', alice)).personalPrincipals).toEqual(['alexande']);
  });

  it('do not matter when the name is not asked for', () => {
    expect(granted(decideOwned({ principals: ['deploy'] }, 'alexande')).principals).toEqual(['deploy']);
  });

  it('are refused when a profile names what a person holds', () => {
    expect(codesOf(decideOwned({}, 'deploy'))).toEqual(['policy.principal_taken']);
  });
});
