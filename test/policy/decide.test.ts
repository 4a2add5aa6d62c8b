import { describe, expect, it } from 'vitest';
import { decideUserCertificate, parsePolicy, rolesOf } from '../../src/policy/index.ts';
import type { UserCertificateRequest } from '../../src/policy/index.ts';
import { atMs, codesOf, decide, granted, makePerson, makeRequest, nobodyOwns, onePolicy } from './support.ts';
import type { PersonParts } from './support.ts';

const nowSeconds = BigInt(atMs / 1000);
const iso = (text: string): number => Date.parse(text);

describe('who a profile is for', () => {
  const corp = (groups: PersonParts['groups']): PersonParts => ({ directory: 'corp', groups });
  it.each<[string, string, PersonParts, boolean]>([
    ['a built-in group', 'groups: [builtin:users]', {}, true],
    ['a built-in group in another case', 'groups: [builtin:Users]', {}, true],
    ['another built-in group', 'groups: [builtin:admins]', {}, false],
    ['a group of that name in another directory', 'groups: [builtin:users]', { directory: 'corp' }, false],
    ['no group at all', 'groups: [builtin:users]', { groups: [] }, false],
    ['a SID', 'groups: [corp:S-1-5-21-1-2-3-512]', corp([{ sid: 'S-1-5-21-1-2-3-512' }]), true],
    ['a SID in lower case', 'groups: [corp:s-1-5-21-1-2-3-512]', corp([{ sid: 'S-1-5-21-1-2-3-512' }]), true],
    [
      'a SID that is longer',
      'groups: [corp:S-1-5-21-1-2-3-512]',
      corp([{ sid: 'S-1-5-21-1-2-3-5120' }]),
      false,
    ],
    [
      'the SID of another directory',
      'groups: [lab:S-1-5-21-1-2-3-512]',
      corp([{ sid: 'S-1-5-21-1-2-3-512' }]),
      false,
    ],
    ['a DN', 'groups: ["corp:CN=Ops,OU=A,DC=x"]', corp([{ dn: 'cn=ops, ou=a, dc=X' }]), true],
    [
      'the same CN in another OU',
      'groups: ["corp:CN=Ops,OU=A,DC=x"]',
      corp([{ dn: 'CN=Ops,OU=B,DC=x' }]),
      false,
    ],
    [
      'a group whose CN imitates a DN',
      'groups: ["corp:CN=Ops,OU=A,DC=x"]',
      corp([{ dn: 'CN=Ops\\,OU=A\\,DC=x' }]),
      false,
    ],
    ['a group whose DN cannot be read', 'groups: ["corp:CN=Ops,OU=A,DC=x"]', corp([{ dn: 'Ops' }]), false],
    [
      'a name where only DNs count',
      'groups: ["corp:CN=Ops,OU=A,DC=x"]',
      corp([{ name: 'CN=Ops,OU=A,DC=x' }]),
      false,
    ],
    ['a login', 'people: [builtin:alice]', {}, true],
    [
      'a login in another case, with spaces',
      'people: [corp:Alice  B]',
      { directory: 'corp', login: 'alice b', id: 'corp:1' },
      true,
    ],
    ['the login of another directory', 'people: [corp:alice]', {}, false],
    ['a person id', 'people: [builtin:id-alice]', { login: 'renamed', id: 'builtin:id-alice' }, true],
    ['a person id in another case', 'people: [builtin:ID-alice]', {}, false],
    [
      'a login that imitates an id',
      'people: [corp:5f0c8a34-0000-4000-8000-000000000001]',
      { directory: 'corp', login: '5f0c8a34-0000-4000-8000-000000000001', id: 'corp:1' },
      false,
    ],
    ['a directory', 'directories: [builtin]', { groups: [] }, true],
    ['another directory', 'directories: [corp]', {}, false],
    [
      'an attribute',
      'attributes: [{attribute: Type, equals: Staff}]',
      { attributes: { uid: ['a'], type: ['x', ' staff '] } },
      true,
    ],
    [
      'an attribute with another value',
      'attributes: [{attribute: type, equals: staff}]',
      { attributes: { type: ['staffer'] } },
      false,
    ],
    ['an attribute that is not there', 'attributes: [{attribute: type, equals: staff}]', {}, false],
    [
      'one of several values',
      'attributes: [{attribute: type, any-of: [a, 7]}]',
      { attributes: { uid: ['a'], type: ['7'] } },
      true,
    ],
    [
      'an attribute in another directory',
      'attributes: [{attribute: type, equals: staff, directory: corp}]',
      { attributes: { uid: ['a'], type: ['staff'] } },
      false,
    ],
  ])('%s', (_, who, person, isMember) => {
    const policy = onePolicy(`who: {${who}}`, 'principals: {explicit: [deploy]}');
    expect(codesOf(decide(policy, person))).toEqual(isMember ? [] : ['policy.no_profile']);
    const roles = parsePolicy(`version: 1\nroles: {admin: {${who}}}\nprofiles: {}`, 'p');
    expect(rolesOf(roles, makePerson(person)).has('admin')).toBe(isMember);
  });

  it('is nobody in a policy without profiles or roles', () => {
    const policy = parsePolicy('{version: 1, profiles: {}}', 'p');
    expect(codesOf(decide(policy))).toEqual(['policy.no_profile']);
    expect([...rolesOf(policy, makePerson())]).toEqual(['user']);
  });
});

