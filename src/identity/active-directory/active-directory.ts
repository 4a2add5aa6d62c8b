import { isIP } from 'node:net';
import { DirectoryOverLdap, badEntry } from '../ldap/directory-over-ldap.ts';
import type { Dialect } from '../ldap/directory-over-ldap.ts';
import { ConfigCheck } from '../ldap/config.ts';
import type { SearchRequest } from '../ldap/connection.ts';
import type { DirectoryEntry } from '../ldap/entry.ts';
import { allOf, anyOf, equals, has } from '../ldap/filter.ts';
import type { Filter } from '../ldap/filter.ts';
import { Fleet } from '../ldap/fleet.ts';
import { checkConnection, checkServers } from '../ldap/rfc4519-directory.ts';
import type { DirectoryDeps } from '../ldap/rfc4519-directory.ts';
import type { Directory, Group, Person } from '../person.ts';
import type { WatchHow } from '../ldap/ldap-watch.ts';
import type { DirectoryWatch } from '../watch.ts';
import { ActiveDirectoryWatch } from './active-directory-watch.ts';
import { accountState, isStateReadable, stateAttributes } from './account-state.ts';
import { readBind } from './bind-verdict.ts';
import type { ActiveDirectoryConfig } from './config.ts';
import { discoverControllers, dnsResolver, lookupThrough } from './discovery.ts';
import type { NameResolver } from './discovery.ts';
import { tokenGroups } from './groups.ts';
import { guidToBytes, guidToText, sidToText } from './identifiers.ts';
import { parseDomainLogin } from './names.ts';
import type { DomainNames } from './names.ts';

export interface ActiveDirectoryDeps extends DirectoryDeps {
  /** Default: DNS, through `dnsServers` where they are given. */
  readonly resolver?: NameResolver;
}

/**
 * One Active Directory domain. It begins to look for its controllers at once, in the background; `close` ends that.
 * @throws CodedError `identity.bad_directory_config` naming the field
 */
export function createActiveDirectory(config: ActiveDirectoryConfig, deps: ActiveDirectoryDeps): Directory {
  const check = new ConfigCheck(config.name);
  const dialect = new DomainDialect(config, check);
  const { servers, dnsServers = [] } = config;
  if (config.service === undefined)
    throw check.problem('service', 'Active Directory answers no searches without an account');
  check.count('dnsServers', dnsServers, { min: 0, max: 8 });
  if (dnsServers.some((address) => isIP(address) === 0))
    throw check.problem('dnsServers', 'write each as an IP address');
  if (servers !== undefined && dnsServers.length > 0)
    throw check.problem('dnsServers', 'it has no effect beside “servers”');
  if (servers === undefined && config.tls === 'none-i-accept-clear-text-passwords')
    throw check.problem('tls', 'servers that DNS announces are only spoken to through TLS');
  const resolver = deps.resolver ?? dnsResolver(dnsServers);
  const lookup = servers === undefined ? lookupThrough(resolver) : undefined;
  const addresses = servers === undefined ? [] : checkServers({ ...config, servers }, check);
  const fleet = new Fleet({
    ...checkConnection(config, check, (text) => /^[^\s@\\=]+(?:@|\\)[^\s@\\=]+$/.test(text)),
    ...(lookup === undefined ? {} : { lookup }),
    directory: config.name,
    discover: () =>
      servers === undefined
        ? discoverControllers(config.domain, config.tls === 'starttls' ? 'starttls' : 'ldaps', resolver)
        : Promise.resolve(addresses),
  });
  return new DirectoryOverLdap(dialect, fleet, deps.clock);
}

const usualAttributes: readonly string[] = [
  'sAMAccountName',
  'userPrincipalName',
  'mail',
  'displayName',
  'givenName',
  'sn',
  'cn',
  'department',
  'employeeID',
  'uid',
  'uidNumber',
  'gidNumber',
];

/** SAM_NORMAL_USER_ACCOUNT: people, never computers, trusts or managed service accounts ([MS-SAMR] section 2.2.1.9). */
const normalUser = equals('sAMAccountType', '805306368');

class DomainDialect implements Dialect {
  readonly kind = 'active-directory';
  readonly name: string;
  readonly peopleBaseDns: readonly string[];
  readonly #domainBaseDn: string;
  readonly #names: DomainNames;
  readonly #userFilter: Filter | undefined;
  readonly #attributes: readonly string[];

  constructor(config: ActiveDirectoryConfig, check: ConfigCheck) {
    this.name = config.name;
    const dnsName = /^(?=.{3,253}$)[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})+$/i;
    if (!dnsName.test(config.domain))
      throw check.problem('domain', 'write the DNS name of the domain, e.g. ad.corp.example');
    const domain = config.domain.toLowerCase();
    const { netbiosName, upnSuffixes = [] } = config;
    if (netbiosName !== undefined && !/^[^\s"/\\[\]:;|=,+*?<>@.]{1,15}$/.test(netbiosName))
      throw check.problem('netbiosName', 'write the short name of the domain, at most 15 characters');
    check.count('upnSuffixes', upnSuffixes, { min: 0, max: 64 });
    if (upnSuffixes.some((suffix) => !/^[a-z0-9.-]{1,253}$/i.test(suffix)))
      throw check.problem('upnSuffixes', 'write each as a domain name, without an @');
    this.#names = {
      domain,
      netbiosName: netbiosName?.toLowerCase(),
      suffixes: new Set([domain, ...upnSuffixes.map((suffix) => suffix.toLowerCase())]),
    };
    this.#domainBaseDn = domain
      .split('.')
      .map((label) => `DC=${label}`)
      .join(',');
    const bases = config.peopleBaseDns ?? [this.#domainBaseDn];
    check.count('peopleBaseDns', bases, { min: 1, max: 16 });
    this.peopleBaseDns = bases.map((dn) => check.dn('peopleBaseDns', dn));
    this.#userFilter =
      config.userFilter === undefined ? undefined : check.filter('userFilter', config.userFilter);
    check.count('attributes', config.attributes ?? [], { min: 0, max: 64 });
    const more = (config.attributes ?? []).map((name) => check.attribute('attributes', name));
    // Read in any case, as bytes: a second spelling of it would come as text.
    this.#attributes = [...new Set([...usualAttributes, ...more])].filter(
      (name) => name.toLowerCase() !== 'objectsid',
    );
  }

