import { X509Certificate } from 'node:crypto';
import { CodedError, printable } from '../../kernel/index.ts';
import { isDistinguishedName } from './distinguished-name.ts';
import { parseFilter } from './filter.ts';
import type { Filter } from './filter.ts';

/** How to reach the servers of one directory; the same for LDAP and Active Directory. */
export interface ConnectionConfig {
  /**
   * What protects connections to `ldap://` servers; `ldaps://` is always TLS 1.2 or 1.3. Without TLS every password crosses
   * the network readable, so that choice has to be spelled out.
   */
  readonly tls?: 'starttls' | 'none-i-accept-clear-text-passwords';
  /** PEM text of the authorities that may vouch for the servers. Default: the ones that Node trusts. */
  readonly caPem?: string;
  /**
   * The account that searches. It needs to read people (with their state and id attributes) and groups, nothing more.
   * Without it the searches are anonymous, which few directories allow and Active Directory never does. Active Directory also
   * takes `svc@domain` and `DOMAIN\svc` for the DN.
   */
  readonly service?: { readonly dn: string; readonly password: string };
  /** TCP and TLS together; milliseconds, 100 to 30,000, default 2,000. */
  readonly connectTimeoutMs?: number;
  /** One answer of a server; milliseconds, 100 to 60,000, default 5,000. */
  readonly requestTimeoutMs?: number;
  /** Connections to each server in each of the two pools, 1 to 64, default 8. */
  readonly maxConnections?: number;
  /** Requests that may wait for a connection before more are turned away, 0 to 10,000, default 256. */
  readonly maxWaiting?: number;
}

export interface LdapDirectoryConfig extends ConnectionConfig {
  /** Lower-case letters, digits, hyphens, at most 32: the part of a PersonId before the colon. Never rename it. */
  readonly name: string;
  /** `ldaps://host[:636]` or `ldap://host[:389]`, in the order of preference, 1 to 16. */
  readonly servers: readonly string[];
  /** Where people are, searched with everything below, 1 to 16. */
  readonly peopleBaseDns: readonly string[];
  /** Where groups are, 0 to 16; none means that nobody has groups. */
  readonly groupBaseDns: readonly string[];
  /** Attribute compared with the typed name; its value in the entry is the canonical login. Default `uid`. */
  readonly loginAttribute?: string;
  /** `mail` for logins with an `@`, `name` for those without. Default: by the login attribute. */
  readonly loginForm?: 'name' | 'mail';
  /** Immutable, one text value within `[A-Za-z0-9._-]{1,128}`. Default `entryUUID`; 389 DS has `nsUniqueId`, FreeIPA `ipaUniqueID`. */
  readonly idAttribute?: string;
  /** Default `displayName`, and `cn` where that is missing. */
  readonly displayNameAttribute?: string;
  /** More attributes for policy to see, at most 64. Passwords and hashes are refused. */
  readonly attributes?: readonly string[];
  /** RFC 4515 filter that people must match as well. Default `(objectClass=person)`. */
  readonly userFilter?: string;
  /**
   * Finds the person by name instead of by search, e.g. `uid={login},ou=people,dc=corp,dc=example`: exactly one `{login}`,
   * as one whole value. The entry must still match `userFilter` and lie below a people base.
   */
  readonly dnTemplate?: string;
  /** Which attributes of a group hold its members. Default: all three. */
  readonly groupStyles?: readonly GroupStyle[];
  /** RFC 4515 filter that groups must match as well. */
  readonly groupFilter?: string;
  /** Whether groups inside groups count. Default true. */
  readonly nestedGroups?: boolean;
  /** Levels of groups that are walked, 1 to 32, default 10. Deeper nesting is an error, not a shorter list. */
  readonly maxGroupDepth?: number;
  /** Groups that one person may be in, 1 to 10,000, default 1,000. More is an error, not a shorter list. */
  readonly maxGroups?: number;
  /** DN of the ppolicy entry for people without their own `pwdPolicySubentry`: lets a recheck see lockouts end and passwords expire. */
  readonly passwordPolicyDn?: string;
}

export type GroupStyle = 'member' | 'uniqueMember' | 'memberUid';

const secretAttributes = new Set([
  'userpassword',
  'authpassword',
  'unicodepwd',
  'sambantpassword',
  'sambalmpassword',
  'krbprincipalkey',
  'pwdhistory',
  'ms-mcs-admpwd',
  'mslaps-password',
]);

/** Checks the fields of one configuration; every complaint carries the directory's name and the field. */
export class ConfigCheck {
  readonly #directory: string;

  /** @throws CodedError `identity.bad_directory_config` when the name itself cannot be one. */
  constructor(name: string) {
    this.#directory = name;
    if (!/^[a-z0-9][a-z0-9-]{0,31}$/.test(name))
      throw this.problem('name', 'use 1 to 32 lower-case letters, digits and hyphens');
  }

  problem(field: string, what: string): CodedError {
    return new CodedError(
      'identity.bad_directory_config',
      `Directory “${printable(this.#directory, 40)}”, field “${field}”: ${what}.`,
      {
        next: `Correct “${field}” of this directory in the configuration file.`,
        details: { directory: printable(this.#directory, 40), field },
      },
    );
  }

  /** The caller gives the default; whole numbers from `min` to `max`, both included. */
  number(field: string, value: number | undefined, range: { min: number; max: number; or: number }): number {
    const number = value ?? range.or;
    if (!Number.isInteger(number) || number < range.min || number > range.max)
      throw this.problem(field, `use a whole number from ${range.min} to ${range.max}`);
    return number;
  }

  attribute(field: string, value: string): string {
    if (!/^[A-Za-z][A-Za-z0-9-]{0,127}$/.test(value))
      throw this.problem(field, `“${printable(value, 40)}” is not the name of an attribute`);
    if (secretAttributes.has(value.toLowerCase()))
      throw this.problem(field, `“${value}” holds a secret and is never read`);
    return value;
  }

  dn(field: string, value: string): string {
    if (!isDistinguishedName(value))
      throw this.problem(
        field,
        `“${printable(value, 60)}” is not a distinguished name such as ou=people,dc=corp,dc=example`,
      );
    return value;
  }

  filter(field: string, value: string): Filter {
    const filter = parseFilter(value);
    if (filter === undefined)
      throw this.problem(field, `“${printable(value, 60)}” is not an RFC 4515 filter`);
    return filter;
  }

  count(field: string, list: readonly unknown[], range: { min: number; max: number }): void {
    if (list.length < range.min || list.length > range.max)
      throw this.problem(field, `give ${range.min} to ${range.max} of them, not ${list.length}`);
  }

  ca(pem: string | undefined): string | undefined {
    if (pem === undefined) return undefined;
    try {
      const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
      for (const block of blocks) void new X509Certificate(block);
      if (blocks.length > 0) return pem;
    } catch {
      // Told below: node's own words for a bad certificate name no field.
    }
    throw this.problem('caPem', 'it holds no readable PEM certificate');
  }

  /** `isName` accepts further forms of the account's name besides a DN. */
  service(
    service: ConnectionConfig['service'],
    isName: (text: string) => boolean = () => false,
  ): ConnectionConfig['service'] {
    if (service === undefined) return undefined;
    if (!isName(service.dn)) this.dn('service.dn', service.dn);
    // An empty password would be an anonymous bind that looks like success (RFC 4513 section 5.1.2).
    if (service.password === '' || service.password.includes('\0'))
      throw this.problem('service.password', 'it is empty, or holds a NUL');
    return service;
  }
}