describe('the choice of a profile', () => {
  const policy = parsePolicy(
    `version: 1
profiles:
  closed: {who: {groups: [builtin:others]}, principals: {explicit: [closed]}}
  strict: {who: {groups: [builtin:users]}, principals: {explicit: [strict]}, reason: required}
  usual: {who: {groups: [builtin:users]}, principals: {explicit: [usual]}}
  later: {who: {groups: [builtin:users]}, principals: {explicit: [later]}, lifetime: {min: 1h}}
`,
    'p.yaml',
  );

  it.each<[string, Partial<UserCertificateRequest>, string]>([
    ['the first that grants, when none is named', {}, 'usual'],
    ['an earlier one, when the request meets it', { reason: 'ticket 7' }, 'strict'],
    ['the one that gives the principal asked for', { principals: ['later'] }, 'later'],
    ['the one named', { profile: 'later' }, 'later'],
  ])('is %s', (_, request, expected) => {
    expect(granted(decide(policy, {}, request)).profile).toBe(expected);
  });

  it.each<[string, Partial<UserCertificateRequest>, string[]]>([
    ['one that does not exist', { profile: 'usualy' }, ['policy.unknown_profile']],
    ['one that is not open to the person', { profile: 'closed' }, ['policy.not_a_member']],
    [
      'one named that refuses, although another would grant',
      { profile: 'strict' },
      ['policy.reason_required'],
    ],
    ['names of objects', { profile: '__proto__' }, ['policy.unknown_profile']],
    [
      'what no profile gives: those that give the principal speak first',
      { principals: ['later'], ttlSeconds: 600 },
      [
        'policy.ttl_too_short',
        'policy.reason_required',
        'policy.principal_not_granted',
        'policy.principal_not_granted',
      ],
    ],
  ])('refuses %s', (_, request, expected) => {
    expect(codesOf(decide(policy, {}, request))).toEqual(expected);
  });

  it('never tells somebody what is in a profile that is not open to them', () => {
    const decision = decide(policy, {}, { profile: 'closed' });
    expect(JSON.stringify(decision)).not.toContain('"closed,');
    expect(decision.outcome === 'refused' && decision.refusals[0]?.message).not.toContain('others');
  });
});

