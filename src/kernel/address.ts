import { isIPv4, isIPv6 } from 'node:net';

/** An IP address as one number: 32 bits for IPv4, 128 for IPv6. */
export interface Address {
  readonly bits: 32 | 128;
  readonly value: bigint;
}

/** The addresses that share the first `prefixBits` bits with `address`, which has none set after them. */
export interface Network {
  readonly address: Address;
  readonly prefixBits: number;
}

/** What keeps a text from being a network. */
export type NetworkProblem = 'no_address' | 'bad_prefix' | 'prefix_too_long' | 'host_bits';

/** The longest text is an IPv6 address with a dotted tail, 45 characters; Node's own check need not see more. */
const maxAddressChars = 45;

/**
 * Reads IPv4 in four full decimal numbers (never `10.1` or `010.0.0.1`) or any spelling of IPv6 (RFC 4291 section 2.2). IPv4
 * mapped into IPv6 (`::ffff:10.0.0.1`) stays IPv6: see `unmapped`.
 * @returns undefined for anything else: names, zones (`%eth0`), brackets, ports, white space
 */
export function parseAddress(text: string): Address | undefined {
  if (text.length > maxAddressChars) return undefined;
  if (isIPv4(text)) return { bits: 32, value: ipv4Value(text) };
  if (!isIPv6(text) || text.includes('%')) return undefined;
  const [left = '', right = ''] = withoutDottedTail(text).split('::');
  const [before, after] = [groups(left), groups(right)];
  const zeros = Array<bigint>(8 - before.length - after.length).fill(0n);
  const value = [...before, ...zeros, ...after].reduce((sum, group) => (sum << 16n) | group, 0n);
  return { bits: 128, value };
}

/** The IPv4 address inside an IPv4-mapped IPv6 one (RFC 4291 section 2.5.5.2); every other address as it is. */
export function unmapped(address: Address): Address {
  if (address.bits === 128 && address.value >> 32n === 0xffffn)
    return { bits: 32, value: address.value & 0xffff_ffffn };
  return address;
}

/**
 * The host at the other end of a connection, from what a socket says: an IPv4 address in IPv6 clothes counts as IPv4, and a zone
 * (`fe80::1%eth0`) is left out, because it names the way here and not the host. @returns undefined for anything else
 */
export function parsePeerAddress(text: string): Address | undefined {
  const zone = text.indexOf('%');
  const isZoned = zone > 0 && text.length < 128 && isIPv6(text);
  const address = parseAddress(isZoned ? text.slice(0, zone) : text);
  return address && unmapped(address);
}

/**
 * Reads `address/prefix`, or one address as the network of itself alone. Bits after the prefix are refused, as OpenSSH does
 * (`10.1.2.3/8`, "Inconsistent mask length"), and so are masks, leading zeros and lists.
 */
export function parseNetwork(text: string): Network | NetworkProblem {
  const slash = text.indexOf('/');
  const address = parseAddress(slash < 0 ? text : text.slice(0, slash));
  if (address === undefined) return 'no_address';
  if (slash < 0) return { address, prefixBits: address.bits };
  const prefixText = text.slice(slash + 1);
  if (!/^(?:0|[1-9]\d{0,2})$/.test(prefixText)) return 'bad_prefix';
  const prefixBits = Number(prefixText);
  if (prefixBits > address.bits) return 'prefix_too_long';
  return networkOf(address, prefixBits).address.value === address.value
    ? { address, prefixBits }
    : 'host_bits';
}

/** The network of that size in which the address lies. `prefixBits` is 0 to the bits of the address. */
export function networkOf({ bits, value }: Address, prefixBits: number): Network {
  const hostBits = BigInt(bits - prefixBits);
  return { address: { bits, value: (value >> hostBits) << hostBits }, prefixBits };
}

/** Whether the address lies in the network. The two families never meet: `::/0` holds no IPv4 address, not even a mapped one. */
export function contains(network: Network, address: Address): boolean {
  const { bits, value } = network.address;
  const hostBits = BigInt(bits - network.prefixBits);
  return bits === address.bits && value >> hostBits === address.value >> hostBits;
}

/** IPv4 dotted, IPv6 as eight groups in lower-case hex without leading zeros: equal addresses have equal texts. */
export function formatAddress({ bits, value }: Address): string {
  const isIpv4 = bits === 32;
  const partBits = isIpv4 ? 8 : 16;
  const parts: string[] = [];
  for (let shift = bits - partBits; shift >= 0; shift -= partBits)
    parts.push(BigInt.asUintN(partBits, value >> BigInt(shift)).toString(isIpv4 ? 10 : 16));
  return parts.join(isIpv4 ? '.' : ':');
}

function ipv4Value(text: string): bigint {
  return text.split('.').reduce((value, octet) => (value << 8n) | BigInt(octet), 0n);
}

function groups(text: string): readonly bigint[] {
  return text === '' ? [] : text.split(':').map((group) => BigInt(`0x${group}`));
}

/** `::ffff:10.0.0.1` with its last four octets as two groups. */
function withoutDottedTail(text: string): string {
  const start = text.lastIndexOf(':') + 1;
  const dotted = text.slice(start);
  if (!dotted.includes('.')) return text;
  const value = ipv4Value(dotted);
  return `${text.slice(0, start)}${(value >> 16n).toString(16)}:${(value & 0xffffn).toString(16)}`;
}
