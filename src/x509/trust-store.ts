import { createHmac, createHash } from 'node:crypto';
import type { RandomBytes } from '../kernel/index.ts';
import { der, explicit, integer, objectIdentifier, octetString, sequence, set } from './der.ts';

/** One authority of a trust store. */
export interface TrustedCertificate {
  /** DER. */
  readonly certificate: Uint8Array;
  /** Under which Java lists it. */
  readonly name: string;
}

const id = {
  data: '1.2.840.113549.1.7.1',
  certificateBag: '1.2.840.113549.1.12.10.1.3',
  x509Certificate: '1.2.840.113549.1.9.22.1',
  friendlyName: '1.2.840.113549.1.9.20',
  /** Oracle's mark without which Java takes a certificate for no trusted one. */
  trustedKeyUsage: '2.16.840.1.113894.746875.1.1',
  anyExtendedKeyUsage: '2.5.29.37.0',
  sha1: '1.3.14.3.2.26',
} as const;

const iterations = 10_000;

/**
 * A PKCS#12 file of authorities that Java reads as a trust store, also where a JKS one is expected. There is nothing secret in it: the
 * certificates stand in the clear, and the password only makes the checksum that old readers want (HMAC-SHA-1, which every Java knows).
 * @param password as Java asks for it, usually `changeit`
 * @see RFC 7292 sections 4 and 5
 */
export function encodeTrustStore(
  authorities: readonly TrustedCertificate[],
  password: string,
  random: RandomBytes,
): Buffer {
  const bags = authorities.map(({ certificate, name }) =>
    sequence(
      objectIdentifier(id.certificateBag),
      explicit(0, sequence(objectIdentifier(id.x509Certificate), explicit(0, octetString(certificate)))),
      set(
        attribute(id.friendlyName, der(0x1e, Buffer.from(name, 'utf16le').swap16())),
        attribute(id.trustedKeyUsage, objectIdentifier(id.anyExtendedKeyUsage)),
      ),
    ),
  );
  const content = (bytes: Buffer): Buffer =>
    sequence(objectIdentifier(id.data), explicit(0, octetString(bytes)));
  const safe = sequence(content(sequence(...bags)));
  const salt = random(20);
  const key = macKey(password, salt);
  const mac = createHmac('sha1', key).update(safe).digest();
  return sequence(
    integer(Buffer.from([3])),
    content(safe),
    sequence(
      sequence(sequence(objectIdentifier(id.sha1), der(0x05)), octetString(mac)),
      octetString(salt),
      integer(Buffer.from([iterations >> 8, iterations & 0xff])),
    ),
  );
}

const attribute = (oid: string, value: Buffer): Buffer => sequence(objectIdentifier(oid), set(value));

/** RFC 7292 appendix B.2 with SHA-1 and id 3, for a salt of at most 64 octets: one round gives the 20 octets that are needed. */
function macKey(password: string, salt: Buffer): Buffer {
  const block = 64;
  const fill = (bytes: Buffer): Buffer => {
    const filled = Buffer.alloc(Math.ceil(bytes.length / block) * block);
    for (let at = 0; at < filled.length; at += 1) filled[at] = bytes[at % bytes.length] ?? 0;
    return filled;
  };
  // A BMPString with its two zero octets at the end (appendix B.1).
  const secret = Buffer.from(`${password}\0`, 'utf16le').swap16();
  let digest = createHash('sha1')
    .update(Buffer.concat([Buffer.alloc(block, 3), fill(salt), fill(secret)]))
    .digest();
  for (let round = 1; round < iterations; round += 1) digest = createHash('sha1').update(digest).digest();
  return digest;
}
