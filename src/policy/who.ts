import type { Person } from '../identity/index.ts';
import { foldDistinguishedName, foldText } from './distinguished-name.ts';
import type { DecisionStep } from './grant.ts';

/** One way to belong: a key to look up among what is known of a person, and the step that says so. */
export interface WhoEntry {
  readonly key: string;
  readonly matched: DecisionStep;
}

export interface AttributeEntry {
  /** Undefined for people of every directory. */
  readonly directory: string | undefined;
  /** Lower case. */
  readonly attribute: string;
  /** Folded. */
  readonly values: ReadonlySet<string>;
  readonly matched: DecisionStep;
}

/** Any entry is enough; without entries nobody belongs. */
export interface Who {
  readonly entries: readonly WhoEntry[];
  readonly attributes: readonly AttributeEntry[];
}

export const sidKey = (directory: string, sid: string): string => `sid ${directory}:${sid.toUpperCase()}`;
export const dnKey = (directory: string, foldedDn: string): string => `dn ${directory}:${foldedDn}`;
export const groupNameKey = (directory: string, name: string): string =>
  `name ${directory}:${foldText(name)}`;
export const loginKey = (directory: string, login: string): string => `login ${directory}:${foldText(login)}`;
export const idKey = (id: string): string => `id ${id}`;
export const directoryKey = (directory: string): string => `directory ${directory}`;

// A Person is immutable and is asked about many times while a session lives.
const keysOfPeople = new WeakMap<Person, ReadonlySet<string>>();

function keysOf(person: Person): ReadonlySet<string> {
  const known = keysOfPeople.get(person);
  if (known !== undefined) return known;
  const { directory } = person;
  const keys = new Set([idKey(person.id), loginKey(directory, person.login), directoryKey(directory)]);
  for (const group of person.groups) {
    if (group.sid !== undefined) keys.add(sidKey(directory, group.sid));
    if (group.name !== undefined) keys.add(groupNameKey(directory, group.name));
    const dn = group.dn === undefined ? undefined : foldDistinguishedName(group.dn);
    if (dn !== undefined) keys.add(dnKey(directory, dn));
  }
  keysOfPeople.set(person, keys);
  return keys;
}

/** @returns the step of the first entry that the person meets, or undefined when they meet none. */
export function findMembership(who: Who, person: Person): DecisionStep | undefined {
  const keys = keysOf(person);
  for (const entry of who.entries) if (keys.has(entry.key)) return entry.matched;
  for (const entry of who.attributes) {
    if (entry.directory !== undefined && entry.directory !== person.directory) continue;
    for (const value of person.attributes.get(entry.attribute) ?? [])
      if (entry.values.has(foldText(value))) return entry.matched;
  }
  return undefined;
}