  recognises(login: string): boolean {
    return parseDomainLogin(login, this.#names) !== undefined;
  }

  byLogin(login: string): readonly SearchRequest[] {
    const parsed = parseDomainLogin(login, this.#names);
    if (parsed === undefined) return [];
    if (parsed.form === 'account') return this.#inPeople(equals('sAMAccountName', parsed.account), false);
    const explicit = equals('userPrincipalName', parsed.principal);
    // Every account also answers to account@domain, whatever its userPrincipalName says. Where that is another account's
    // explicit name, two entries match, and the name is refused as ambiguous.
    const implicit = parsed.suffix === this.#names.domain ? [equals('sAMAccountName', parsed.account)] : [];
    return this.#inPeople(anyOf([explicit, ...implicit]), false);
  }

  byId(id: string, anyScope: boolean): readonly SearchRequest[] {
    const guid = guidToBytes(id);
    return guid === undefined ? [] : this.#inPeople(equals('objectGUID', guid), anyScope);
  }

  identify(entry: DirectoryEntry): { readonly id: string; readonly login: string } {
    const [guid] = entry.bytes('objectGUID');
    const id = guid && guidToText(guid);
    if (id === undefined) throw badEntry(entry.dn, 'has no readable objectGUID');
    const [login] = entry.text('sAMAccountName');
    if (login === undefined) throw badEntry(entry.dn, 'has no sAMAccountName');
    return { id, login };
  }

  describe(entry: DirectoryEntry): Pick<Person, 'displayName' | 'attributes'> {
    const displayName = entry.text('displayName')[0] ?? entry.text('cn')[0];
    const attributes = new Map<string, readonly string[]>();
    for (const name of this.#attributes) {
      const values = entry.text(name);
      if (values.length > 0) attributes.set(name.toLowerCase(), values);
    }
    const [sid, ...others] = entry.bytes('objectSid').map(sidToText);
    if (sid !== undefined && others.length === 0) attributes.set('objectsid', [sid]);
    return { ...(displayName === undefined ? {} : { displayName }), attributes };
  }

  readBind = readBind;

  stateOf(entry: DirectoryEntry, nowMs: number): ReturnType<Dialect['stateOf']> {
    return Promise.resolve(accountState(entry, nowMs));
  }

  /** A domain controller looks at everything when it checks a password. */
  stateBesideBind(): undefined {
    return undefined;
  }

  groupsOf(entry: DirectoryEntry, fleet: Fleet): ReturnType<Dialect['groupsOf']> {
    return tokenGroups(entry, this.#domainBaseDn, fleet);
  }

  anybody(): readonly SearchRequest[] {
    return this.#inPeople(has('objectGUID'), false);
  }

  doubtState(entry: DirectoryEntry): string | undefined {
    return isStateReadable(entry)
      ? undefined
      : 'the service account cannot read userAccountControl and msDS-User-Account-Control-Computed';
  }

  /** Groups of this very domain whose names do not resolve are hidden from the service account: a policy that names one by DN would miss it. */
  doubtGroups(entry: DirectoryEntry, groups: readonly Group[]): Promise<string | undefined> {
    const [bytes] = entry.bytes('objectSid');
    const domain = (bytes && sidToText(bytes))?.replace(/-\d+$/, '-');
    if (domain === undefined) return Promise.resolve('the service account cannot read objectSid');
    const hidden = groups.filter(({ sid, dn }) => dn === undefined && sid?.startsWith(domain) === true);
    return Promise.resolve(
      hidden.length === 0 ? undefined : `the service account cannot read ${hidden.length} of the groups`,
    );
  }

  watch(fleet: Fleet, how: WatchHow): DirectoryWatch {
    return new ActiveDirectoryWatch(
      {
        domainBaseDn: this.#domainBaseDn,
        attributes: this.#attributes,
        ids: (ids) =>
          this.#inPeople(
            anyOf(ids.flatMap((id) => guidToBytes(id) ?? []).map((guid) => equals('objectGUID', guid))),
            false,
          ),
      },
      fleet,
      how.method,
    );
  }

  #inPeople(filter: Filter, anyScope: boolean): readonly SearchRequest[] {
    return this.peopleBaseDns.map((baseDn) => ({
      baseDn,
      scope: 'sub',
      filter: allOf(normalUser, anyScope ? undefined : this.#userFilter, filter),
      attributes: [...this.#attributes, ...stateAttributes, 'objectGUID', 'objectSid'],
      binaryAttributes: ['objectGUID', 'objectSid', 'logonHours'],
    }));
  }
}
