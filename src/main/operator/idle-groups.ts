import type { Person } from '../../identity/index.ts';
import { isMemberOfAny, rolesOf, type Policy } from '../../policy/index.ts';

/** Of the groups of somebody of a built-in directory, those by which the policy gives nothing: no role, and no profile. */
export function idleGroups(
  policy: Policy,
  person: Omit<Person, 'groups'>,
  groups: readonly string[],
): readonly string[] {
  return groups.filter((name) => {
    const member: Person = { ...person, groups: [{ name }] };
    return rolesOf(policy, member).size === 1 && !isMemberOfAny(policy, member);
  });
}
