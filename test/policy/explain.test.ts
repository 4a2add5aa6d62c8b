import { describe, expect, it } from 'vitest';
import { explainUserCertificate, parsePolicy } from '../../src/policy/index.ts';
import type { UserDecision } from '../../src/policy/index.ts';
import { atMs, decide, makePerson, nobodyOwns, onePolicy } from './support.ts';

const policy = parsePolicy(
  `version: 1
profiles:
  dba:
    who: {groups: [builtin:dba]}
    principals: {explicit: [oracle]}
  users:
    who:
      people: [builtin:bob]
      groups: [builtin:users]
    principals:
      explicit: [deploy]
      from:
        - attribute: uid
          transforms: [lower]
    lifetime: {max: 2h}
    extensions: [permit-pty]
    critical-options: {force-command: /bin/date}
    sources: [192.0.2.0/24]
    windows:
      - {days: [fri], from: 08:00, to: 09:00, timezone: UTC}
    reason: required
`,
  'policy.yaml',
);

/** Steps as a terminal would print them. */
function print({ steps }: UserDecision): string[] {
  return steps.map(({ part, outcome, because, line }) => `${line ?? '-'} ${outcome} ${part}: ${because}`);
}

describe('the steps of a decision', () => {
  it('say for each part what came of it, why, and by which line', () => {
    expect(print(decide(policy, {}, { reason: 'INC-7', principals: ['alice'] }))).toEqual([
      '4 skipped profile dba: this person is not among those it is for',
      '9 given profile users: member of builtin:users',
      '6 given key: ssh-ed25519 is allowed',
      '18 given source: 192.0.2.7 is in an allowed network',
      '20 given window: open until 2027-01-15 09:00:00 UTC',
      '- given reason: a reason was given',
      '11 skipped principal deploy: it was not asked for',
      '13 given principal alice: attribute uid, lower',
      '15 given lifetime: 2h by default, at most 2h',
      '15 given lifetime: shortened to 1h: a certificate ends with its window',
      '16 given extensions: permit-pty',
      '17 given critical option force-command: always set by the profile to /bin/date',
    ]);
  });

  it('name each refusal beside what was given', () => {
    const steps = print(decide(policy, {}, { profile: 'users', sourceAddress: '198.51.100.1' }));
    expect(steps.filter((step) => step.includes(' refused ')).map((step) => step.split(':')[0])).toEqual([
      '18 refused source',
      '21 refused reason',
    ]);
    expect(steps.some((step) => step.includes('given principal alice'))).toBe(true);
  });

  it('tell of a profile that is not there', () => {
    expect(print(decide(policy, {}, { profile: 'user' }))).toEqual([
      expect.stringMatching(/^- refused profile user: .*did you mean “users”/),
    ]);
  });
});

describe('an explanation', () => {
  const explain = (lines: readonly string[]): UserDecision =>
    explainUserCertificate(onePolicy(...lines), makePerson(), { atMs }, nobodyOwns);

  it('needs no key: it says which would do', () => {
    const decision = explain(['keys: {require-security-key: true}']);
    expect(decision.outcome).toBe('granted');
    expect(print(decision)).toContain(
      '6 skipped key: none was given; sk-ssh-ed25519@openssh.com, sk-ecdsa-sha2-nistp256@openssh.com would do',
    );
  });

  it('needs no address: it says which would do', () => {
    expect(print(explain(['sources: [10.0.0.0/8]']))).toContain(
      '6 skipped source: none was given; 10.0.0.0/8 would do',
    );
    expect(explain(['sources: [10.0.0.0/8]']).outcome).toBe('granted');
  });

  it('puts a text that no certificate can carry where an address would be bound', () => {
    const decision = explain(['bind-source-address: true']);
    expect(decision.outcome === 'granted' && decision.grant.criticalOptions.get('source-address')).toBe(
      '(the address of the request)',
    );
  });

  it('needs no reason: it says whether the request must give one, and never that one was given', () => {
    const open = explain(['reason: required']);
    expect(open.outcome).toBe('granted');
    expect(print(open)).toContain('6 skipped reason: none was given; the request must give one');
    expect(print(explain([]))).toContain('- given reason: none is needed');
    for (const lines of [['reason: required'], []])
      expect(print(explain(lines)).join()).not.toContain('a reason was given');
  });

  it('refuses as a decision would', () => {
    const ask = (reason: string): UserDecision =>
      explainUserCertificate(onePolicy('reason: required'), makePerson(), { atMs, reason }, nobodyOwns);
    expect(ask('?')).toMatchObject({ outcome: 'refused', refusals: [{ code: 'policy.reason_required' }] });
    expect(ask('INC-7').outcome).toBe('granted');
    expect(explain(['windows: [{days: [sat], from: 08:00, to: 09:00, timezone: UTC}]'])).toMatchObject({
      outcome: 'refused',
      refusals: [
        { code: 'policy.outside_window', message: expect.stringContaining('now 2027-01-15 08:00:00 UTC.') },
      ],
    });
  });
});
