import type { ConnectionConfig } from '../ldap/config.ts';

export interface ActiveDirectoryConfig extends ConnectionConfig {
  /** Lower-case letters, digits, hyphens, at most 32: the part of a PersonId before the colon. Never rename it. */
  readonly name: string;
  /** DNS name of the domain, e.g. `ad.corp.example`. One configured directory is one domain. */
  readonly domain: string;
  /** The name before the backslash in `CORP\alice`; at most 15 characters. Without it that form is not recognised. */
  readonly netbiosName?: string;
  /** Further suffixes of user principal names, besides `domain`, at most 64. */
  readonly upnSuffixes?: readonly string[];
  /**
   * Domain controllers as `ldaps://host[:636]` or `ldap://host[:389]`, in the order of preference. Left out: they are found by
   * DNS (SRV `_ldap._tcp.dc._msdcs.DOMAIN`) and spoken to by `ldaps` on 636, or with `tls: starttls` on the announced port.
   */
  readonly servers?: readonly string[];
  /** DNS servers (IP addresses) to ask instead of the operating system's, at most 8. Only without `servers`. */
  readonly dnsServers?: readonly string[];
  /** Where people are, searched with everything below. Default: the whole domain. */
  readonly peopleBaseDns?: readonly string[];
  /** RFC 4515 filter that people must match besides being normal user accounts. */
  readonly userFilter?: string;
  /** More attributes for policy to see, at most 64. Passwords and hashes are refused. */
  readonly attributes?: readonly string[];
}
