import { createHash, createPrivateKey, sign, X509Certificate, type KeyObject } from 'node:crypto';
import { toRfc3339 } from '../../../kernel/index.ts';
import { withBroker, type Result } from '../command.ts';
import { readGivenFile } from '../given-file.ts';
import { withProgress } from '../progress.ts';
import { usage } from '../report.ts';
import type { Terminal } from '../terminal.ts';
import { checkFiles, readCsr, writeIssued, type TlsFiles } from './tls.ts';

export interface TlsRenewOptions extends TlsFiles {
  readonly certificate: string;
  readonly key: string;
  readonly csr: string;
  readonly days?: number;
}

/** Renews a server's certificate. The old key signs the request for it (docs/flows/tls.md), and goes nowhere. */
export async function renew(options: TlsRenewOptions, terminal: Terminal): Promise<Result> {
  const certificate = readGivenFile(
    options.certificate,
    'Give the certificate that is to be renewed, PEM.',
    (text) => text,
  );
  const old = readGivenFile(options.certificate, '', readOld);
  const key = readGivenFile(options.key, 'Give the private key of the certificate, PEM.', readKey);
  if (!old.checkPrivateKey(key))
    throw usage(
      `${options.key} is not the key of ${options.certificate}.`,
      'Give the key that belongs to it.',
    );
  const csr = readCsr(options.csr);
  checkFiles(options);
  const time = toRfc3339(terminal.clock.nowMs());
  const serial = old.serialNumber.toLowerCase().padStart(40, '0');
  const statement = `sallyport-tls-renew-1\n${serial}\n${createHash('sha256').update(csr).digest('hex')}\n${time}\n`;
  const signature = sign('sha256', Buffer.from(statement), key).toString('base64');
  const { days } = options;
  const issued = await withBroker(terminal, ({ client }) =>
    withProgress(
      terminal,
      'Renewing the certificate',
      client.renewTls({
        certificate,
        csr,
        time,
        signature,
        ...(days === undefined ? {} : { ttlSeconds: days * 86_400 }),
      }),
    ),
  );
  return writeIssued(options, issued, terminal);
}

function readOld(text: string): X509Certificate {
  try {
    return new X509Certificate(text);
  } catch {
    throw usage('This is not a certificate.', 'Give the certificate that is to be renewed, PEM.');
  }
}

function readKey(text: string): KeyObject {
  try {
    return createPrivateKey(text);
  } catch {
    // What the library says could quote the file.
    throw usage(
      'This is not a private key without a passphrase.',
      'Give it as PEM; `openssl pkey` takes a passphrase off.',
    );
  }
}
