import { checkWritable, writeByRename } from '../../client/index.ts';
import { fingerprint, parsePublicKey } from '../../../ssh/index.ts';
import { obtainCertificate } from '../certificate-files.ts';
import type { CertificateOptions } from '../certificate-options.ts';
import { signRequest } from '../certificate-options.ts';
import { certificateLines, certificateValue } from '../certificate-report.ts';
import type { Result } from '../command.ts';
import { withSession } from '../command.ts';
import { readGivenFile } from '../given-file.ts';
import { withProgress } from '../progress.ts';
import { usage } from '../report.ts';
import type { Terminal } from '../terminal.ts';

export interface SignOptions extends CertificateOptions {
  /** `-` is standard output. */
  readonly out?: string;
}

/** Gets a certificate for somebody's own public key. The private key stays where it is. */
export async function sign(keyFile: string, options: SignOptions, terminal: Terminal): Promise<Result> {
  const next = 'Give the path of a public key, e.g. ~/.ssh/id_ed25519.pub.';
  const key = readGivenFile(keyFile, next, (text) => {
    if (!text.includes('PRIVATE KEY')) return parsePublicKey(text);
    throw usage(
      `${keyFile} is a private key.`,
      `Give its public half, ${keyFile}.pub; the private key goes nowhere.`,
    );
  });
  const request = signRequest(options);
  const file = options.out ?? certificatePath(keyFile);
  if (file !== '-') checkWritable(file);
  else if (options.proof === true)
    throw usage(
      'A receipt is written beside its certificate, and this one goes to standard output.',
      'Give --out FILE, or fetch it later with `sallyport audit prove`.',
    );
  return withSession(terminal, async ({ client }) => {
    const obtained = await withProgress(
      terminal,
      'Getting a certificate',
      obtainCertificate(terminal, client, key, { request, proof: options.proof === true }),
    );
    const value = { ...certificateValue({ ...obtained, file }), keyFingerprint: fingerprint(key.blob) };
    const described = certificateLines(terminal, obtained);
    if (file === '-')
      return {
        value: { ...value, certificate: obtained.answer.certificate },
        lines: [obtained.answer.certificate],
      };
    writeByRename(file, `${obtained.answer.certificate}\n`, terminal.random, 0o644);
    if (obtained.proof !== undefined)
      writeByRename(receiptPath(file), obtained.proof, terminal.random, 0o644);
    return { value, lines: [{ text: `Wrote ${file}.`, tone: 'good' }, ...described] };
  });
}

/** The name under which ssh finds the certificate beside its key: `KEY-cert.pub`. */
export function certificatePath(keyFile: string): string {
  if (keyFile.endsWith('-cert.pub')) {
    throw usage(`${keyFile} is a certificate already.`, 'Give the public key that it was made for.');
  }
  return keyFile.endsWith('.pub') ? `${keyFile.slice(0, -4)}-cert.pub` : `${keyFile}-cert.pub`;
}

/** Beside the certificate: `KEY-cert.tlog-proof`. */
function receiptPath(certificateFile: string): string {
  return `${certificateFile.replace(/\.pub$/, '')}.tlog-proof`;
}
