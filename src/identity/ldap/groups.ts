import { CodedError, printable } from '../../kernel/index.ts';
import type { Group } from '../person.ts';
import type { GroupStyle } from './config.ts';
import type { DirectoryEntry } from './entry.ts';
import { allOf, anyOf, equals } from './filter.ts';
import type { Filter } from './filter.ts';
import type { Fleet } from './fleet.ts';

export interface GroupRules {
  readonly directory: string;
  readonly baseDns: readonly string[];
  readonly styles: readonly GroupStyle[];
  readonly filter: Filter | undefined;
  readonly nested: boolean;
  readonly maxDepth: number;
  readonly maxGroups: number;
}

/** Members asked for in one search: enough to walk a level in one go, small enough for any server's filter limit. */
const membersPerSearch = 50;

/**
 * All groups of a person, walked upwards level by level (RFC 4519 has no matching rule for nesting). Each group is visited
 * once, so loops end. DNs that came from the directory go back to it as they are, in filters that are values.
 * @throws CodedError `identity.group_limit` when there are more groups or levels than the rules allow: a shorter list would
 * be a wrong one.
 */
export async function walkGroups(
  entry: DirectoryEntry,
  login: string,
  rules: GroupRules,
  fleet: Fleet,
): Promise<readonly Group[]> {
  const found = new Set<string>();
  let level = await groupsHolding(
    [...memberFilters(entry.dn, rules), ...posixFilters(entry, login, rules)],
    rules,
    fleet,
  );
  for (let depth = 1; level.length > 0; depth += 1) {
    const fresh = level.filter((dn) => !found.has(dn));
    for (const dn of fresh) found.add(dn);
    if (found.size > rules.maxGroups) throw limit(rules, `more than ${rules.maxGroups} groups`);
    if (!rules.nested || fresh.length === 0) break;
    const filters = fresh.flatMap((dn) => memberFilters(dn, rules));
    level = await groupsHolding(filters, rules, fleet);
    if (depth >= rules.maxDepth && level.some((dn) => !found.has(dn)))
      throw limit(rules, `groups nested more than ${rules.maxDepth} deep`);
  }
  return [...found].map((dn) => ({ dn }));
}

function memberFilters(dn: string, rules: GroupRules): readonly Filter[] {
  return rules.styles.filter((style) => style !== 'memberUid').map((style) => equals(style, dn));
}

/** RFC 2307: members by login name, and the primary group by its number. */
function posixFilters(entry: DirectoryEntry, login: string, rules: GroupRules): readonly Filter[] {
  if (!rules.styles.includes('memberUid')) return [];
  const [gidNumber] = entry.text('gidNumber');
  const primary =
    gidNumber === undefined
      ? []
      : [allOf(equals('objectClass', 'posixGroup'), equals('gidNumber', gidNumber))];
  return [equals('memberUid', login), ...primary];
}

async function groupsHolding(
  filters: readonly Filter[],
  rules: GroupRules,
  fleet: Fleet,
): Promise<readonly string[]> {
  const dns = new Set<string>();
  for (let start = 0; start < filters.length; start += membersPerSearch) {
    const filter = allOf(rules.filter, anyOf(filters.slice(start, start + membersPerSearch)));
    for (const baseDn of rules.baseDns) {
      const groups = await fleet.search({ baseDn, scope: 'sub', filter, attributes: ['1.1'] });
      for (const { dn } of groups) dns.add(dn);
    }
  }
  return [...dns];
}

function limit(rules: GroupRules, what: string): CodedError {
  return new CodedError('identity.group_limit', `A person of “${printable(rules.directory)}” has ${what}.`, {
    next: 'Raise the limit in the configuration of the directory, or narrow its group bases or group filter.',
  });
}
