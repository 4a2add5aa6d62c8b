import type { KeyObject } from 'node:crypto';
import type { RandomBytes } from '../kernel/index.ts';
import type { Signer } from '../keys/index.ts';
import {
  authorityInfoAccess,
  authorityKeyIdentifier,
  basicConstraints,
  crlDistributionPoints,
  encodeName,
  encodeToBeSigned,
  extendedKeyUsage,
  keyIdentifier,
  keyUsage,
  nameConstraints,
  ocspNoCheck,
  oid,
  readCertificate,
  signedSequence,
  subjectKeyIdentifier,
  subjectPublicKeyInfo,
  x509Algorithm,
  type NameConstraints,
} from '../x509/index.ts';
import { newX509Serial } from './tls.ts';

export interface Validity {
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** The self-signed certificate of a root, DER: below it stands one level of authorities. */
export async function createRootCertificate(
  signer: Signer,
  {
    commonName,
    organization,
    notBeforeMs,
    notAfterMs,
  }: Validity & { readonly commonName: string; readonly organization?: string },
  random: RandomBytes,
): Promise<Buffer> {
  const algorithm = x509Algorithm(signer.algorithm);
  const publicKey = subjectPublicKeyInfo(signer.publicKey);
  const name = encodeName({ commonName, ...(organization && { organization }) });
  const toBeSigned = encodeToBeSigned(
    {
      serial: newX509Serial(random),
      issuer: name,
      subject: name,
      notBeforeMs,
      notAfterMs,
      publicKey,
      extensions: [
        basicConstraints({ pathLength: 1 }),
        keyUsage(['keyCertSign', 'crlSign']),
        subjectKeyIdentifier(keyIdentifier(publicKey)),
      ],
    },
    algorithm,
  );
  return signedSequence(toBeSigned, algorithm, await signer.sign(toBeSigned));
}

/** A root while its key is at hand. */
export interface OpenRoot {
  readonly signer: Signer;
  /** DER. */
  readonly certificate: Buffer;
  /** Where its list and its certificate are. */
  readonly urls: { readonly crl: string; readonly issuer: string };
}

export interface IssuingWish extends Validity {
  readonly publicKey: KeyObject;
  /** Name, DER. */
  readonly subject: Buffer;
  readonly constraints?: NameConstraints;
}

/**
 * The certificate of an authority that signs leaves only, DER. For the same key and name it can be made again: what it issued before
 * stays good, because key identifier and name are the same.
 */
export async function createIssuingCertificate(
  root: OpenRoot,
  wish: IssuingWish,
  random: RandomBytes,
): Promise<Buffer> {
  const algorithm = x509Algorithm(root.signer.algorithm);
  const publicKey = subjectPublicKeyInfo(wish.publicKey);
  const { subject, constraints } = wish;
  const toBeSigned = encodeToBeSigned(
    {
      serial: newX509Serial(random),
      issuer: readCertificate(root.certificate).subject,
      subject,
      notBeforeMs: wish.notBeforeMs,
      notAfterMs: wish.notAfterMs,
      publicKey,
      extensions: [
        basicConstraints({ pathLength: 0 }),
        keyUsage(['digitalSignature', 'keyCertSign', 'crlSign']),
        subjectKeyIdentifier(keyIdentifier(publicKey)),
        authorityKeyIdentifier(keyIdentifier(subjectPublicKeyInfo(root.signer.publicKey))),
        crlDistributionPoints(root.urls.crl),
        authorityInfoAccess({ issuer: root.urls.issuer }),
        ...(constraints === undefined ? [] : [nameConstraints(constraints)]),
      ],
    },
    algorithm,
  );
  return signedSequence(toBeSigned, algorithm, await root.signer.sign(toBeSigned));
}

/** The certificate of a delegated OCSP signer, DER: nobody asks whether it is revoked, so it lives for days only (RFC 6960 section 4.2.2.2). */
export async function createOcspSignerCertificate(
  issuer: { readonly signer: Signer; readonly certificate: Buffer },
  wish: Validity & { readonly publicKey: KeyObject; readonly commonName: string },
  random: RandomBytes,
): Promise<{ readonly certificate: Buffer; readonly serial: string }> {
  const algorithm = x509Algorithm(issuer.signer.algorithm);
  const publicKey = subjectPublicKeyInfo(wish.publicKey);
  const serial = newX509Serial(random);
  const toBeSigned = encodeToBeSigned(
    {
      serial,
      issuer: readCertificate(issuer.certificate).subject,
      subject: encodeName({ commonName: wish.commonName }),
      notBeforeMs: wish.notBeforeMs,
      notAfterMs: wish.notAfterMs,
      publicKey,
      extensions: [
        basicConstraints(undefined),
        keyUsage(['digitalSignature']),
        extendedKeyUsage([oid.ocspSigning]),
        subjectKeyIdentifier(keyIdentifier(publicKey)),
        authorityKeyIdentifier(keyIdentifier(subjectPublicKeyInfo(issuer.signer.publicKey))),
        ocspNoCheck(),
      ],
    },
    algorithm,
  );
  const certificate = signedSequence(toBeSigned, algorithm, await issuer.signer.sign(toBeSigned));
  return { certificate, serial: serial.toString('hex') };
}
