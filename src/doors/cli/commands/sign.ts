import { checkWritable, readSmallFile, writeByRename } from '../../client/index.ts';
import { CodedError } from '../../../kernel/index.ts';
import { fingerprint, parsePublicKey } from '../../../ssh/index.ts';
import { obtainCertificate } from '../certificate-files.ts';
import type { CertificateOptions } from '../certificate-options.ts';
import { signRequest } from '../certificate-options.ts';
import { certificateLines, certificateValue } from '../certificate-report.ts';
import type { Result } from '../command.ts';
import { withSession } from '../command.ts';
import { withProgress } from '../progress.ts';
import { usage } from '../report.ts';
import type { Terminal } from '../terminal.ts';

export interface SignOptions extends CertificateOptions {
  /** `-` is standard output. */
  readonly out?: string;
}

/** Gets a certificate for somebody's own public key. The private key stays where it is. */
export async function sign(keyFile: string, options: SignOptions, terminal: Terminal): Promise<Result> {
  const text = readSmallFile(keyFile);
  if (text === undefined)
    throw usage(`There is no file ${keyFile}.`, 'Give the path of a public key, e.g. ~/.ssh/id_ed25519.pub.');
  if (text.includes('PRIVATE KEY'))
    throw usage(
      `${keyFile} is a private key.`,
      `Give its public half, ${keyFile}.pub; the private key goes nowhere.`,
    );
  const key = parsePublicKey(text);
  const request = signRequest(options);
  const file = options.out ?? certificatePath(keyFile);
  if (file !== '-') checkWritable(file);
  return withSession(terminal, async ({ client }) => {
    const obtained = await withProgress(
      terminal,
      'Getting a certificate',
      obtainCertificate(terminal, client, key, request),
    );
    const value = { ...certificateValue({ ...obtained, file }), keyFingerprint: fingerprint(key.blob) };
    const described = certificateLines(terminal, obtained);
    if (file === '-')
      return {
        value: { ...value, certificate: obtained.answer.certificate },
        lines: [obtained.answer.certificate],
      };
    writeByRename(file, `${obtained.answer.certificate}\n`, terminal.random, 0o644);
    return { value, lines: [{ text: `Wrote ${file}.`, tone: 'good' }, ...described] };
  });
}

/** The name under which ssh finds the certificate beside its key: `KEY-cert.pub`. */
export function certificatePath(keyFile: string): string {
  if (keyFile.endsWith('-cert.pub')) {
    throw new CodedError('cli.usage', `${keyFile} is a certificate already.`, {
      next: 'Give the public key that it was made for.',
    });
  }
  return keyFile.endsWith('.pub') ? `${keyFile.slice(0, -4)}-cert.pub` : `${keyFile}-cert.pub`;
}