describe('the key', () => {
  const sk = 'sk-ssh-ed25519@openssh.com';
  it.each<[string, string[], string, number, string[]]>([
    ['Ed25519 by default', [], 'ssh-ed25519', 256, []],
    ['P-521 by default', [], 'ecdsa-sha2-nistp521', 521, []],
    ['a security key by default', [], sk, 256, []],
    ['RSA of 2048 bits by default', [], 'ssh-rsa', 2048, []],
    ['RSA of 2047 bits', [], 'ssh-rsa', 2047, ['policy.key_too_small']],
    ['RSA below a higher floor', ['keys: {rsa-min-bits: 3072}'], 'ssh-rsa', 3071, ['policy.key_too_small']],
    ['RSA at a higher floor', ['keys: {rsa-min-bits: 3072}'], 'ssh-rsa', 3072, []],
    ['RSA without a number of bits', [], 'ssh-rsa', Number.NaN, ['policy.key_too_small']],
    ['DSA', [], 'ssh-dss', 1024, ['policy.key_type']],
    ['a certificate as key', [], 'ssh-ed25519-cert-v01@openssh.com', 256, ['policy.key_type']],
    ['an unlisted type', ['keys: {types: [ssh-ed25519]}'], 'ssh-rsa', 4096, ['policy.key_type']],
    [
      'a plain key where a security key is required',
      ['keys: {require-security-key: true}'],
      'ssh-ed25519',
      256,
      ['policy.security_key_required'],
    ],
    ['a security key where it is required', ['keys: {require-security-key: true}'], sk, 256, []],
    [
      'a plain key where verification is',
      ['critical-options: {verify-required: true}'],
      'ssh-ed25519',
      256,
      ['policy.security_key_required'],
    ],
    [
      'a security key that is not listed',
      ['keys: {types: [sk-ecdsa-sha2-nistp256@openssh.com], require-security-key: true}'],
      sk,
      256,
      ['policy.key_type'],
    ],
    ['a name of an object', [], 'constructor', 256, ['policy.key_type']],
  ])('%s', (_, lines, type, bits, expected) => {
    expect(codesOf(decide(onePolicy(...lines), {}, { key: { type, bits } }))).toEqual(expected);
  });
});

describe('the source address', () => {
  const inside = 'sources: [10.0.0.0/8, "2001:db8::/32"]';
  const bind = 'bind-source-address: true';
  const option = 'critical-options: {source-address: [10.0.0.0/8]}';
  it.each<[string, string[], string, string[] | string]>([
    ['anywhere by default', [], '203.0.113.1', ''],
    ['within', [inside], '10.9.9.9', ''],
    ['within, as IPv4 in IPv6', [inside], '::ffff:10.9.9.9', ''],
    ['without', [inside], '11.0.0.1', ['policy.source_not_allowed']],
    ['no address', [inside], 'localhost', ['policy.source_not_allowed']],
    ['empty', [inside], '', ['policy.source_not_allowed']],
    ['bound', [bind], '203.0.113.1', '203.0.113.1'],
    ['bound, as IPv4 in IPv6', [bind], '::ffff:203.0.113.1', '203.0.113.1'],
    ['bound, IPv6', [bind], '2001:db8::7', '2001:db8:0:0:0:0:0:7'],
    ['bound, with a zone', [bind], 'fe80::1%eth0', ['policy.source_not_allowed']],
    ['bound, but no address', [bind], 'x,0.0.0.0/0', ['policy.source_not_allowed']],
    ['a mandatory list', [option], '203.0.113.1', '10.0.0.0/8'],
    ['bound within a mandatory list', [option, bind], '10.1.1.1', '10.1.1.1'],
    ['bound outside a mandatory list', [option, bind], '203.0.113.1', ['policy.source_not_allowed']],
  ])('%s', (_, lines, sourceAddress, expected) => {
    const decision = decide(onePolicy(...lines), {}, { sourceAddress });
    if (typeof expected !== 'string') expect(codesOf(decision)).toEqual(expected);
    else expect(granted(decision).criticalOptions.get('source-address') ?? '').toBe(expected);
  });
});

