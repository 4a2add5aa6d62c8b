import { X509Certificate } from 'node:crypto';
import { CodedError } from '../../kernel/index.ts';

const maxChars = 1_048_576;
const maxCertificates = 200;

/**
 * The certificates of a PEM file, each once; text between them is skipped, as OpenSSL does.
 * @throws CodedError `probe.bad_ca_file` for a file without any, with one that cannot be read, or with over 200
 */
export function parseAuthorities(text: string): readonly X509Certificate[] {
  if (text.length > maxChars) throw badFile('it is longer than 1 MiB');
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]*-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0) throw badFile('there is no certificate in it');
  if (blocks.length > maxCertificates) throw badFile(`it has more than ${maxCertificates} certificates`);
  const certificates = blocks.map((block, nth) => {
    try {
      return new X509Certificate(block);
    } catch (error) {
      throw badFile(`certificate ${nth + 1} cannot be read`, error);
    }
  });
  return [...new Map(certificates.map((one) => [one.fingerprint256, one])).values()];
}

function badFile(why: string, cause?: unknown): CodedError {
  return new CodedError('probe.bad_ca_file', `This is no file of authorities: ${why}.`, {
    next: 'Give a PEM file with the certificates of the root and of the issuing authority.',
    cause,
  });
}
