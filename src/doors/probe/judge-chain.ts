import { createHash, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { parseAddress, formatAddress } from '../../kernel/index.ts';
import type { CertificateLook, Trust } from './report.ts';

const maxDepth = 8;
const maxNames = 100;

/** Authorities that were given, and the way to one of them. */
export interface ChainVerdict {
  readonly trust: Trust;
  /** True when the server left out a certificate that was needed and that was given along. */
  readonly incomplete: boolean;
  /** Whose key signed the first certificate, if it is known. */
  readonly issuer: X509Certificate | undefined;
}

/**
 * Whether signatures lead from the server's certificate to an authority that was given. Dates are no part of it: an expired certificate
 * of ours is ours, and expired.
 * @param chain as the server sent it, its own first, not empty
 */
export function judgeChain(
  chain: readonly X509Certificate[],
  given: readonly X509Certificate[],
): ChainVerdict {
  const [leaf, ...sent] = chain;
  let [current, incomplete, issuer] = [leaf, false, undefined as X509Certificate | undefined];
  for (let depth = 0; current !== undefined && depth < maxDepth; depth += 1) {
    const under = current;
    if (given.some((authority) => authority.fingerprint256 === under.fingerprint256))
      return { trust: 'ours', incomplete, issuer };
    const fromGiven = given.find((candidate) => signs(candidate, under));
    const fromSent = sent.find((candidate) => candidate !== under && signs(candidate, under));
    issuer ??= fromSent ?? fromGiven;
    // A root need not be sent (RFC 8446 section 4.4.2), what stands between must be.
    if (fromGiven !== undefined && fromSent === undefined && !signs(fromGiven, fromGiven)) incomplete = true;
    current = fromGiven ?? fromSent;
  }
  return { trust: given.length === 0 ? 'not_asked' : 'not_ours', incomplete: false, issuer };
}

function signs(authority: X509Certificate, certificate: X509Certificate): boolean {
  try {
    return authority.ca && certificate.checkIssued(authority) && certificate.verify(authority.publicKey);
  } catch {
    // A key that OpenSSL cannot use vouches for nothing.
    return false;
  }
}

/** What a certificate says of itself, in a form that can be shown and filed. */
export function describeCertificate(certificate: X509Certificate): CertificateLook {
  return {
    subject: oneLine(certificate.subject),
    issuer: oneLine(certificate.issuer),
    serial: certificate.serialNumber,
    sha256: createHash('sha256').update(certificate.raw).digest('hex'),
    key: describeKey(certificate),
    names: namesOf(certificate),
    notBeforeMs: certificate.validFromDate.getTime(),
    notAfterMs: certificate.validToDate.getTime(),
  };
}

/** Such as `rsa 2048` or `ec prime256v1`. */
function describeKey(certificate: X509Certificate): string {
  try {
    const { asymmetricKeyType: type = 'unknown', asymmetricKeyDetails: details } = certificate.publicKey;
    const size = details?.modulusLength ?? details?.namedCurve;
    return size === undefined ? type : `${type} ${size}`;
  } catch {
    return 'unreadable';
  }
}

/** DNS names and addresses of the subjectAltName; the common name alone counts for no client of today (RFC 9525). */
export function namesOf(certificate: X509Certificate): readonly string[] {
  const text = certificate.subjectAltName ?? '';
  // Node quotes a name as JSON when it holds what could be mistaken for a separator (CVE-2021-44532).
  const parts = text.match(/(?:DNS|IP Address):(?:"(?:[^"\\]|\\.)*"|[^,]*)/g) ?? [];
  return parts.slice(0, maxNames).map((part) => part.slice(part.indexOf(':') + 1).slice(0, 255));
}

/** Whether a client that dials `host` finds that name in the certificate. */
export function matchesName(certificate: X509Certificate, host: string): boolean {
  if (isIP(host) === 0) return certificate.checkHost(host, { subject: 'never' }) !== undefined;
  const dialled = parseAddress(host);
  return namesOf(certificate).some((name) => {
    const named = parseAddress(name);
    return named !== undefined && dialled !== undefined && formatAddress(named) === formatAddress(dialled);
  });
}

/** Node puts each attribute on a line of its own. */
function oneLine(name: string): string {
  return name.split('\n').reverse().join(', ').slice(0, 512);
}