describe('the reason', () => {
  it.each<[string | undefined, string[]]>([
    [undefined, ['policy.reason_required']],
    ['', ['policy.reason_required']],
    ['  \t', ['policy.reason_required']],
    ['--', ['policy.reason_required']],
    ['INC-7', []],
    ['поломка', []],
    ['x'.repeat(1001), ['policy.reason_too_long']],
  ])('%j', (reason, expected) => {
    const request = reason === undefined ? {} : { reason };
    expect(codesOf(decide(onePolicy('reason: required'), {}, request))).toEqual(expected);
    expect(codesOf(decide(onePolicy('reason: optional'), {}, request))).toEqual(
      expected.filter((code) => code.endsWith('long')),
    );
  });
});

describe('the lifetime', () => {
  const lines = ['lifetime: {min: 10m, default: 1h, max: 2h}'];
  it.each<[number | undefined, bigint]>([
    [undefined, 3600n],
    [600, 600n],
    [7200, 7200n],
    [7201, 7200n],
    [Number.MAX_SAFE_INTEGER, 7200n],
  ])('asked %s', (ttlSeconds, expected) => {
    const grant = granted(decide(onePolicy(...lines), {}, ttlSeconds === undefined ? {} : { ttlSeconds }));
    expect(grant.validBefore - nowSeconds).toBe(expected);
    expect(nowSeconds - grant.validAfter).toBe(60n);
  });

  it.each([[599], [1], [0], [-1], [600.5], [Number.NaN], [Number.POSITIVE_INFINITY], [2 ** 53]])(
    'refuses %s',
    (ttlSeconds) => {
      expect(codesOf(decide(onePolicy(...lines), {}, { ttlSeconds }))).toEqual(['policy.ttl_too_short']);
    },
  );

  it('counts from the whole second, never beyond the maximum', () => {
    const grant = granted(decide(onePolicy(...lines), {}, { atMs: atMs + 999 }));
    expect(grant.validBefore).toBe(nowSeconds + 3600n);
  });

  it('says that it was shortened', () => {
    const { steps } = decide(onePolicy(...lines), {}, { ttlSeconds: 86_400 });
    expect(steps.find(({ part }) => part === 'lifetime')?.because).toContain(
      '24h was asked; shortened to the maximum, 2h',
    );
  });
});

describe('the weekly window', () => {
  const office = 'windows: [{days: [mon-fri], from: 08:00, to: 18:00, timezone: UTC}]';
  const lifetime = 'lifetime: {default: 8h, max: 12h}';
  const at = (text: string): Partial<UserCertificateRequest> => ({ atMs: iso(text) });

  it.each<[string, string]>([
    ['2027-01-15T08:00:00Z', '2027-01-15T16:00:00Z'],
    ['2027-01-15T12:00:00Z', '2027-01-15T18:00:00Z'],
    ['2027-01-15T17:55:00.900Z', '2027-01-15T18:00:00Z'],
  ])('ends a certificate asked for at %s at %s', (now, end) => {
    expect(granted(decide(onePolicy(office, lifetime), {}, at(now))).validBefore).toBe(
      BigInt(iso(end) / 1000),
    );
  });

  it.each<[string, string[]]>([
    ['2027-01-15T07:59:59Z', ['policy.outside_window']],
    ['2027-01-15T18:00:00Z', ['policy.outside_window']],
    ['2027-01-16T12:00:00Z', ['policy.outside_window']],
    ['2027-01-15T17:55:01Z', ['policy.ttl_too_short']],
  ])('refuses at %s', (now, expected) => {
    expect(codesOf(decide(onePolicy(office, lifetime), {}, at(now)))).toEqual(expected);
  });

  it('may be outlived where the profile says so', () => {
    const grant = granted(
      decide(onePolicy(office, lifetime, 'outlive-window: true'), {}, at('2027-01-15T17:59:00Z')),
    );
    expect(grant.validBefore).toBe(BigInt(iso('2027-01-16T01:59:00Z') / 1000));
  });
});

