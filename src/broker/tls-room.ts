import type { TlsIssuer } from '../issuance/index.ts';
import { CodedError, printable } from '../kernel/index.ts';
import type { TlsGrant, TlsKind } from '../policy/index.ts';
import { encodeCrlLdif } from '../revocation/index.ts';
import type { OcspResponder } from './answer-ocsp.ts';
import type { ListCopies } from './copy-lists.ts';
import type { CrlPublisher } from './publish-crl.ts';

/** An authority whose certificates are out there: its lists are published for as long as any of them may live. */
export interface TlsAuthorityRoom {
  readonly issuer: TlsIssuer;
  readonly crl: CrlPublisher;
  readonly ocsp: OcspResponder;
}

/** Everything that the flows about TLS work with. */
export interface TlsRoom {
  /** Newest first. People’s Windows logons come from authorities of their own: whoever trusts those for logons trusts no others. */
  readonly issuing: readonly TlsAuthorityRoom[];
  readonly logon: readonly TlsAuthorityRoom[];
  /** DER. Its key is not here. */
  readonly root: Buffer;
  /** Name, DER. */
  readonly rootSubject: Buffer;
  /** The list of the root, DER, as it was signed when the root was last at hand. */
  readonly rootCrl: Buffer;
  /** The entry of a directory below which those of the authorities stand, for LDIF. */
  readonly ldapBase?: string | undefined;
  /** Copies of the lists in a directory. */
  readonly copies?: ListCopies | undefined;
  /** What stands in certificates in front of `/pki/` and `/ocsp`. */
  readonly address: string;
}

/** The authority that signs now. @throws CodedError `issuance.no_authority` */
export function issuerFor(tls: TlsRoom | undefined, kind: TlsKind): TlsIssuer {
  const [newest] = (kind === 'windows-logon' ? tls?.logon : tls?.issuing) ?? [];
  if (newest !== undefined) return newest.issuer;
  throw noAuthority(kind);
}

/** Why an authority cannot certify what policy granted; undefined: it can. Decided before its key is touched. */
export function outOfBounds(issuer: TlsIssuer, { names }: Pick<TlsGrant, 'names'>): CodedError | undefined {
  const [first] = issuer.outOfBounds(names);
  if (first === undefined) return undefined;
  return new CodedError(
    'issuance.out_of_bounds',
    `The authority ${issuer.name} may not certify the name “${printable(first.value, 80)}”.`,
    {
      next: 'It was made for certain domains and networks: `tls init --permit-dns`. Ask for names within them.',
    },
  );
}

export function noAuthority(kind: TlsKind | 'TLS'): CodedError {
  return new CodedError('issuance.no_authority', `This broker has no authority for ${kind} certificates.`, {
    next: 'Whoever runs the broker makes one with `sallyport tls init`.',
  });
}

/** All authorities, whatever they sign. */
export function authoritiesOf(tls: TlsRoom): readonly TlsAuthorityRoom[] {
  return [...tls.issuing, ...tls.logon];
}

/** The chain behind a certificate, without the root: who checks has that already. DER. */
export function chainOf(issuer: TlsIssuer): readonly Buffer[] {
  return [issuer.certificate];
}

/** A list as LDIF, for those who read lists from a directory. */
export function crlAsLdif(issuer: TlsIssuer, crl: Buffer, base?: string): string {
  return encodeCrlLdif(issuer.read.subject, crl, 'certificates', base);
}

/** The same of the root's list, which is one of authorities. */
export function rootCrlAsLdif({ rootSubject, rootCrl, ldapBase }: TlsRoom): string {
  return encodeCrlLdif(rootSubject, rootCrl, 'authorities', ldapBase);
}

/** Publishes the lists of these authorities, or of all. */
export async function publishCrls(tls: TlsRoom, caFingerprints?: ReadonlySet<string>): Promise<void> {
  const due = authoritiesOf(tls).filter(
    ({ issuer }) => caFingerprints === undefined || caFingerprints.has(issuer.caFingerprint),
  );
  await Promise.all(due.map(({ crl }) => crl.publish()));
}

/** Every second: what others revoked and published, lists that end, and OCSP signers. */
export async function catchUpCrls(tls: TlsRoom): Promise<void> {
  await Promise.all(authoritiesOf(tls).flatMap(({ crl, ocsp }) => [crl.catchUp(), ocsp.renew()]));
}
