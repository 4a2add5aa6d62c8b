import type { Node } from 'yaml';
import { printable } from '../kernel/index.ts';
import { didYouMean } from './did-you-mean.ts';
import { foldDistinguishedName, foldText, parseDistinguishedName } from './distinguished-name.ts';
import type { DecisionStep } from './grant.ts';
import { directoryKey, dnKey, groupNameKey, idKey, loginKey, sidKey } from './who.ts';
import type { AttributeEntry, Who, WhoEntry } from './who.ts';
import type { YamlReader } from './yaml-reader.ts';

/** What reading a policy shares between its parts. */
export interface ReadContext {
  readonly yaml: YamlReader;
  readonly fileName: string;
  /** Kinds of the configured directories by name; undefined when the caller does not know them. */
  readonly directories: ReadonlyMap<string, 'ldap' | 'active-directory' | 'built-in'> | undefined;
  /** Collects every directory attribute that the policy reads, in lower case. */
  readonly attributes: Set<string>;
}

export const nobody: Who = { entries: [], attributes: [] };

/** Reads `{groups, people, attributes, directories}`: any of them is enough. `part` names the step that membership gives. */
export function readWho(context: ReadContext, node: Node | undefined, what: string, part: string): Who {
  if (node === undefined) return nobody;
  const { yaml } = context;
  const fields = yaml.fields(node, what, ['groups', 'people', 'attributes', 'directories']);
  const entries: WhoEntry[] = [];
  const attributes: AttributeEntry[] = [];
  for (const item of yaml.list(fields.get('groups'), `${what}.groups`)) {
    const key = readGroup(context, item);
    if (key !== undefined)
      entries.push({ key, matched: given(context, part, item, `member of ${yaml.text(item, '') ?? ''}`) });
  }
  for (const item of yaml.list(fields.get('people'), `${what}.people`)) {
    const person = splitDirectory(context, item, 'a person', 'directory:login, or a person id');
    if (person === undefined) continue;
    const matched = given(context, part, item, `named as ${person.directory}:${person.rest}`);
    entries.push({ key: idKey(`${person.directory}:${person.rest}`), matched });
    // What looks like an immutable id is never compared with logins, which people may be able to choose.
    if (!looksLikeId(person.rest)) entries.push({ key: loginKey(person.directory, person.rest), matched });
  }
  for (const item of yaml.list(fields.get('directories'), `${what}.directories`)) {
    const name = yaml.text(item, 'a directory');
    if (name === undefined || !checkDirectory(context, item, name)) continue;
    entries.push({
      key: directoryKey(name),
      matched: given(context, part, item, `in the directory ${name}`),
    });
  }
  for (const item of yaml.list(fields.get('attributes'), `${what}.attributes`)) {
    const entry = readAttribute(context, item, part);
    if (entry !== undefined) attributes.push(entry);
  }
  if (
    fields.isMapping &&
    ['groups', 'people', 'attributes', 'directories'].every((key) => fields.get(key) === undefined)
  )
    yaml.problem(node, `${what} names nobody: give groups, people, attributes or directories`);
  return { entries, attributes };
}

function given(context: ReadContext, part: string, at: Node, because: string): DecisionStep {
  return { part, outcome: 'given', because: printable(because, 300), line: context.yaml.lineOf(at) };
}

function looksLikeId(text: string): boolean {
  return /^(?:[0-9a-f]{8}(?:-?[0-9a-f]{4}){3}-?[0-9a-f]{12}|s-1-[0-9-]+)$/i.test(text);
}

function splitDirectory(
  context: ReadContext,
  node: Node,
  what: string,
  form: string,
): { readonly directory: string; readonly rest: string } | undefined {
  const { yaml } = context;
  const text = yaml.text(node, what);
  if (text === undefined) return undefined;
  const parts = /^([^:]*):(.*)$/s.exec(text);
  const directory = parts?.[1]?.trim() ?? '';
  const rest = parts?.[2]?.trim() ?? '';
  if (parts === null || rest === '') {
    const comma = /^[A-Za-z]+ *=/.test(text)
      ? '; inside [ ] a comma separates items, so quote the whole name'
      : '';
    return yaml.problem(node, `“${printable(text, 80)}” is not ${what}: write ${form}${comma}`);
  }
  return checkDirectory(context, node, directory) ? { directory, rest } : undefined;
}

