import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { isCodedError } from '../../src/kernel/index.ts';
import { attributesUsed, parsePolicy, protectedPrincipals } from '../../src/policy/index.ts';
import { complete, names, problemsOf, profile } from './support.ts';

describe('a complete policy', () => {
  const text = `version: 1
roles:
  admin:
    groups: [builtin:admins, corp:S-1-5-21-1-2-3-512]
    people: [builtin:alice, corp:5f0c8a34-0000-4000-8000-000000000001]
  auditor:
    attributes: [{attribute: departmentNumber, any-of: [7, "08"], directory: corp}]
protected-principals: [oracle, DB2inst1]
profiles:
  users:
    who:
      directories: [builtin]
      groups:
        - corp:CN=Ops\\, Berlin,OU=Groups,DC=corp,DC=example
      attributes:
        - {attribute: employeeType, equals: staff}
    principals:
      explicit: [deploy]
      from:
        - attribute: sAMAccountName
          transforms: [strip-domain, lower, max-length-8]
        - attribute: userPrincipalName
          transforms: [upper, max-length 10]
    lifetime: {min: 10m, default: 1h30m, max: 12h}
    extensions: [permit-pty, no-touch-required]
    critical-options:
      force-command: /usr/bin/id -a
      source-address: [10.0.0.0/8, "2001:DB8::/32"]
      verify-required: true
    keys:
      types: [sk-ssh-ed25519@openssh.com, sk-ecdsa-sha2-nistp256@openssh.com]
      rsa-min-bits: 3072
      require-security-key: true
    sources: [10.0.0.0/8, 192.0.2.7]
    bind-source-address: true
    windows:
      - {days: [mon-fri, sun], from: 08:00, to: "18:00", timezone: Europe/Berlin}
    outlive-window: true
    reason: required
`;

  it('is read whole', () => {
    const policy = parsePolicy(text, 'policy.yaml');
    const [users] = policy.profiles;
    expect(users).toMatchObject({
      name: 'users',
      rule: 'profiles.users (policy.yaml:10)',
      lifetime: { minSeconds: 600, defaultSeconds: 5400, maxSeconds: 43_200 },
      keys: { rsaMinBits: 3072, securityKeyRequired: true },
      bindSourceAddress: true,
      outliveWindow: true,
      reasonRequired: true,
    });
    expect([...(users?.criticalOptions ?? [])]).toEqual([
      ['force-command', '/usr/bin/id -a'],
      ['source-address', '10.0.0.0/8,2001:db8::/32'],
      ['verify-required', ''],
    ]);
    expect([...(users?.extensions ?? [])]).toEqual([
      ['permit-pty', ''],
      ['no-touch-required', ''],
    ]);
    expect(users?.windows[0]?.text).toBe('mon-fri,sun 08:00-18:00 Europe/Berlin');
  });

  it('names the attributes that directories must fetch, in lower case', () => {
    expect([...attributesUsed(parsePolicy(text, 'p'))].toSorted()).toEqual([
      'departmentnumber',
      'employeetype',
      'samaccountname',
      'userprincipalname',
    ]);
  });

  it('protects root, QSECOFR and Administrator beside the names that the file adds', () => {
    expect([...protectedPrincipals(parsePolicy(text, 'p'))]).toEqual([
      'root',
      'qsecofr',
      'administrator',
      'oracle',
      'db2inst1',
    ]);
  });

  it('has the SHA-256 of its bytes as version, from text and from bytes', () => {
    const expected = createHash('sha256').update(text).digest('hex');
    expect(parsePolicy(text, 'p').policyVersion).toBe(expected);
    expect(parsePolicy(Buffer.from(text), 'p').policyVersion).toBe(expected);
    expect(parsePolicy(`${text}\n`, 'p').policyVersion).not.toBe(expected);
  });

  it('may be JSON, have Windows line ends, a byte order mark, and no profile at all', () => {
    expect(problemsOf('{"version": 1, "profiles": {}}')).toEqual([]);
    expect(problemsOf(text.replaceAll('\n', '\r\n'))).toEqual([]);
    expect(problemsOf(Buffer.from(`\ufeff${text}`))).toEqual([]);
  });
});

describe('lifetimes that are left out', () => {
  it.each([
    ['nothing', '', [300, 28_800, 28_800]],
    ['only max', 'lifetime: {max: 1h}', [300, 3600, 3600]],
    ['only default', 'lifetime: {default: 1h}', [300, 3600, 3600]],
    ['max above the usual', 'lifetime: {max: 24h}', [300, 28_800, 86_400]],
    ['min above the usual', 'lifetime: {min: 12h}', [43_200, 43_200, 43_200]],
  ])('%s given', (_, line, expected) => {
    const policy = parsePolicy(profile(...complete, line), 'p');
    const lifetime = policy.profiles[0]?.lifetime;
    expect([lifetime?.minSeconds, lifetime?.defaultSeconds, lifetime?.maxSeconds]).toEqual(expected);
  });
});

