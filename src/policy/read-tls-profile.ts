import { basename } from 'node:path';
import { isScalar, type Node } from 'yaml';
import { printable } from '../kernel/index.ts';
import { readDerivation, readNetworks } from './read-settings.ts';
import { readAttributeName, readWho, type ReadContext } from './read-who.ts';
import { longestTlsSeconds, shortestTlsSeconds, type TlsProfile, type TlsUsage } from './tls.ts';
import type { Fields } from './yaml-reader.ts';

const profileKeys = [
  'for',
  'who',
  'names',
  'addresses',
  'usages',
  'kdc-realm',
  'account',
  'logon',
  'keys',
  'lifetime',
  'new-keys',
  'reason',
];
/** What each kind must not have: it would have no effect. */
const foreignKeys: Readonly<Record<TlsProfile['kind'], readonly string[]>> = {
  'tls-server': ['account', 'logon'],
  'tls-client': ['names', 'addresses', 'usages', 'kdc-realm', 'logon'],
  'windows-logon': ['names', 'addresses', 'usages', 'kdc-realm', 'account'],
};
const keyTypes = ['rsa', 'ecdsa-p256', 'ecdsa-p384'] as const;
const daySeconds = 86_400;
const usualDays = { 'tls-server': 397, 'tls-client': 90, 'windows-logon': 30 } as const;
const namePattern =
  /^(?:\*{1,2}\.)?[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/;

/** Reads one profile of `tls-profiles`; faults are reported, and what is returned then is never used. */
export function readTlsProfile(context: ReadContext, name: string, keyNode: Node, node: Node): TlsProfile {
  const { yaml, fileName } = context;
  if (!/^[a-z0-9][a-z0-9._-]{0,63}$/.test(name))
    yaml.problem(
      keyNode,
      `“${printable(name, 60)}” cannot be the name of a profile: use lower-case letters, digits, . _ and -`,
    );
  const fields = yaml.fields(node, `tls-profiles.${printable(name, 60)}`, profileKeys);
  const kind =
    yaml.oneOf(fields.require('for'), 'for', ['tls-server', 'tls-client', 'windows-logon']) ?? 'tls-server';
  for (const key of foreignKeys[kind]) {
    const foreign = fields.get(key);
    if (foreign !== undefined) yaml.problem(foreign, `“${key}” has no effect in a profile for ${kind}`);
  }
  const keys = readKeys(context, fields);
  return {
    name,
    rule: `tls-profiles.${name} (${basename(fileName)}:${yaml.lineOf(keyNode)})`,
    kind,
    who: readWho(context, fields.require('who'), 'who', `profile ${name}`),
    names: kind === 'tls-server' ? readNames(context, fields) : [],
    addresses: readNetworks(context, fields.get('addresses'), 'addresses'),
    usages: readUsages(context, fields, kind),
    kdcRealm: readRealm(context, fields, 'kdc-realm'),
    account: kind === 'tls-client' ? readAccount(context, fields.require('account')) : [],
    logon: kind === 'windows-logon' ? readLogon(context, fields.get('logon')) : usualLogon,
    ...keys,
    lifetime: readLifetime(context, fields.get('lifetime'), usualDays[kind] * daySeconds),
    newKeys: yaml.flag(fields.get('new-keys'), 'new-keys', true),
    reasonRequired: yaml.oneOf(fields.get('reason'), 'reason', ['required', 'optional']) === 'required',
  };
}

function readNames(context: ReadContext, fields: Fields): readonly string[] {
  const { yaml } = context;
  const names: string[] = [];
  const node = fields.get('names');
  for (const item of yaml.list(node, 'names')) {
    const text = yaml.text(item, 'a name')?.toLowerCase();
    if (text === undefined) continue;
    if (!namePattern.test(text) || /^\*{1,2}\.[^.]+$/.test(text) || /(^|\.)\d+$/.test(text))
      yaml.problem(
        item,
        `“${printable(text, 80)}” is not a name: write as400.example.com, *.example.com (one label) or **.example.com; addresses go under “addresses”`,
      );
    else names.push(text);
  }
  if (node === undefined && fields.isMapping && fields.get('addresses') === undefined)
    fields.require('names');
  return names;
}

function readUsages({ yaml }: ReadContext, fields: Fields, kind: TlsProfile['kind']): TlsProfile['usages'] {
  if (kind !== 'tls-server') return ['client'];
  const node = fields.get('usages');
  const kdc: TlsUsage[] = fields.get('kdc-realm') === undefined ? [] : ['kdc'];
  const usages = yaml.list(node, 'usages').flatMap((item): TlsUsage[] => {
    const usage = yaml.oneOf<TlsUsage>(item, 'a usage', ['server', 'client']);
    return usage === undefined ? [] : [usage];
  });
  return [...(node === undefined ? (['server'] as const) : new Set(usages)), ...kdc];
}

function readAccount(context: ReadContext, node: Node | undefined): TlsProfile['account'] {
  if (node === undefined) return [];
  const fields = context.yaml.fields(node, 'account', ['from']);
  return context.yaml
    .list(fields.require('from'), 'from')
    .flatMap((item) => readDerivation(context, item) ?? []);
}

const usualLogon = { upn: 'userprincipalname', sid: 'objectsid', realm: undefined, upnSuffixes: [] } as const;

function readLogon(context: ReadContext, node: Node | undefined): TlsProfile['logon'] {
  const { yaml } = context;
  const fields =
    node === undefined ? undefined : yaml.fields(node, 'logon', ['upn', 'sid', 'realm', 'upn-suffixes']);
  const [upnNode, sidNode] = [fields?.get('upn'), fields?.get('sid')];
  const hasSid = yaml.text(sidNode, 'sid') !== 'none';
  const upn = upnNode === undefined ? usualLogon.upn : (readAttributeName(context, upnNode) ?? '');
  const sid =
    sidNode === undefined ? usualLogon.sid : hasSid ? (readAttributeName(context, sidNode) ?? '') : undefined;
  for (const attribute of [upn, sid])
    if (attribute !== undefined && attribute !== '') context.attributes.add(attribute);
  const upnSuffixes = yaml.list(fields?.get('upn-suffixes'), 'upn-suffixes').flatMap((item) => {
    const suffix = yaml.text(item, 'a suffix')?.toLowerCase();
    if (suffix !== undefined && !/^[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})*$/.test(suffix))
      yaml.problem(item, `“${printable(suffix, 80)}” is not a suffix: write corp.example, without an @`);
    return suffix ?? [];
  });
  return { upn, sid, realm: fields && readRealm(context, fields, 'realm'), upnSuffixes };
}

