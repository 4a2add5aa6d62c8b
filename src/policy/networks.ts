import { contains, parseNetwork, unmapped } from '../kernel/index.ts';
import type { Address, Network, NetworkProblem } from '../kernel/index.ts';

export interface ListedNetwork extends Network {
  /** As OpenSSH takes it: `10.0.0.0/8`, `2001:db8::/32`, or a single address. */
  readonly text: string;
}

/** Networks of one setting, at least one. */
export interface Networks {
  readonly list: readonly ListedNetwork[];
  readonly line: number;
}

/** Reads `address/prefix` or one address, as sshd takes it in source-address. @returns the network, or what is wrong with the text. */
export function parseListedNetwork(text: string): ListedNetwork | string {
  const network = parseNetwork(text);
  if (typeof network === 'string') return wording(network, text);
  // sshd compares such an address as IPv4, so that no network written like this would ever hold it.
  if (unmapped(network.address) !== network.address) return 'is IPv4 written as IPv6: write it as IPv4';
  return { ...network, text: text.toLowerCase() };
}

function wording(problem: NetworkProblem, text: string): string {
  if (problem === 'no_address') return 'is not a network such as 10.0.0.0/8 or 2001:db8::/32';
  if (problem === 'bad_prefix') return 'has a prefix length that is not a number';
  if (problem === 'prefix_too_long') return `has a prefix longer than ${text.includes(':') ? 128 : 32} bits`;
  // OpenSSH refuses such a list at login ("Inconsistent mask length"), and the certificate with it.
  return `has bits set after its first ${text.slice(text.indexOf('/') + 1)}: is the network or the length wrong?`;
}

export function isWithin(address: Address, networks: Networks): boolean {
  return networks.list.some((network) => contains(network, address));
}
