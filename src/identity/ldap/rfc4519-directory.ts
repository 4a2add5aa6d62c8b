import { printable } from '../../kernel/index.ts';
import type { Clock } from '../../kernel/index.ts';
import type { Directory, Group, Person } from '../person.ts';
import type { DirectoryWatch } from '../watch.ts';
import {
  policyAttributes,
  policyState,
  readPolicy,
  standingState,
  stateAttributes,
} from './account-state.ts';
import { readBind } from './bind-verdict.ts';
import { ConfigCheck } from './config.ts';
import type { ConnectionConfig, LdapDirectoryConfig } from './config.ts';
import type { SearchRequest } from './connection.ts';
import { badEntry, DirectoryOverLdap } from './directory-over-ldap.ts';
import type { Dialect } from './directory-over-ldap.ts';
import { fillDnTemplate, isDnTemplate, isWithin } from './distinguished-name.ts';
import type { DirectoryEntry } from './entry.ts';
import { allOf, anyEntry, anyOf, equals, has } from './filter.ts';
import type { Filter } from './filter.ts';
import { Fleet } from './fleet.ts';
import { walkGroups } from './groups.ts';
import type { GroupRules } from './groups.ts';
import { LdapWatch } from './ldap-watch.ts';
import type { WatchHow } from './ldap-watch.ts';
import { parseServerUrl } from './server-address.ts';
import type { ServerAddress } from './server-address.ts';
import type { ServerOptions } from './server.ts';

export interface DirectoryDeps {
  readonly clock: Clock;
}

/**
 * An RFC 4519 directory. It begins to ask its servers at once, in the background; `close` ends that.
 * @throws CodedError `identity.bad_directory_config` naming the field
 */
export function createLdapDirectory(config: LdapDirectoryConfig, deps: DirectoryDeps): Directory {
  const check = new ConfigCheck(config.name);
  const dialect = new LdapDialect(config, check);
  const addresses = checkServers(config, check);
  const fleet = new Fleet({
    ...checkConnection(config, check),
    directory: config.name,
    discover: () => Promise.resolve(addresses),
  });
  return new DirectoryOverLdap(dialect, fleet, deps.clock);
}

/** @throws CodedError `identity.bad_directory_config` */
export function checkConnection(
  config: ConnectionConfig,
  check: ConfigCheck,
  isServiceName?: (text: string) => boolean,
): ServerOptions {
  return {
    caPem: check.ca(config.caPem),
    service: check.service(config.service, isServiceName),
    connectTimeoutMs: check.number('connectTimeoutMs', config.connectTimeoutMs, {
      min: 100,
      max: 30_000,
      or: 2_000,
    }),
    requestTimeoutMs: check.number('requestTimeoutMs', config.requestTimeoutMs, {
      min: 100,
      max: 60_000,
      or: 5_000,
    }),
    maxConnections: check.number('maxConnections', config.maxConnections, { min: 1, max: 64, or: 8 }),
    maxWaiting: check.number('maxWaiting', config.maxWaiting, { min: 0, max: 10_000, or: 256 }),
  };
}

/** @throws CodedError `identity.bad_directory_config` */
export function checkServers(
  config: ConnectionConfig & { readonly servers: readonly string[] },
  check: ConfigCheck,
): readonly ServerAddress[] {
  check.count('servers', config.servers, { min: 1, max: 16 });
  if (new Set(config.servers).size < config.servers.length)
    throw check.problem('servers', 'one of them is named twice');
  return config.servers.map((text) => {
    const url = parseServerUrl(text);
    if (url === undefined)
      throw check.problem('servers', 'write each as ldaps://host:636 or ldap://host:389, without a path');
    const { scheme, host, port } = url;
    if (scheme === 'ldaps') return { host, port, security: 'ldaps' };
    if (config.tls === 'starttls') return { host, port, security: 'starttls' };
    if (config.tls === 'none-i-accept-clear-text-passwords') return { host, port, security: 'clear-text' };
    throw check.problem(
      'tls',
      'an ldap:// server needs tls: starttls, or passwords would cross the network as clear text',
    );
  });
}

