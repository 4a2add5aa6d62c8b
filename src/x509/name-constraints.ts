import { contains, formatAddress, parseAddress, parseNetwork, type Network } from '../kernel/index.ts';
import { malformed, readAll, readOne, type Tlv } from './der-reader.ts';
import { parseServerName, readText, type GeneralName } from './names.ts';
import type { NameConstraints } from './extensions.ts';
import { oid } from './oids.ts';
import type { ReadCertificate } from './read-certificate.ts';

/** What an authority may name, as its certificate says it (RFC 5280 section 4.2.1.10). */
export interface ReadConstraints {
  /** Domains: the name itself and what is below it. None: no bound on DNS names. */
  readonly domains: readonly string[];
  readonly networks: readonly Network[];
  readonly excluded: readonly Network[];
}

const maxBounds = 256;

/**
 * The bounds of an authority; undefined: none. A kind of bound that this house never writes is refused, because nobody here could keep
 * it. @throws CodedError `x509.malformed`
 */
export function constraintsOf({
  extensions,
}: Pick<ReadCertificate, 'extensions'>): ReadConstraints | undefined {
  const value = extensions.get(oid.nameConstraints)?.value;
  if (value === undefined) return undefined;
  const [domains, networks, excluded]: [string[], Network[], Network[]] = [[], [], []];
  for (const { tag, content } of readAll(readOne(value, 0x30).content, 2))
    for (const subtree of readAll(content, maxBounds)) {
      const [base, ...bounds] = readAll(subtree.content, 3);
      if (base === undefined || bounds.length > 0 || subtree.tag !== 0x30) throw malformed('a bound is none');
      if (tag === 0xa0 && base.tag === 0x82) domains.push(readDomain(base));
      else if (tag === 0xa0 && base.tag === 0x87) networks.push(readNetwork(base));
      else if (tag === 0xa1 && base.tag === 0x87) excluded.push(readNetwork(base));
      else throw malformed('a bound is of a kind that is not known here');
    }
  return { domains, networks, excluded };
}

/** Whether the authority may name it. Kinds of names without a bound are free. */
export function isPermitted({ domains, networks, excluded }: ReadConstraints, name: GeneralName): boolean {
  if (name.kind === 'dns')
    return (
      domains.length === 0 ||
      domains.some((domain) => name.value === domain || name.value.endsWith(`.${domain}`))
    );
  if (name.kind !== 'ip') return true;
  const address = parseAddress(name.value);
  if (address === undefined || excluded.some((network) => contains(network, address))) return false;
  return networks.length === 0 || networks.some((network) => contains(network, address));
}

function readDomain(base: Tlv): string {
  const name = parseServerName(readText({ ...base, tag: 0x16 }));
  if (name.kind !== 'dns') throw malformed('a bound is no domain');
  return name.value;
}

/** An address and its mask, of ones and then zeros. */
function readNetwork({ content }: Tlv): Network {
  const half = content.length / 2;
  if (half !== 4 && half !== 16) throw malformed('a bound is no network');
  const bits = BigInt(half * 8);
  const [value = 0n, mask = 0n] = [content.subarray(0, half), content.subarray(half)].map((octets) =>
    BigInt(`0x${octets.toString('hex')}`),
  );
  const hosts = (1n << bits) - 1n - mask;
  if ((hosts & (hosts + 1n)) !== 0n || (value & hosts) !== 0n) throw malformed('a bound is no network');
  const prefixBits = Number(bits) - (hosts === 0n ? 0 : hosts.toString(2).length);
  return { address: { bits: half === 4 ? 32 : 128, value }, prefixBits };
}

/** The same as `nameConstraints` writes it: what it excludes follows from the rest. */
export function toNameConstraints({ domains, networks }: ReadConstraints): NameConstraints {
  return {
    dns: domains,
    networks: networks.map(({ address, prefixBits }) => `${formatAddress(address)}/${prefixBits}`),
  };
}

/** A domain as a bound, in lower case. @throws CodedError `x509.bad_name` */
export function parseBoundDomain(text: string): string | undefined {
  const name = parseServerName(text.replace(/^\./, ''));
  return name.kind === 'dns' ? name.value : undefined;
}

/** `10.0.0.0/8`, never without its length: an address alone is too easily one that was cut off. */
export function isBoundNetwork(text: string): boolean {
  return text.includes('/') && typeof parseNetwork(text) !== 'string';
}
