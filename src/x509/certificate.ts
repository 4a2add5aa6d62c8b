import { createPublicKey, type KeyObject, sign, X509Certificate } from 'node:crypto';
import { CodedError, parseAddress, printable, sha256, type RandomBytes } from '../kernel/index.ts';
import {
  bitString,
  boolean,
  der,
  explicit,
  integer,
  objectIdentifier,
  octetString,
  sequence,
  set,
  time,
  utf8String,
} from './der.ts';

const ecdsaWithSha256 = sequence(objectIdentifier('1.2.840.10045.4.3.2'));

export interface CertificateRequest {
  /** Common name, at most 64 characters (RFC 5280 appendix A.1, ub-common-name). */
  readonly commonName: string;
  readonly publicKey: KeyObject;
  /** Whole seconds are kept. Alive from the first to the second, both included. */
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** A CA signs certificates, with no CA below it; a server has names: DNS names or IP addresses. */
  readonly purpose:
    { readonly kind: 'ca' } | { readonly kind: 'tls-server'; readonly names: readonly string[] };
}

/**
 * An X.509 v3 certificate as PEM, signed with ECDSA P-256 and SHA-256; serial of 20 random octets. Self-signed when `issuer` is
 * left out. Only what the broker's own TLS needs: the CA for other machines comes with its own profiles.
 * @throws CodedError `x509.bad_name`
 * @see RFC 5280 section 4
 */
export function createCertificate(
  request: CertificateRequest,
  issuerKey: KeyObject,
  options: { readonly issuer?: X509Certificate; readonly random: RandomBytes },
): string {
  const { issuer, random } = options;
  const subject = distinguishedName(request.commonName);
  const serial = random(20);
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40; // positive, and always 20 octets
  const toBeSigned = sequence(
    explicit(0, integer(Buffer.from([2]))),
    integer(serial),
    ecdsaWithSha256,
    issuer === undefined ? subject : distinguishedName(commonNameOf(issuer)),
    sequence(time(request.notBeforeMs), time(request.notAfterMs)),
    subject,
    request.publicKey.export({ format: 'der', type: 'spki' }),
    explicit(3, extensions(request, issuer === undefined ? request.publicKey : issuer.publicKey)),
  );
  const signature = sign('sha256', toBeSigned, { key: issuerKey, dsaEncoding: 'der' });
  const certificate = sequence(toBeSigned, ecdsaWithSha256, bitString(signature));
  const pem = certificate.toString('base64').replace(/(.{64})(?!$)/g, '$1\n');
  return `-----BEGIN CERTIFICATE-----\n${pem}\n-----END CERTIFICATE-----\n`;
}

function extensions(request: CertificateRequest, authorityKey: KeyObject): Buffer {
  const extension = (oid: string, critical: boolean, value: Buffer): Buffer =>
    sequence(objectIdentifier(oid), ...(critical ? [boolean(true)] : []), octetString(value));
  const isCa = request.purpose.kind === 'ca';
  const list = [
    extension('2.5.29.19', true, isCa ? sequence(boolean(true), integer(Buffer.from([0]))) : sequence()),
    // keyCertSign and cRLSign, or digitalSignature
    extension(
      '2.5.29.15',
      true,
      isCa ? bitString(Buffer.from([0x06]), 1) : bitString(Buffer.from([0x80]), 7),
    ),
    extension('2.5.29.14', false, octetString(keyIdentifier(request.publicKey))),
    extension('2.5.29.35', false, sequence(der(0x80, keyIdentifier(authorityKey)))),
  ];
  if (request.purpose.kind === 'tls-server') {
    list.push(extension('2.5.29.37', false, sequence(objectIdentifier('1.3.6.1.5.5.7.3.1'))));
    list.push(extension('2.5.29.17', false, sequence(...request.purpose.names.map(generalName))));
  }
  return sequence(...list);
}

/** RFC 7093 method 1: the leftmost 160 bits of SHA-256 over the public key. */
function keyIdentifier(key: KeyObject): Buffer {
  return sha256(
    createPublicKey(key.export({ format: 'pem', type: 'spki' })).export({ format: 'der', type: 'spki' }),
  ).subarray(0, 20);
}

function distinguishedName(commonName: string): Buffer {
  if (commonName === '' || commonName.length > 64) {
    throw new CodedError('x509.bad_name', 'A common name has 1 to 64 characters.', {
      next: 'Choose a shorter name.',
    });
  }
  return sequence(set(sequence(objectIdentifier('2.5.4.3'), utf8String(commonName))));
}

function commonNameOf(certificate: X509Certificate): string {
  return /^CN=(.+)$/m.exec(certificate.subject)?.[1] ?? '';
}

/** RFC 5280 section 4.2.1.6: an address as 4 or 16 octets, or a DNS name. */
function generalName(name: string): Buffer {
  const address = parseAddress(name);
  if (address !== undefined)
    return der(0x87, Buffer.from(address.value.toString(16).padStart(address.bits / 4, '0'), 'hex'));
  // What ends in a number is an address that was mistyped, not a name (RFC 3696 section 2).
  if (/(^|\.)\d+$/.test(name) || !dnsName.test(name)) throw badName(name);
  return der(0x82, Buffer.from(name.toLowerCase(), 'latin1'));
}

const dnsName = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/i;

function badName(name: string): CodedError {
  return new CodedError(
    'x509.bad_name',
    `“${printable(name, 80)}” is neither a DNS name nor an IP address.`,
    {
      next: 'Give names such as broker.example.com, or addresses, without port and without wildcard.',
    },
  );
}
