import { describe, expect, it } from 'vitest';
import { decideUserCertificate, defaultPolicyYaml, parsePolicy, rolesOf } from '../../src/policy/index.ts';
import { makePerson, makeRequest } from './support.ts';

const policy = parsePolicy(defaultPolicyYaml({ adminLogin: 'alice' }), 'policy.yaml');

describe('the policy that init writes', () => {
  it('gives a member of the group users a certificate for their own name, for 8 hours', () => {
    const decision = decideUserCertificate(policy, makePerson(), makeRequest(), () => undefined);
    expect(decision).toMatchObject({
      outcome: 'granted',
      grant: {
        profile: 'users',
        principals: ['alice'],
        personalPrincipals: ['alice'],
        validAfter: 1_800_000_000n - 60n,
        validBefore: 1_800_000_000n + 28_800n,
      },
    });
  });

  it('gives nothing to somebody outside the group users', () => {
    const person = makePerson({ groups: [{ name: 'admins' }] });
    const decision = decideUserCertificate(policy, person, makeRequest(), () => undefined);
    expect(decision).toMatchObject({ outcome: 'refused', refusals: [{ code: 'policy.no_profile' }] });
  });

  it('takes admins and auditors from the groups of those names', () => {
    expect([...rolesOf(policy, makePerson())]).toEqual(['user']);
    expect([...rolesOf(policy, makePerson({ groups: [{ name: 'admins' }] }))]).toEqual(['user', 'admin']);
    expect([...rolesOf(policy, makePerson({ groups: [{ name: 'auditors' }] }))]).toEqual(['user', 'auditor']);
  });

  it('parses whatever the login of the first admin is', () => {
    for (const adminLogin of ['bob', 'x\ny: z', '*', '"', '\u2028profiles: 1', 'é', '#'])
      expect(parsePolicy(defaultPolicyYaml({ adminLogin }), 'policy.yaml').profiles.length).toBe(1);
  });
});
