import {
  CodedError,
  contains,
  parseAddress,
  parseNetwork,
  printable,
  unmapped,
  type Network,
} from '../kernel/index.ts';

const label = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
/** At most one star in a label: matching is then a look at its two ends. */
const labelPattern = /^[a-z0-9-]{0,62}\*?[a-z0-9-]{0,62}$/;
const maxNameChars = 253;

/** Which names and addresses a token lets a host claim. */
export interface Claimable {
  /** As `parseNamePattern` gave them. */
  readonly names: readonly string[];
  /** As `parseAddressRange` gave them. */
  readonly addresses: readonly string[];
}

/**
 * A host name in lower case: labels of letters, digits and hyphens (RFC 1123 section 2.1), at most 253 characters. A certificate holds
 * exact names only: OpenSSH before 10.3 knows no wildcards in host certificates.
 * @throws CodedError `hosts.bad_name`
 */
export function parseHostName(text: string): string {
  const name = text.toLowerCase();
  const labels = name.split('.');
  const isAddress = /^[0-9.]+$/.test(name);
  if (name.length > maxNameChars || isAddress || !labels.every((part) => label.test(part)))
    throw badName(text, 'is not a host name');
  return name;
}

/**
 * A pattern for host names: a name in which each label may hold one `*`, which stands for letters, digits and hyphens and never for a
 * dot. In a name of several labels the last one is exact, and `*` alone is refused: a token must not give away every name there is.
 * @throws CodedError `hosts.bad_name`
 */
export function parseNamePattern(text: string): string {
  const pattern = text.toLowerCase();
  const labels = pattern.split('.');
  const last = labels.at(-1) ?? '';
  const isFormed = labels.every((part) => part !== '' && labelPattern.test(part));
  if (pattern.length > maxNameChars || !isFormed) throw badName(text, 'is not a pattern for host names');
  if (pattern === '*' || (labels.length > 1 && last.includes('*')))
    throw badName(text, 'would give away more names than any token should');
  // What remains with something in the place of each star must be a name.
  parseHostName(pattern.replaceAll('*', 'x'));
  return pattern;
}

/** Whether a name, as `parseHostName` gave it, fits one of the patterns. */
export function matchesName(patterns: readonly string[], name: string): boolean {
  const labels = name.split('.');
  return patterns.some((pattern) => {
    const wanted = pattern.split('.');
    return (
      wanted.length === labels.length && wanted.every((part, at) => matchesLabel(part, labels[at] ?? ''))
    );
  });
}

function matchesLabel(pattern: string, text: string): boolean {
  const star = pattern.indexOf('*');
  if (star < 0) return pattern === text;
  const [before, after] = [pattern.slice(0, star), pattern.slice(star + 1)];
  return text.length > before.length + after.length && text.startsWith(before) && text.endsWith(after);
}

/** An address or a network that a token lets hosts claim addresses from. @throws CodedError `hosts.bad_address` */
export function parseAddressRange(text: string): string {
  const network = parseNetwork(text.toLowerCase());
  if (typeof network !== 'string') return text.toLowerCase();
  throw new CodedError('hosts.bad_address', `“${printable(text, 60)}” is not an address or a network.`, {
    next: 'Write it as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32.',
  });
}

/** What of all that a host claims its token allows, each once and in lower case, in the order it was claimed. */
export function allowedClaims(
  allowed: Claimable,
  claimed: { readonly names: readonly string[]; readonly addresses: readonly string[] },
): { readonly names: readonly string[]; readonly addresses: readonly string[] } {
  const networks = allowed.addresses.flatMap((text): Network[] => {
    const network = parseNetwork(text);
    return typeof network === 'string' ? [] : [network];
  });
  const isAllowed = (text: string): boolean => {
    const address = parseAddress(text);
    return address !== undefined && networks.some((network) => contains(network, unmapped(address)));
  };
  return {
    names: [...new Set(claimed.names)].filter((name) => matchesName(allowed.names, name)),
    addresses: [...new Set(claimed.addresses)].filter(isAllowed),
  };
}

function badName(text: string, why: string): CodedError {
  return new CodedError('hosts.bad_name', `“${printable(text, 80)}” ${why}.`, {
    next: 'Write it like db1.example.com; a pattern may have one * in each label but the last, e.g. web-*.example.com.',
  });
}
