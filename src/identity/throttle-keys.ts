import { isIPv4 } from 'node:net';
import { formatAddress, parsePeerAddress } from '../kernel/index.ts';

/**
 * One text for all ways to type a name: `Alice`, ` alice `, `CORP\alice`, `alice@corp.example`, full-width or accented letters
 * (Active Directory takes `José` for `Jose`). Two people may share one text: then they share small delays, which is better than
 * a second allowance for whoever finds another spelling.
 */
export function throttledName(login: string): string {
  const folded = login
    .slice(0, 1024)
    .normalize('NFKD')
    .replaceAll(/[\p{M}\p{Z}\p{C}]/gu, '')
    .toUpperCase()
    .toLowerCase();
  const afterDomain = folded.slice(folded.lastIndexOf('\\') + 1);
  const at = afterDomain.indexOf('@');
  return at > 0 ? afterDomain.slice(0, at) : afterDomain;
}

/** IPv4 as it is, IPv6 by its /64: one customer has all of that. An IPv4 address in IPv6 clothes counts as IPv4. */
export function throttledNetwork(text: string): string {
  const address = parsePeerAddress(text);
  // What is no address has no neighbours.
  if (address === undefined) return text.slice(0, 64).toLowerCase();
  const plain = formatAddress(address);
  return address.bits === 32 ? plain : `${plain.split(':', 4).join(':')}::/64`;
}

/** IPv4 by its /24, IPv6 by its /64: for queues that nobody is to fill by changing addresses. */
export function crowdNetwork(text: string): string {
  const network = throttledNetwork(text);
  return isIPv4(network) ? `${network.slice(0, network.lastIndexOf('.'))}.0/24` : network;
}
