import { contains, parseNetwork, parsePeerAddress, type Network } from '../kernel/index.ts';

/** Tells whether the address of a connection lies in one of some networks. */
export type AddressFilter = (address: string) => boolean;

function readNetwork(text: string): Network | undefined {
  const network = parseNetwork(text);
  return typeof network === 'string' ? undefined : network;
}

/** `10.0.0.0/8`, `::1/128` or a single address, with no bits set after the prefix. */
export function isNetwork(text: string): boolean {
  return readNetwork(text) !== undefined;
}

/** Text that is no network matches nothing: the configuration refuses it before. */
export function addressFilter(texts: readonly string[]): AddressFilter {
  const networks = texts.map(readNetwork).filter((network) => network !== undefined);
  return (text) => {
    const address = parsePeerAddress(text);
    return address !== undefined && networks.some((network) => contains(network, address));
  };
}