describe('extensions and critical options', () => {
  const lines = [
    'extensions: [permit-pty, permit-user-rc]',
    'critical-options: {force-command: "/bin/date -u"}',
  ];

  it('stay beside a source address that is bound', () => {
    const grant = granted(decide(onePolicy(...lines, 'bind-source-address: true')));
    expect(Object.fromEntries(grant.criticalOptions)).toEqual({
      'force-command': '/bin/date -u',
      'source-address': '192.0.2.7',
    });
  });

  it('are those of the profile', () => {
    const grant = granted(decide(onePolicy(...lines)));
    expect([...grant.extensions]).toEqual([
      ['permit-pty', ''],
      ['permit-user-rc', ''],
    ]);
    expect([...grant.criticalOptions]).toEqual([['force-command', '/bin/date -u']]);
  });

  it('are none when the profile gives none', () => {
    expect(granted(decide(onePolicy())).extensions.size).toBe(0);
  });

  it.each<[readonly string[], string[]]>([
    [['permit-pty'], ['permit-pty']],
    [[], []],
  ])('extensions can be fewer: %j', (extensions, expected) => {
    expect([...granted(decide(onePolicy(...lines), {}, { extensions })).extensions.keys()]).toEqual(expected);
  });

  it.each([[['permit-X11-forwarding']], [['permit-pty', '']], [['toString']]])(
    'extensions cannot be more: %j',
    (extensions) => {
      expect(codesOf(decide(onePolicy(...lines), {}, { extensions }))).toEqual([
        'policy.extension_not_granted',
      ]);
    },
  );
});

describe('a refusal', () => {
  it('names everything that stands in the way', () => {
    const policy = onePolicy(
      'sources: [10.0.0.0/8]',
      'windows: [{days: [sun], from: 08:00, to: 18:00, timezone: UTC}]',
      'reason: required',
      'extensions: [permit-pty]',
    );
    const decision = decide(
      policy,
      { attributes: {} },
      { key: { type: 'ssh-dss', bits: 1024 }, ttlSeconds: 1, extensions: ['x'] },
    );
    expect(codesOf(decision)).toEqual([
      'policy.key_type',
      'policy.source_not_allowed',
      'policy.outside_window',
      'policy.reason_required',
      'policy.no_principals',
      'policy.ttl_too_short',
      'policy.extension_not_granted',
    ]);
  });

  it('is in words that hold no control character, whatever was asked', () => {
    const nasty = '\u001b[31m\n\u202e"';
    const request = makeRequest({
      key: { type: nasty, bits: 1 },
      sourceAddress: nasty,
      principals: [nasty],
      extensions: [nasty],
      profile: 'p',
    });
    const decision = decideUserCertificate(
      onePolicy('sources: [10.0.0.0/8]'),
      makePerson(),
      request,
      nobodyOwns,
    );
    if (decision.outcome === 'granted') throw new Error('granted');
    const words = [
      ...decision.refusals.map(({ message }) => message),
      ...decision.steps.map(({ part, because }) => part + because),
    ];
    for (const word of words) expect(word).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    expect(codesOf(decide(onePolicy(), {}, { profile: nasty }))).toEqual(['policy.unknown_profile']);
  });
});

describe('a decision', () => {
  it('is the same for the same arguments, and changes none of them', () => {
    const policy = onePolicy(
      'reason: optional',
      'bind-source-address: true',
      'critical-options: {force-command: x}',
    );
    const person = makePerson();
    const request = Object.freeze(makeRequest());
    const first = decideUserCertificate(policy, person, request, nobodyOwns);
    expect(decideUserCertificate(policy, person, request, nobodyOwns)).toEqual(first);
    expect([...(policy.profiles[0]?.criticalOptions.keys() ?? [])]).toEqual(['force-command']);
  });

  it('names the file of its rule without the folders above it', () => {
    const text = '{version: 1, profiles: {p: {who: {directories: [builtin]}, principals: {explicit: [a]}}}}';
    expect(granted(decide(parsePolicy(text, '/srv/sallyport/policy.yaml'))).rule).toBe(
      'profiles.p (policy.yaml:1)',
    );
  });

  it('carries the version of the policy, and the rule with its line', () => {
    const policy = onePolicy();
    expect(granted(decide(policy))).toMatchObject({
      policyVersion: policy.policyVersion,
      rule: 'profiles.p (policy.yaml:3)',
    });
  });
});
