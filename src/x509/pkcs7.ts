import { der, explicit, integer, objectIdentifier, sequence, set } from './der.ts';

/**
 * Certificates and nothing else in one file (`.p7b`), as Windows, Java and DCM import them: SignedData without content and without
 * signers. @param certificates DER, in the order in which they are to stand. @returns DER
 * @see RFC 5652 section 5.1; RFC 2315 section 9.1 for the version, which older readers expect
 */
export function encodeCertificateBundle(certificates: readonly Uint8Array[]): Buffer {
  const signedData = sequence(
    integer(Buffer.from([1])),
    set(),
    sequence(objectIdentifier('1.2.840.113549.1.7.1')),
    der(0xa0, ...certificates),
    set(),
  );
  return sequence(objectIdentifier('1.2.840.113549.1.7.2'), explicit(0, signedData));
}
