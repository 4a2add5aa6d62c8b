import { CodedError, decodeBase64 } from '../kernel/index.ts';

/** One PEM block with LF and no bag attributes (RFC 7468): what DCM on IBM i takes. */
export function encodePem(label: string, bytes: Buffer): string {
  const lines = bytes.toString('base64').replace(/(.{64})(?!$)/g, '$1\n');
  return `-----BEGIN ${label}-----\n${lines}\n-----END ${label}-----\n`;
}

/**
 * The first block under one of these labels; anything before it is left alone (programs write what is inside in clear there).
 * @throws CodedError `x509.not_pem`
 */
export function decodePem(text: string, labels: readonly string[]): Buffer {
  for (const label of labels) {
    const begin = `-----BEGIN ${label}-----`;
    const from = text.indexOf(begin);
    const to = text.indexOf(`-----END ${label}-----`, from);
    if (from === -1 || to === -1) continue;
    const bytes = decodeBase64(text.slice(from + begin.length, to).replaceAll(/[\t\n\r ]/g, ''));
    if (bytes !== undefined && bytes.length > 0) return bytes;
  }
  throw new CodedError('x509.not_pem', `There is no whole PEM block of ${labels.join(' or ')}.`, {
    next: `It begins with -----BEGIN ${labels[0] ?? ''}----- and ends with the same after END.`,
  });
}

/** Every CERTIFICATE block, in order. @throws CodedError `x509.not_pem` */
export function decodeCertificates(text: string): readonly Buffer[] {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0 || blocks.length > 16) decodePem('', ['CERTIFICATE']);
  return blocks.map((block) => decodePem(block, ['CERTIFICATE']));
}
