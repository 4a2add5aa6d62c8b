import type { X509Certificate } from 'node:crypto';
import { CodedError, printable, type RandomBytes, toRfc3339 } from '../../kernel/index.ts';
import { encodeCertificateBundle, encodeTrustStore } from '../../x509/index.ts';
import { pemOf } from './plan-input.ts';
import type { PlanFile } from './plan.ts';
import { clientAdvice, type TrustClient } from './trust-clients.ts';

/** What Java expects of a store in which nothing is secret. */
const storePassword = 'changeit';
const maxAuthorities = 32;

/**
 * What a kind of client needs in order to trust these authorities, in every form: PEM together and one by one, DER, PKCS#7, and a
 * PKCS#12 trust store that Java reads (also where JKS is expected; the password is `changeit`: nothing in it is secret).
 * @param authorities roots first. @throws CodedError `ibmi.no_authority` for none, over 32, or one that is none
 */
export function makeTrustPack(
  client: TrustClient,
  authorities: readonly X509Certificate[],
  random: RandomBytes,
): readonly PlanFile[] {
  const odd = authorities.find((one) => !one.ca);
  if (odd !== undefined)
    throw noAuthority(`“${printable(odd.subject, 100)}” is not the certificate of an authority`);
  if (authorities.length === 0 || authorities.length > maxAuthorities)
    throw noAuthority(`there are ${authorities.length} authorities`);
  const names = authorities.map(nameOf);
  const file = (path: string, content: string | Buffer): PlanFile => ({
    path,
    bytes: typeof content === 'string' ? Buffer.from(content, 'utf8') : content,
    secret: false,
  });
  return [
    file('ca-bundle.pem', authorities.map(pemOf).join('')),
    ...authorities.flatMap((one, nth) => [
      file(`ca/${names[nth] ?? ''}.crt`, pemOf(one)),
      file(`ca/${names[nth] ?? ''}.der`, one.raw),
    ]),
    file('ca-bundle.p7b', encodeCertificateBundle(authorities.map(({ raw }) => raw))),
    file(
      'trust.p12',
      encodeTrustStore(
        authorities.map((one, nth) => ({ certificate: one.raw, name: `sallyport-${names[nth] ?? ''}` })),
        storePassword,
        random,
      ),
    ),
    file('README.txt', readme(client, authorities, names)),
  ];
}

/** `01-root`, `02-issuing`: what stands in a certificate never becomes the name of a file. */
function nameOf(authority: X509Certificate, nth: number): string {
  return `${String(nth + 1).padStart(2, '0')}-${authority.checkIssued(authority) ? 'root' : 'issuing'}`;
}

function readme(
  client: TrustClient,
  authorities: readonly X509Certificate[],
  names: readonly string[],
): string {
  const { title, file, where, names: check, source } = clientAdvice[client];
  const lines = [
    `${title}: take ${file}.`,
    '',
    `Where: ${where}`,
    `Names: ${check}`,
    `(${source.mark}: ${source.source}; tried by us only where the documents say so)`,
    '',
    'Compare the fingerprints with those that you got on another way before you trust anything:',
    ...authorities.map(
      (one, nth) =>
        `${names[nth] ?? ''}  ${printable(one.subject.split('\n').join(', '), 120)}\n    until ${toRfc3339(one.validToDate.getTime()).slice(0, 10)}, SHA-256 ${one.fingerprint256}`,
    ),
    '',
    'ca-bundle.pem  all authorities, PEM (LF)',
    'ca/*.crt       one in each, PEM; ca/*.der the same as DER',
    'ca-bundle.p7b  all authorities, PKCS#7',
    `trust.p12      all authorities, PKCS#12 for Java; password ${storePassword}, nothing in it is secret`,
  ];
  return `${lines.join('\n')}\n`;
}

function noAuthority(why: string): CodedError {
  return new CodedError('ibmi.no_authority', `No trust can be made of this: ${why}.`, {
    next: 'Give the certificates of the root and of the issuing authority, and nothing else.',
  });
}