function checkDirectory({ yaml, directories }: ReadContext, node: Node, name: string): boolean {
  if (!/^[a-z0-9][a-z0-9-]{0,31}$/.test(name)) {
    yaml.problem(
      node,
      `“${printable(name, 40)}” is not the name of a directory (lower-case letters, digits, hyphens)`,
    );
    return false;
  }
  if (directories === undefined || directories.has(name)) return true;
  yaml.problem(node, `there is no directory “${name}”${didYouMean(name, directories.keys())}`);
  return false;
}

/** A group by SID, by DN, or in a built-in directory by name. @returns its key. */
function readGroup(context: ReadContext, node: Node): string | undefined {
  const { yaml, directories } = context;
  const group = splitDirectory(context, node, 'a group', 'directory:SID, directory:DN or builtin:name');
  if (group === undefined) return undefined;
  const { directory, rest } = group;
  const isBuiltIn =
    directories === undefined ? directory === 'builtin' : directories.get(directory) === 'built-in';
  if (isBuiltIn) {
    if (/^[A-Za-z][A-Za-z0-9._-]{0,63}$/.test(rest)) return groupNameKey(directory, rest);
    return yaml.problem(
      node,
      `“${printable(rest, 60)}” cannot be a group of the built-in directory “${directory}”`,
    );
  }
  if (/^s-/i.test(rest)) {
    if (/^s-1-\d{1,15}(?:-\d{1,10}){1,15}$/i.test(rest)) return sidKey(directory, rest);
    return yaml.problem(node, `“${printable(rest, 80)}” is not a complete SID (S-1-5-21-…)`);
  }
  const rdns = parseDistinguishedName(rest);
  const folded = foldDistinguishedName(rest);
  if (rdns !== undefined && folded !== undefined && rdns.length > 1) return dnKey(directory, folded);
  if (rdns === undefined && rest.includes('='))
    return yaml.problem(node, `“${printable(rest, 120)}” is not a distinguished name (RFC 4514)`);
  return yaml.problem(
    node,
    `“${printable(rest, 80)}” is only a common name, and two groups in different OUs can share it: give the whole DN (${directory}:CN=…,OU=…,DC=…) or the SID`,
  );
}

/** Reads `{attribute, equals | any-of, directory}`. */
function readAttribute(context: ReadContext, node: Node, part: string): AttributeEntry | undefined {
  const { yaml } = context;
  const fields = yaml.fields(node, 'an attribute rule', ['attribute', 'equals', 'any-of', 'directory']);
  const attribute = readAttributeName(context, fields.require('attribute'));
  const directory = yaml.text(fields.get('directory'), 'directory');
  const directoryNode = fields.get('directory');
  if (directory !== undefined && directoryNode !== undefined)
    checkDirectory(context, directoryNode, directory);
  const equals = fields.get('equals');
  const anyOf = fields.get('any-of');
  if ((equals === undefined) === (anyOf === undefined))
    return yaml.problem(node, 'an attribute rule takes either “equals” or “any-of”');
  const nodes = equals === undefined ? yaml.list(anyOf, 'any-of') : [equals];
  const texts = nodes.map((value) => yaml.text(value, 'a value') ?? '');
  if (attribute === undefined) return undefined;
  const because = `attribute ${attribute} is ${texts.join(' or ')}${directory === undefined ? '' : ` in ${directory}`}`;
  return {
    directory,
    attribute,
    values: new Set(texts.map(foldText)),
    matched: given(context, part, node, because),
  };
}

/** Reads the name of a directory attribute, and remembers that the policy needs it. @returns it in lower case. */
export function readAttributeName(context: ReadContext, node: Node | undefined): string | undefined {
  const name = context.yaml.text(node, 'attribute');
  if (node === undefined || name === undefined) return undefined;
  if (!/^[A-Za-z][A-Za-z0-9-]{0,63}$/.test(name))
    return context.yaml.problem(node, `“${printable(name, 60)}” is not the name of an attribute`);
  const lower = name.toLowerCase();
  context.attributes.add(lower);
  return lower;
}
