import { CodedError, contains, parseAddress, parseNetwork, printable, unmapped } from '../kernel/index.ts';
import type { Network, NetworkProblem } from '../kernel/index.ts';

const maxListChars = 4096;

/**
 * Reads the value of a `source-address` option: CIDR ranges and single addresses, separated by commas. Stricter than sshd in
 * one respect: addresses are written out in full decimal, never `10.1` or `010.0.0.1`.
 * @throws CodedError `ssh.bad_source_address` for names, empty entries, zones, and ranges with host bits set (`10.1.2.3/8`): sshd
 *   refuses the whole certificate for any of them
 * @see OpenSSH addrmatch.c addr_match_cidr_list
 */
export function parseSourceAddressList(text: string): readonly Network[] {
  if (text.length > maxListChars) throw badSourceAddress(text, 'it is far too long');
  return text.split(',').map((entry) => {
    const network = parseNetwork(entry);
    if (typeof network === 'string') throw badSourceAddress(entry, wording[network]);
    return network;
  });
}

/**
 * True when the address, IPv4 or IPv6 text, lies in one of the ranges. As in sshd, an IPv4-mapped IPv6 address counts as IPv4,
 * and an address with a zone (`fe80::1%eth0`) lies in no range.
 */
export function matchesSourceAddress(ranges: readonly Network[], addressText: string): boolean {
  const address = parseAddress(addressText);
  return address !== undefined && ranges.some((range) => contains(range, unmapped(address)));
}

const wording: Readonly<Record<NetworkProblem, string>> = {
  no_address: 'it is no address or CIDR range',
  bad_prefix: 'its prefix length is no such number',
  prefix_too_long: 'its prefix length is no such number',
  host_bits: 'it has bits set after its prefix',
};

function badSourceAddress(entry: string, why: string): CodedError {
  return new CodedError(
    'ssh.bad_source_address',
    `“${printable(entry, 60)}” cannot be a source address: ${why}.`,
    {
      next: 'Write addresses and networks such as 192.0.2.7,10.0.0.0/8,2001:db8::/32.',
    },
  );
}
