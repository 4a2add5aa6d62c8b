import { getServers, Resolver } from 'node:dns/promises';
import type { LookupAddress } from 'node:dns';
import type { LookupFunction } from 'node:net';
import type { ServerAddress } from '../ldap/server-address.ts';
import { querySrv } from './srv-query.ts';

export interface SrvRecord {
  readonly name: string;
  readonly port: number;
  readonly priority: number;
  readonly weight: number;
}

/** Names to servers and addresses; in tests an argument. */
export interface NameResolver {
  resolveSrv(name: string): Promise<readonly SrvRecord[]>;
  /** IPv4 and IPv6 addresses of a host. Without it the operating system is asked. */
  readonly addresses?: (host: string) => Promise<readonly string[]>;
}

const dnsTimeoutMs = 2_000;
const maxServers = 16;

/** Asks the given DNS servers (IP addresses), or those of the operating system when there are none. */
export function dnsResolver(servers: readonly string[]): NameResolver {
  const resolver = new Resolver({ timeout: dnsTimeoutMs, tries: 1 });
  if (servers.length > 0) resolver.setServers(servers);
  const resolveSrv = async (name: string): Promise<readonly SrvRecord[]> => {
    try {
      return await resolver.resolveSrv(name);
    } catch (error) {
      const [server] = servers.length > 0 ? servers : getServers();
      const unreadable = error instanceof Error && 'code' in error && error.code === 'EBADRESP';
      if (!unreadable || server === undefined) throw error;
      return querySrv(name, server, dnsTimeoutMs);
    }
  };
  if (servers.length === 0) return { resolveSrv };
  return {
    resolveSrv,
    addresses: async (host) => {
      const answers = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)]);
      return answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
    },
  };
}

/**
 * The domain controllers that DNS announces, best first. DNS is not proof: only hosts within the domain count, and TLS must
 * show a certificate for the announced name.
 * @throws Error as the resolver's
 */
export async function discoverControllers(
  domain: string,
  security: ServerAddress['security'],
  resolver: NameResolver,
): Promise<readonly ServerAddress[]> {
  const records = await resolver.resolveSrv(`_ldap._tcp.dc._msdcs.${domain}`);
  return inOrder(records)
    .map(({ name, port }) => ({ host: name.toLowerCase().replace(/\.$/, ''), port }))
    .filter(({ host }) => host.endsWith(`.${domain.toLowerCase()}`) && /^[a-z0-9._-]{1,253}$/.test(host))
    .slice(0, maxServers)
    .map(({ host, port }) => ({ host, port: security === 'ldaps' ? 636 : port, security }));
}

/**
 * By priority, then by weight, then by name. RFC 2782 draws among equal priorities by lot; a fixed order keeps one broker on
 * one controller, whose pooled connections are warm.
 */
function inOrder(records: readonly SrvRecord[]): readonly SrvRecord[] {
  return [...records].sort(
    (a, b) => a.priority - b.priority || b.weight - a.weight || (a.name < b.name ? -1 : 1),
  );
}

/** Lets sockets find hosts through the resolver. */
export function lookupThrough(resolver: NameResolver): LookupFunction | undefined {
  const { addresses } = resolver;
  if (addresses === undefined) return undefined;
  return (hostname, options, callback) => {
    addresses(hostname).then(
      (found) => {
        const all: LookupAddress[] = found.map((address) => ({
          address,
          family: address.includes(':') ? 6 : 4,
        }));
        const [first] = all;
        if (first === undefined) callback(new Error(`no address for ${hostname}`), '', 4);
        else if (options.all === true) callback(null, all);
        else callback(null, first.address, first.family);
      },
      (error: unknown) => callback(error instanceof Error ? error : new Error('look-up failed'), '', 4),
    );
  };
}
