import type { Node } from 'yaml';
import { printable } from '../kernel/index.ts';
import { defaultHostGroup, type HostGroup } from './host-group.ts';
import { readPrincipal } from './read-profile.ts';
import { formatDuration, parseDuration } from './read-settings.ts';
import type { ReadContext } from './read-who.ts';

const day = 86_400;
const settings = ['end-sessions', 'when-stale', 'fresh-for', 'certificate', 'principals'];

/** Reads `host-groups`; the group `default` is there also when it is not written down. */
export function readHostGroups(context: ReadContext, node: Node | undefined): ReadonlyMap<string, HostGroup> {
  const { yaml } = context;
  const groups = new Map([[defaultHostGroup.name, defaultHostGroup]]);
  for (const { key, keyNode, value } of node === undefined ? [] : yaml.entries(node, 'host-groups')) {
    if (/^[a-z0-9][a-z0-9-]{0,31}$/.test(key)) groups.set(key, readHostGroup(context, key, value));
    else
      yaml.problem(
        keyNode,
        `“${printable(key, 40)}” cannot be a group of hosts: use 1 to 32 lower-case letters, digits and -`,
      );
  }
  return groups;
}

function readHostGroup(context: ReadContext, name: string, node: Node): HostGroup {
  const { yaml } = context;
  const what = `host-groups.${name}`;
  const fields = yaml.fields(node, what, settings);
  return {
    name,
    endSessions:
      yaml.oneOf(fields.get('end-sessions'), 'end-sessions', ['off', 'report', 'on']) ??
      defaultHostGroup.endSessions,
    whenStale:
      yaml.oneOf(fields.get('when-stale'), 'when-stale', ['warn', 'close']) ?? defaultHostGroup.whenStale,
    freshForSeconds: readSpan(context, fields.get('fresh-for'), {
      what: 'fresh-for',
      least: 600,
      most: 30 * day,
      absent: defaultHostGroup.freshForSeconds,
    }),
    certificateSeconds: readSpan(context, fields.get('certificate'), {
      what: 'certificate',
      least: day,
      most: 90 * day,
      absent: defaultHostGroup.certificateSeconds,
    }),
    principals: readAccounts(context, fields.get('principals'), `${what}.principals`),
  };
}

interface Span {
  readonly what: string;
  readonly least: number;
  readonly most: number;
  readonly absent: number;
}

function readSpan(
  { yaml }: ReadContext,
  node: Node | undefined,
  { what, least, most, absent }: Span,
): number {
  const text = yaml.text(node, what);
  if (node === undefined || text === undefined) return absent;
  const days = /^(\d{1,3})d$/.exec(text.trim())?.[1];
  const seconds = days === undefined ? parseDuration(text) : Number(days) * day;
  if (seconds !== undefined && seconds >= least && seconds <= most) return seconds;
  const range = `${formatDuration(least)} to ${most / day}d`;
  yaml.problem(node, `${what} is a duration of ${range}, e.g. 24h or 30d, not “${printable(text, 40)}”`);
  return absent;
}

function readAccounts(context: ReadContext, node: Node | undefined, what: string): HostGroup['principals'] {
  const { yaml } = context;
  if (node === undefined) return [];
  return yaml.entries(node, what).flatMap(({ key, keyNode, value }) => {
    // It becomes the name of a file on the host.
    if (!/^[A-Za-z_$@][A-Za-z0-9_$@.-]{0,63}$/.test(key)) {
      yaml.problem(keyNode, `“${printable(key, 40)}” cannot be an account here`);
      return [];
    }
    const names = yaml.list(value, `${what}.${key}`).flatMap((item) => readPrincipal(context, item) ?? []);
    if (names.length > 64) yaml.problem(value, `${what}.${key} names more than 64 principals`);
    if (new Set(names).size !== names.length) yaml.problem(value, `${what}.${key} names a principal twice`);
    return [{ account: key, names }];
  });
}
