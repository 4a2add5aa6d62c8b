import {
  bitString,
  boolean,
  der,
  explicit,
  integerOf,
  objectIdentifier,
  octetString,
  sequence,
} from './der.ts';
import { addressOctets, encodeGeneralName, otherName, type GeneralName } from './names.ts';
import { oid } from './oids.ts';

/** Writers of extensions, each one Extension (RFC 5280 section 4.1), DER. */
export function extension(type: string, critical: boolean, value: Buffer): Buffer {
  return sequence(objectIdentifier(type), ...(critical ? [boolean(true)] : []), octetString(value));
}

/** Bits of KeyUsage by the numbers of RFC 5280 section 4.2.1.3. */
export const keyUsageBit = { digitalSignature: 0, keyEncipherment: 2, keyCertSign: 5, crlSign: 6 } as const;
export type KeyUsageBit = keyof typeof keyUsageBit;

export function keyUsage(bits: readonly KeyUsageBit[]): Buffer {
  const octet = bits.reduce((sum, bit) => sum | (0x80 >> keyUsageBit[bit]), 0);
  const last = Math.max(...bits.map((bit) => keyUsageBit[bit]));
  return extension(oid.keyUsage, true, bitString(Buffer.from([octet]), 7 - last));
}

export function basicConstraints(ca: { readonly pathLength?: number } | undefined): Buffer {
  const length = ca?.pathLength === undefined ? [] : [integerOf(ca.pathLength)];
  return extension(
    oid.basicConstraints,
    true,
    sequence(...(ca === undefined ? [] : [boolean(true), ...length])),
  );
}

export function subjectKeyIdentifier(id: Buffer): Buffer {
  return extension(oid.subjectKeyIdentifier, false, octetString(id));
}

export function authorityKeyIdentifier(id: Buffer): Buffer {
  return extension(oid.authorityKeyIdentifier, false, sequence(der(0x80, id)));
}

export function extendedKeyUsage(usages: readonly string[]): Buffer {
  return extension(oid.extendedKeyUsage, false, sequence(...usages.map(objectIdentifier)));
}

/** Critical where the subject is empty (RFC 5280 section 4.2.1.6). */
export function subjectAltName(names: readonly GeneralName[], critical = false): Buffer {
  return extension(oid.subjectAltName, critical, sequence(...names.map(encodeGeneralName)));
}

const distributionPoint = (url: string): Buffer =>
  sequence(sequence(explicit(0, der(0xa0, encodeGeneralName({ kind: 'uri', value: url })))));

export function crlDistributionPoints(url: string): Buffer {
  return extension(oid.crlDistributionPoints, false, distributionPoint(url));
}

/** Where the delta is: in a full list, and in certificates for those who look there. */
export function freshestCrl(url: string): Buffer {
  return extension(oid.freshestCrl, false, distributionPoint(url));
}

export function authorityInfoAccess(urls: { readonly ocsp?: string; readonly issuer?: string }): Buffer {
  const access = (type: string, url: string): Buffer =>
    sequence(objectIdentifier(type), encodeGeneralName({ kind: 'uri', value: url }));
  return extension(
    oid.authorityInfoAccess,
    false,
    sequence(
      ...(urls.ocsp === undefined ? [] : [access(oid.ocspAccess, urls.ocsp)]),
      ...(urls.issuer === undefined ? [] : [access(oid.caIssuersAccess, urls.issuer)]),
    ),
  );
}

/** What a CA may issue for (RFC 5280 section 4.2.1.10). */
export interface NameConstraints {
  /** Domains: the name itself and everything below it. */
  readonly dns: readonly string[];
  /** Networks as `10.0.0.0/8`. */
  readonly networks: readonly string[];
}

export function nameConstraints({ dns, networks }: NameConstraints): Buffer {
  const permitted = [
    ...dns.map((name) => sequence(encodeGeneralName({ kind: 'dns', value: name }))),
    ...networks.map((network) => sequence(der(0x87, networkOctets(network)))),
  ];
  // Without an address of its own kind a list of domains says nothing about addresses: none is permitted then.
  const excluded =
    dns.length > 0 && networks.length === 0
      ? [sequence(der(0x87, Buffer.alloc(8))), sequence(der(0x87, Buffer.alloc(32)))]
      : [];
  return extension(
    oid.nameConstraints,
    true,
    sequence(der(0xa0, ...permitted), ...(excluded.length === 0 ? [] : [der(0xa1, ...excluded)])),
  );
}

function networkOctets(network: string): Buffer {
  const [address = '', prefix = ''] = network.split('/');
  const octets = addressOctets(address);
  const mask = Buffer.alloc(octets.length);
  for (let bit = 0; bit < Number(prefix); bit += 1)
    mask[bit >> 3] = (mask[bit >> 3] ?? 0) | (0x80 >> (bit & 7));
  return Buffer.concat([octets, mask]);
}

/** szOID_NTDS_CA_SECURITY_EXT: which account of Active Directory it is, for strong mapping (KB5014754). */
export function sidExtension(sid: string): Buffer {
  return extension(
    oid.sidExtension,
    false,
    sequence(otherName(oid.sidObject, octetString(Buffer.from(sid, 'latin1')))),
  );
}

/** For a delegated OCSP signer: nobody asks whether it is revoked (RFC 6960 section 4.2.2.2.1). */
export function ocspNoCheck(): Buffer {
  return extension(oid.ocspNoCheck, false, Buffer.from([0x05, 0x00]));
}

/** CRL entry and list extensions. */
export function crlNumber(number: bigint): Buffer {
  return extension(oid.crlNumber, false, integerOf(number));
}

export function deltaCrlIndicator(baseNumber: bigint): Buffer {
  return extension(oid.deltaCrlIndicator, true, integerOf(baseNumber));
}
