import { readAll, readOne } from './der-reader.ts';
import { oid } from './oids.ts';
import type { ReadCertificate } from './read-certificate.ts';

const maxPoints = 8;
const maxUrlChars = 1024;

/**
 * Where the list of revoked certificates is, by http; other ways (LDAP, names relative to the issuer) are left out.
 * @throws CodedError `x509.malformed` @see RFC 5280 section 4.2.1.13
 */
export function listAddressesOf({ extensions }: Pick<ReadCertificate, 'extensions'>): readonly string[] {
  const value = extensions.get(oid.crlDistributionPoints)?.value;
  if (value === undefined) return [];
  return readAll(readOne(value, 0x30).content, maxPoints).flatMap((point) =>
    readAll(point.content, 3)
      .filter(({ tag }) => tag === 0xa0)
      .flatMap(({ content }) => readAll(content, 1))
      // fullName; the other choice is a name relative to the issuer.
      .filter(({ tag }) => tag === 0xa0)
      .flatMap(({ content }) => readAll(content, maxPoints))
      .filter(({ tag, content }) => tag === 0x86 && content.length <= maxUrlChars)
      .map(({ content }) => content.toString('latin1'))
      .filter((url) => url.startsWith('http://') && URL.canParse(url)),
  );
}
