import type { KeyObject } from 'node:crypto';
import { CodedError, type RandomBytes } from '../kernel/index.ts';
import type { Signer } from '../keys/index.ts';
import type { TlsGrant } from '../policy/index.ts';
import { fingerprint, publicKeyFromKeyObject } from '../ssh/index.ts';
import {
  authorityInfoAccess,
  authorityKeyIdentifier,
  basicConstraints,
  constraintsOf,
  crlDistributionPoints,
  encodeName,
  encodeToBeSigned,
  extendedKeyUsage,
  isPermitted,
  keyIdentifier,
  keyUsage,
  oid,
  readCertificate,
  sidExtension,
  signedSequence,
  subjectAltName,
  subjectKeyIdentifier,
  subjectPublicKeyInfo,
  x509Algorithm,
  type GeneralName,
  type ReadCertificate,
} from '../x509/index.ts';
import { lintTls } from './lint-tls.ts';

/** Where a certificate says that its issuer, its lists and its OCSP answers are: plain HTTP, or the check would need itself. */
export interface IssuerUrls {
  readonly crl: string;
  readonly deltaCrl: string;
  readonly ocsp: string;
  readonly issuer: string;
}

/** An authority for TLS: its key signs, its certificate vouches for it. */
export interface TlsAuthority {
  /** `issuing-1`, `logon-1`: as its files and addresses are called. */
  readonly name: string;
  readonly signer: Signer;
  /** DER. */
  readonly certificate: Buffer;
  readonly urls: IssuerUrls;
}

/** A certificate that passed every rule and may be signed, once. Only `lint` makes one. */
export interface LintedTls {
  /** 20 random octets, hex. */
  readonly serial: string;
}

export interface TlsIssuer extends Omit<TlsAuthority, 'signer'> {
  /** `SHA256:…` of the plain key: the same in every certificate that the key ever gets. */
  readonly caFingerprint: string;
  readonly read: ReadCertificate;
  /** Names that this authority may not certify, whatever policy says: its own certificate would make them worthless. */
  outOfBounds(names: readonly GeneralName[]): readonly GeneralName[];
  /**
   * Builds the certificate and checks the finished bytes, as our own reader finds them, before the CA key is touched.
   * @throws CodedError `issuance.lint` naming the rule and its clause
   */
  lint(grant: TlsGrant, publicKey: KeyObject): LintedTls;
  /** The certificate, DER. @throws CodedError `issuance.not_linted` */
  sign(linted: LintedTls): Promise<Buffer>;
}

const usageOids = { server: oid.serverAuth, client: oid.clientAuth, kdc: oid.pkinitKdc } as const;

/** @throws CodedError `x509.unsupported_key`, `x509.malformed`, `issuance.wrong_certificate` when key and certificate do not belong together */
export function createTlsIssuer(authority: TlsAuthority, random: RandomBytes): TlsIssuer {
  const { signer, certificate, urls, name } = authority;
  const algorithm = x509Algorithm(signer.algorithm);
  const read = readCertificate(certificate);
  const bounds = constraintsOf(read);
  const own = subjectPublicKeyInfo(signer.publicKey);
  if (!own.equals(read.publicKey)) {
    throw new CodedError('issuance.wrong_certificate', `The certificate of ${name} is for another key.`, {
      next: 'Put the certificate back that `tls init` wrote beside the key.',
    });
  }
  const authorityKeyId = keyIdentifier(own);
  const waiting = new WeakMap<LintedTls, Buffer>();
  return {
    name,
    certificate,
    urls,
    read,
    caFingerprint: fingerprint(publicKeyFromKeyObject(signer.publicKey).blob),
    outOfBounds: (names) => (bounds === undefined ? [] : names.filter((name) => !isPermitted(bounds, name))),
    lint(grant, publicKey) {
      const serial = newX509Serial(random);
      const info = subjectPublicKeyInfo(publicKey);
      const toBeSigned = encodeToBeSigned(
        {
          serial,
          issuer: read.subject,
          subject: encodeName({ commonName: grant.commonName }),
          notBeforeMs: Number(grant.notBefore) * 1000,
          notAfterMs: Number(grant.notAfter) * 1000,
          publicKey: info,
          extensions: [
            basicConstraints(undefined),
            keyUsage(
              publicKey.asymmetricKeyType === 'rsa' && grant.usages.includes('server')
                ? // Suites without forward secrecy, which IBM i up to 7.3 may still use, encrypt with the key itself.
                  ['digitalSignature', 'keyEncipherment']
                : ['digitalSignature'],
            ),
            extendedKeyUsage(usagesFor(grant)),
            subjectKeyIdentifier(keyIdentifier(info)),
            authorityKeyIdentifier(authorityKeyId),
            ...(grant.names.length === 0 ? [] : [subjectAltName(grant.names)]),
            crlDistributionPoints(urls.crl),
            authorityInfoAccess({ ocsp: urls.ocsp, issuer: urls.issuer }),
            ...(grant.sid === undefined ? [] : [sidExtension(grant.sid)]),
          ],
        },
        algorithm,
      );
      lintTls(toBeSigned, { grant, issuer: read, authorityKeyId, publicKey: info });
      const linted = { serial: serial.toString('hex') };
      waiting.set(linted, toBeSigned);
      return linted;
    },
    async sign(linted) {
      const toBeSigned = waiting.get(linted);
      if (toBeSigned === undefined)
        throw new CodedError('issuance.not_linted', 'Only a linted certificate is signed, and only once.');
      waiting.delete(linted);
      return signedSequence(toBeSigned, algorithm, await signer.sign(toBeSigned));
    },
  };
}

/** Extended key usages of a grant. */
export function usagesFor(grant: Pick<TlsGrant, 'kind' | 'usages'>): readonly string[] {
  if (grant.kind === 'windows-logon') return [oid.clientAuth, oid.smartCardLogon, oid.pkinitClientAuth];
  return grant.usages.map((usage) => usageOids[usage]);
}

/** 20 octets: positive, never shorter (RFC 5280 section 4.1.2.2), and no chance that two meet. */
export function newX509Serial(random: RandomBytes): Buffer {
  const serial = Buffer.from(random(20));
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40;
  return serial;
}