describe('a refusal of a policy', () => {
  it('names all problems at once, in the order of the file, and once each', () => {
    const text = profile(
      'who: {groups: [Ops], peple: [x]}',
      'principals: {explicit: ["a b"]}',
      'lifetime: {max: 9d}',
      'reason: no',
    );
    expect(problemsOf(text).map((problem) => problem.split(' ')[0])).toEqual([
      'policy.yaml:4:20:',
      'policy.yaml:4:26:',
      'policy.yaml:5:29:',
      'policy.yaml:6:21:',
      'policy.yaml:7:13:',
    ]);
  });

  it('has a code, a next step, and the problems as details', () => {
    try {
      parsePolicy('version: 3', 'conf/policy.yaml');
      expect.unreachable();
    } catch (error) {
      if (!isCodedError(error, 'policy.invalid')) throw error;
      expect(error.next).toContain('stays');
      expect(error.details).toMatchObject({ file: 'conf/policy.yaml' });
      expect(error.details['problems']).toHaveLength(2);
    }
  });

  it('lists the first fifty problems and counts the rest', () => {
    const text = profile(
      ...complete,
      `extensions: [${Array.from({ length: 80 }, (_, index) => `x${index}`).join(', ')}]`,
    );
    const problems = problemsOf(text);
    expect(problems).toHaveLength(51);
    expect(problems[50]).toContain('30 more');
  });

  it('prints no control or bidirectional character of the file', () => {
    const [problem] = problemsOf(profile('who: {groups: ["\\e[31m\\u202eOps"]}', names));
    expect(problem).toMatch(/^[^\p{Cc}\p{Cf}]+$/u);
  });
});

describe('the bounds of a policy file', () => {
  it('are a mebibyte', () => {
    const text = profile(...complete);
    const padded = `${text}\n#${'x'.repeat((1 << 20) - Buffer.byteLength(text) - 2)}`;
    expect(problemsOf(padded)).toEqual([]);
    expect(problemsOf(`${padded}x`)).toEqual([
      expect.stringContaining('policy.yaml:1:1: the file is larger'),
    ]);
  });

  it('are UTF-8', () => {
    expect(problemsOf(Buffer.from([0x76, 0xff]))).toEqual([
      expect.stringContaining('policy.yaml:1:1: the file is not UTF-8'),
    ]);
  });

  it('are sixteen levels, and hold against twenty thousand', () => {
    const nested = (depth: number): string =>
      `version: 1\nprofiles: ${'['.repeat(depth)}${']'.repeat(depth)}`;
    expect(problemsOf(nested(15))).toEqual([expect.stringContaining('must be a mapping')]);
    for (const depth of [20, 20_000]) expect(problemsOf(nested(depth)).join()).toContain('nested');
  });

  it('hold against thirty thousand keys, without comparing each with each', () => {
    const text = `version: 1\nprofiles: {}\n${Array.from({ length: 30_000 }, (_, index) => `k${index}: 1`).join('\n')}`;
    const start = performance.now();
    expect(problemsOf(text)).toHaveLength(51);
    expect(performance.now() - start).toBeLessThan(10_000);
  });

  it('hold against nested aliases', () => {
    const levels = Array.from(
      { length: 30 },
      (_, level) => `l${level}: &l${level} [${level === 0 ? 'x' : `*l${level - 1}, *l${level - 1}`}]`,
    );
    expect(problemsOf(levels.join('\n')).length).toBeGreaterThan(30);
  });
});

describe('a policy read with the configured directories', () => {
  const directories = new Map([
    ['corp', 'active-directory'],
    ['staff', 'built-in'],
  ] as const);

  it('refuses a directory that is not there', () => {
    const text = profile(
      'who: {groups: [builtin:users], people: [crop:alice], directories: [nowhere]}',
      names,
    );
    expect(problemsOf(text, { directories }).map((problem) => problem.split(' ')[0])).toEqual([
      'policy.yaml:4:20:',
      'policy.yaml:4:45:',
      'policy.yaml:4:72:',
    ]);
    expect(problemsOf(text, { directories })[1]).toContain('did you mean “corp”');
  });

  it('takes groups by name from a built-in directory of any name, and from no other', () => {
    expect(problemsOf(profile('who: {groups: [staff:users]}', names), { directories })).toEqual([]);
    expect(problemsOf(profile('who: {groups: [corp:users]}', names), { directories })).toHaveLength(1);
    expect(problemsOf(profile('who: {groups: [staff:users]}', names))).toHaveLength(1);
  });
});
