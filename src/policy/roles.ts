import type { Person } from '../identity/index.ts';
import type { Role } from './grant.ts';
import type { Policy } from './policy.ts';
import { findMembership } from './who.ts';

/** Everybody whom a directory lets in is a `user`; what users get is for the profiles to say. */
export function rolesOf(policy: Policy, person: Person): ReadonlySet<Role> {
  const roles = new Set<Role>(['user']);
  if (findMembership(policy.admin, person) !== undefined) roles.add('admin');
  if (findMembership(policy.auditor, person) !== undefined) roles.add('auditor');
  return roles;
}

/** Account names in lower case that nobody gets unless a profile names them explicitly. */
export function protectedPrincipals(policy: Policy): ReadonlySet<string> {
  return policy.protectedPrincipals;
}

/** Directory attributes that this policy reads, in lower case: what an LDAP search must ask for. */
export function attributesUsed(policy: Policy): ReadonlySet<string> {
  return policy.attributes;
}