function readRealm({ yaml }: ReadContext, fields: Fields, key: 'realm' | 'kdc-realm'): string | undefined {
  const node = fields.get(key);
  const realm = yaml.text(node, key);
  if (node === undefined || realm === undefined) return undefined;
  if (/^[A-Z0-9][A-Z0-9.-]{0,252}$/.test(realm)) return realm;
  return yaml.problem(node, 'a realm is written in capitals, e.g. CORP.EXAMPLE');
}

function readKeys(context: ReadContext, fields: Fields): Pick<TlsProfile, 'keyTypes' | 'rsaMinBits'> {
  const { yaml } = context;
  const node = fields.get('keys');
  const keys = node === undefined ? undefined : yaml.fields(node, 'keys', ['types', 'rsa-min-bits']);
  const types = yaml
    .list(keys?.get('types'), 'types')
    .flatMap((item) => yaml.oneOf(item, 'a key type', keyTypes) ?? []);
  const bitsNode = keys?.get('rsa-min-bits');
  const bits = isScalar(bitsNode) ? bitsNode.value : 2048;
  const isGood = typeof bits === 'number' && Number.isInteger(bits) && bits >= 2048 && bits <= 4096;
  if (bitsNode !== undefined && !isGood)
    yaml.problem(bitsNode, 'rsa-min-bits must be a number of bits between 2048 and 4096');
  return { keyTypes: new Set(types.length === 0 ? keyTypes : types), rsaMinBits: isGood ? bits : 2048 };
}

function readLifetime({ yaml }: ReadContext, node: Node | undefined, usual: number): TlsProfile['lifetime'] {
  const fields = node === undefined ? undefined : yaml.fields(node, 'lifetime', ['default', 'max']);
  const read = (key: string): number | undefined => {
    const at = fields?.get(key);
    const text = yaml.text(at, `lifetime.${key}`);
    if (at === undefined || text === undefined) return undefined;
    const seconds = /^\d{1,3}d$/.test(text) ? Number(text.slice(0, -1)) * daySeconds : 0;
    if (seconds >= shortestTlsSeconds && seconds <= longestTlsSeconds) return seconds;
    return yaml.problem(at, `lifetime.${key} is a number of days between 7d and 397d`);
  };
  const [given, max] = [read('default'), read('max')];
  const defaultSeconds = given ?? Math.min(usual, max ?? usual);
  const maxSeconds = max ?? defaultSeconds;
  if (node !== undefined && defaultSeconds > maxSeconds)
    yaml.problem(node, 'lifetime.default is longer than lifetime.max');
  return { defaultSeconds, maxSeconds };
}
