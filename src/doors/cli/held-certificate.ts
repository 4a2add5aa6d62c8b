import { X509Certificate } from 'node:crypto';
import type { HeldCertificate, HeldTlsCertificate } from '../../accounting/verify/index.ts';
import { formatAddress, parseAddress } from '../../kernel/index.ts';
import { fingerprint, parseCertificate, publicKeyFromKeyObject } from '../../ssh/index.ts';
import { namesOf } from '../probe/index.ts';
import { readGivenFile } from './given-file.ts';
import { usage } from './report.ts';

/**
 * The certificate that a receipt must be about: of SSH, or of TLS with its issuer behind it, as `tls issue --chain` writes it.
 * @throws CodedError `cli.usage`, `ssh.…`
 */
export function heldCertificate(file: string): HeldCertificate | HeldTlsCertificate {
  return readGivenFile(file, 'Give the certificate that the receipt belongs to.', (text) => {
    if (text.includes('-----BEGIN CERTIFICATE-----')) return tlsCertificate(text);
    const { caKey, key, ...held } = parseCertificate(text);
    return { ...held, caFingerprint: fingerprint(caKey.blob), keyFingerprint: fingerprint(key.blob) };
  });
}

function tlsCertificate(text: string): HeldTlsCertificate {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  const [leaf, issuer] = blocks.slice(0, 2).map(parsePem);
  if (
    leaf === undefined ||
    issuer === undefined ||
    !leaf.checkIssued(issuer) ||
    !leaf.verify(issuer.publicKey)
  ) {
    throw usage(
      'The file has no certificate with the one of its issuer behind it.',
      'Give what `sallyport tls issue --chain FILE` wrote.',
    );
  }
  // Node does not say what is in such a name.
  if (/othername/i.test(leaf.subjectAltName ?? '')) {
    throw usage(
      'A certificate for Windows logons has names that cannot be compared here.',
      'Leave --certificate out, and compare serial and names yourself: they are printed.',
    );
  }
  const { CN: commonName = [] } = leaf.toLegacyObject().subject as {
    readonly CN?: string | readonly string[];
  };
  const names = [commonName, namesOf(leaf).map(asWritten)].flat();
  return {
    kind: 'tls',
    serial: leaf.serialNumber.toLowerCase(),
    caFingerprint: keyFingerprint(issuer),
    keyFingerprint: keyFingerprint(leaf),
    principals: [...new Set(names)],
    notBefore: BigInt(leaf.validFromDate.getTime() / 1000),
    notAfter: BigInt(leaf.validToDate.getTime() / 1000),
  };
}

function parsePem(block: string): X509Certificate | undefined {
  try {
    return new X509Certificate(block);
  } catch {
    // Then the file has none there.
    return undefined;
  }
}

/** An address as the log writes it. */
function asWritten(name: string): string {
  const address = parseAddress(name);
  return address === undefined ? name : formatAddress(address);
}

function keyFingerprint({ publicKey }: X509Certificate): string {
  return fingerprint(publicKeyFromKeyObject(publicKey).blob);
}