class LdapDialect implements Dialect {
  readonly kind = 'ldap';
  readonly name: string;
  readonly peopleBaseDns: readonly string[];
  readonly #config: LdapDirectoryConfig;
  readonly #loginAttribute: string;
  readonly #loginHasDomain: boolean;
  readonly #idAttribute: string;
  readonly #displayNameAttribute: string;
  readonly #userFilter: Filter;
  readonly #attributes: readonly string[];
  readonly #groups: GroupRules;

  constructor(config: LdapDirectoryConfig, check: ConfigCheck) {
    check.count('peopleBaseDns', config.peopleBaseDns, { min: 1, max: 16 });
    check.count('groupBaseDns', config.groupBaseDns, { min: 0, max: 16 });
    check.count('attributes', config.attributes ?? [], { min: 0, max: 64 });
    this.name = config.name;
    this.#config = config;
    this.peopleBaseDns = config.peopleBaseDns.map((dn) => check.dn('peopleBaseDns', dn));
    this.#loginAttribute = check.attribute('loginAttribute', config.loginAttribute ?? 'uid');
    this.#idAttribute = check.attribute('idAttribute', config.idAttribute ?? 'entryUUID');
    this.#displayNameAttribute = check.attribute(
      'displayNameAttribute',
      config.displayNameAttribute ?? 'displayName',
    );
    this.#loginHasDomain =
      (config.loginForm ?? (/^(?:mail|.*principalname)$/i.test(this.#loginAttribute) ? 'mail' : 'name')) ===
      'mail';
    this.#userFilter = check.filter('userFilter', config.userFilter ?? '(objectClass=person)');
    this.#attributes = (config.attributes ?? []).map((name) => check.attribute('attributes', name));
    if (config.passwordPolicyDn !== undefined) check.dn('passwordPolicyDn', config.passwordPolicyDn);
    const template = config.dnTemplate;
    if (template !== undefined && !isDnTemplate(template))
      throw check.problem(
        'dnTemplate',
        'write a DN with one {login} as a whole value, e.g. uid={login},ou=people,dc=corp',
      );
    if (template !== undefined && !this.peopleBaseDns.some((base) => isWithin(template, base)))
      throw check.problem('dnTemplate', 'it does not lie below any of peopleBaseDns');
    this.#groups = groupRules(config, check);
  }

  recognises(login: string): boolean {
    return !login.includes('\\') && login.includes('@') === this.#loginHasDomain;
  }

  byLogin(login: string): readonly SearchRequest[] {
    const template = this.#config.dnTemplate;
    if (template === undefined) return this.#inPeople(equals(this.#loginAttribute, login), false);
    return [
      {
        baseDn: fillDnTemplate(template, login),
        scope: 'base',
        filter: this.#userFilter,
        attributes: this.#wanted(),
      },
    ];
  }

  byId(id: string, anyScope: boolean): readonly SearchRequest[] {
    return this.#inPeople(equals(this.#idAttribute, id), anyScope);
  }

  identify(entry: DirectoryEntry): { readonly id: string; readonly login: string } {
    const ids = entry.text(this.#idAttribute);
    const [id] = ids;
    if (id === undefined || ids.length > 1 || !/^[A-Za-z0-9._-]{1,128}$/.test(id))
      throw badEntry(entry.dn, `has no single usable value of ${this.#idAttribute}`);
    const [login] = entry.text(this.#loginAttribute);
    if (login === undefined || login === '') throw badEntry(entry.dn, `has no ${this.#loginAttribute}`);
    return { id: oneSpelling(id), login };
  }

  describe(entry: DirectoryEntry): Pick<Person, 'displayName' | 'attributes'> {
    const displayName = entry.text(this.#displayNameAttribute)[0] ?? entry.text('cn')[0];
    const attributes = new Map<string, readonly string[]>();
    for (const name of this.#shown()) {
      const values = entry.text(name);
      if (values.length > 0) attributes.set(name.toLowerCase(), values);
    }
    return { ...(displayName === undefined ? {} : { displayName }), attributes };
  }

  readBind = readBind;

  async stateOf(entry: DirectoryEntry, nowMs: number, fleet: Fleet): ReturnType<Dialect['stateOf']> {
    const standing = standingState(entry, nowMs);
    if (standing !== undefined) return standing;
    const policyDn = entry.text('pwdPolicySubentry')[0] ?? this.#config.passwordPolicyDn;
    const wantsLimits = [...entry.text('pwdAccountLockedTime'), ...entry.text('pwdChangedTime')].length > 0;
    if (policyDn === undefined || !wantsLimits) return policyState(entry, undefined, nowMs);
    const [policy] = await fleet.search({
      baseDn: policyDn,
      scope: 'base',
      filter: anyEntry,
      attributes: policyAttributes,
    });
    return policyState(entry, policy && readPolicy(policy), nowMs);
  }

  stateBesideBind = standingState;

  groupsOf(entry: DirectoryEntry, fleet: Fleet): ReturnType<Dialect['groupsOf']> {
    return walkGroups(entry, this.identify(entry).login, this.#groups, fleet);
  }

  anybody(): readonly SearchRequest[] {
    return this.#inPeople(has(this.#idAttribute), false);
  }

  /** What says “disabled” here is an attribute that is there: one that may not be read says nothing. */
  doubtState(): undefined {
    return undefined;
  }

  /** Somebody without any group may have lost the last one, or the service account the sight of all of them. */
  async doubtGroups(
    _entry: DirectoryEntry,
    groups: readonly Group[],
    fleet: Fleet,
  ): Promise<string | undefined> {
    const { baseDns, styles, filter } = this.#groups;
    if (groups.length > 0) return undefined;
    for (const baseDn of baseDns) {
      const members = anyOf(styles.map(has));
      const request = { baseDn, scope: 'sub', filter: allOf(filter, members), attributes: ['1.1'] } as const;
      if ((await fleet.search({ ...request, sizeLimit: 1 })).length === 0)
        return `no group with members is found below “${printable(baseDn, 120)}”`;
    }
    return undefined;
  }

  watch(fleet: Fleet, how: WatchHow): DirectoryWatch {
    return new LdapWatch(
      {
        peopleBaseDns: this.peopleBaseDns,
        baseDns: [...new Set([...this.peopleBaseDns, ...this.#groups.baseDns])],
        idAttribute: this.#idAttribute,
        ids: (ids) => this.#inPeople(anyOf(ids.map((id) => equals(this.#idAttribute, id))), false),
        idOf: (entry) => entry.text(this.#idAttribute).slice(0, 1).map(oneSpelling)[0],
      },
      fleet,
      how,
    );
  }

  #inPeople(filter: Filter, anyScope: boolean): readonly SearchRequest[] {
    const scope = anyScope ? undefined : this.#userFilter;
    return this.peopleBaseDns.map((baseDn) => ({
      baseDn,
      scope: 'sub',
      filter: allOf(scope, filter),
      attributes: this.#wanted(),
    }));
  }

  /** What policy gets to see. */
  #shown(): readonly string[] {
    const usual = ['uid', 'cn', 'mail', 'givenName', 'sn', 'uidNumber', 'gidNumber', 'employeeNumber'];
    return [...new Set([...usual, this.#loginAttribute, ...this.#attributes])];
  }

  #wanted(): readonly string[] {
    return [
      ...new Set([...this.#shown(), this.#idAttribute, this.#displayNameAttribute, ...stateAttributes]),
    ];
  }
}

/** UUIDs compare without regard to case (RFC 4530 section 2.2): one person, one spelling. */
function oneSpelling(id: string): string {
  return /^[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$/.test(id) ? id.toLowerCase() : id;
}

function groupRules(config: LdapDirectoryConfig, check: ConfigCheck): GroupRules {
  const styles = config.groupStyles ?? ['member', 'uniqueMember', 'memberUid'];
  check.count('groupStyles', styles, { min: 1, max: 3 });
  return {
    directory: config.name,
    baseDns: config.groupBaseDns.map((dn) => check.dn('groupBaseDns', dn)),
    styles,
    filter: config.groupFilter === undefined ? undefined : check.filter('groupFilter', config.groupFilter),
    nested: config.nestedGroups ?? true,
    maxDepth: check.number('maxGroupDepth', config.maxGroupDepth, { min: 1, max: 32, or: 10 }),
    maxGroups: check.number('maxGroups', config.maxGroups, { min: 1, max: 10_000, or: 1_000 }),
  };
}
