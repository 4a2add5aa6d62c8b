import { fingerprint, parseCertificate, parsePublicKey } from '../../ssh/index.ts';
import { readGivenFile } from './given-file.ts';
import { usage } from './report.ts';

/** `SHA256:…` as it is, or that of the key or certificate in a file. Only the fingerprint is sent. */
export function keyFingerprint(text: string): string {
  if (text.startsWith('SHA256:')) {
    if (/^SHA256:[A-Za-z0-9+/]{43}$/.test(text)) return text;
    throw usage(
      'That is not a whole SHA256: fingerprint.',
      'Copy it as `ssh-keygen -l` prints it: 43 characters after the colon.',
    );
  }
  const next = 'Give a public key file, a certificate file, or SHA256:….';
  return readGivenFile(text, next, (content) => {
    const isCertificate = /^[a-z0-9-]+-cert-v01@openssh\.com /.test(content);
    const key = isCertificate ? parseCertificate(content.trimEnd()).key : parsePublicKey(content);
    return fingerprint(key.blob);
  });
}
