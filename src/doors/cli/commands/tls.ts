import { X509Certificate } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { checkWritable, writeByRename, type TlsCertificate, type TlsIssued } from '../../client/index.ts';
import { toRfc3339 } from '../../../kernel/index.ts';
import { withBroker, withSession, type Result } from '../command.ts';
import { readGivenFile } from '../given-file.ts';
import { fieldLines, tableLines, type Line } from '../output.ts';
import { checkNewKeyFile } from '../out-folder.ts';
import { withProgress } from '../progress.ts';
import { usage } from '../report.ts';
import type { Terminal } from '../terminal.ts';
import { formatShort, formatWhen } from '../times.ts';

const daySeconds = 86_400;

export interface TlsIssueOptions extends TlsFiles {
  readonly profile: string;
  readonly csr?: string;
  readonly new?: boolean;
  readonly keyType: string;
  readonly p12?: string;
  readonly encryption: string;
  readonly friendlyName?: string;
  readonly name?: readonly string[];
  readonly days?: number;
  readonly reason?: string;
}

/** Where a certificate goes. */
export interface TlsFiles {
  /** `-` is standard output. */
  readonly out?: string;
  readonly chain?: string;
}

/** Gets a certificate for a CSR, whose key stays where it is, or a new key with its certificate, which the broker forgets. */
export async function issue(options: TlsIssueOptions, terminal: Terminal): Promise<Result> {
  const { p12, csr: csrFile } = options;
  if ((csrFile === undefined) === (options.new !== true))
    throw usage(
      'Give either --csr FILE or --new.',
      'With --new the broker makes the key: --p12 FILE takes it.',
    );
  if ((p12 === undefined) !== (csrFile !== undefined))
    throw usage(
      '--p12 FILE goes with --new, and --new with it.',
      csrFile === undefined
        ? 'Name the file for the new key: --p12 FILE.'
        : 'Leave --p12 out: of a CSR the key is where it was made.',
    );
  const csr = csrFile === undefined ? undefined : readCsr(csrFile);
  checkFiles({ ...options, ...(p12 === undefined ? {} : { p12 }) });
  return withSession(terminal, async ({ client }) => {
    const { profile, name: names, days, reason, keyType: type, encryption, friendlyName } = options;
    const newKey = { type, encryption, ...(friendlyName === undefined ? {} : { friendlyName }) };
    const issued = await withProgress(
      terminal,
      csr === undefined ? 'Making a key and its certificate' : 'Getting a certificate',
      client.issueTls({
        profile,
        ...(csr === undefined ? { newKey } : { csr }),
        ...(names === undefined ? {} : { names }),
        ...(days === undefined ? {} : { ttlSeconds: days * daySeconds }),
        ...(reason === undefined ? {} : { reason }),
      }),
    );
    const pair = issued.pkcs12;
    if (p12 === undefined || pair === undefined) return writeIssued(options, issued, terminal);
    writeByRename(p12, pair.file, terminal.random, 0o600);
    // Not to standard output unless nothing else is asked for: the password is there.
    const files =
      options.out === undefined && options.chain === undefined ? [] : writeFiles(options, issued, terminal);
    return {
      value: {
        ...tlsJson(issued.issued),
        files: [p12, ...files],
        friendlyName: pair.friendlyName,
        password: pair.password,
      },
      lines: [
        { text: `Wrote ${[p12, ...files].join(' and ')}.`, tone: 'good' },
        ...tlsLines(terminal, issued.issued, [
          ['label', pair.friendlyName],
          ['password', pair.password],
        ]),
      ],
      notes: [
        {
          text: 'The password is shown this once; neither it nor the key is kept anywhere else.',
          tone: 'warning',
        },
      ],
    };
  });
}

/**
 * The text of a CSR, PEM; the broker reads it. What is none never leaves this computer: it may be the key.
 * @throws CodedError `cli.usage`, `client.cannot_read`
 */
export function readCsr(file: string): string {
  const next = 'Give the path of a CSR, as `openssl req -new` writes it.';
  return readGivenFile(file, next, (text) => {
    if (!/-----BEGIN (?:NEW )?CERTIFICATE REQUEST-----/.test(text))
      throw usage(`There is no CSR in ${file}; nothing was sent.`, next);
    if (text.includes('PRIVATE KEY-----'))
      throw usage(
        `There is a private key in ${file}; nothing was sent.`,
        'Take the CSR into a file of its own: the key stays where it was made.',
      );
    return text;
  });
}

/** Before anything is asked for: a certificate that cannot be written would be lost. @throws CodedError `cli.file_exists`, `client.cannot_write` */
export function checkFiles(files: TlsFiles & { readonly p12?: string }): void {
  if (files.p12 !== undefined) checkNewKeyFile(files.p12);
  for (const file of [files.out, files.chain]) if (file !== undefined && file !== '-') checkWritable(file);
}

/** Writes a certificate where it was to go, or prints it. */
export function writeIssued(files: TlsFiles, issued: TlsIssued, terminal: Terminal): Result {
  const { certificate } = issued;
  const written = writeFiles(files, issued, terminal);
  const value = { ...tlsJson(issued.issued), files: written };
  if (files.out === '-' || written.length === 0)
    return { value: { ...value, certificate }, lines: certificate.trimEnd().split('\n') };
  return {
    value,
    lines: [{ text: `Wrote ${written.join(' and ')}.`, tone: 'good' }, ...tlsLines(terminal, issued.issued)],
  };
}

function writeFiles({ out, chain }: TlsFiles, issued: TlsIssued, terminal: Terminal): readonly string[] {
  if (out !== undefined && out !== '-') writeByRename(out, issued.certificate, terminal.random, 0o644);
  if (chain !== undefined)
    writeByRename(chain, [issued.certificate, ...issued.chain].join(''), terminal.random, 0o644);
  return [out, chain].flatMap((file) => (file === undefined || file === '-' ? [] : [file]));
}

/** Shows the authorities, and writes what clients are to trust: one certificate a file. */
export async function authorities(options: { readonly out?: string }, terminal: Terminal): Promise<Result> {
  const found = await withBroker(terminal, ({ client }) =>
    withProgress(terminal, 'Asking the broker', client.tlsAuthorities()),
  );
  const written: string[] = [];
  const { out } = options;
  if (out !== undefined) {
    mkdirSync(out, { recursive: true });
    for (const { name, certificate } of [{ name: 'root', certificate: found.root }, ...found.authorities]) {
      const file = join(out, `${name}.pem`);
      writeByRename(file, certificate, terminal.random, 0o644);
      written.push(file);
    }
  }
  return {
    value: { ...found, files: written },
    lines: [
      ...rootLines(found.root, terminal),
      ...found.authorities.flatMap(({ name, fingerprint, notAfterMs, crl, ocsp }): Line[] => [
        { text: name, tone: 'strong' },
        ...fieldLines(terminal.stdout, [
          ['key', fingerprint],
          ['until', formatWhen(notAfterMs, terminal.clock.nowMs())],
          ['list', crl],
          ['OCSP', ocsp],
        ]),
      ]),
      ...written.map((file): Line => ({ text: `Wrote ${file}.`, tone: 'good' })),
    ],
  };
}

/** What others trust, so that it can be compared with what they were told on another way. */
function rootLines(pem: string, { stdout, clock }: Terminal): readonly Line[] {
  const { fingerprint256, validToDate } = new X509Certificate(pem);
  return [
    { text: 'root', tone: 'strong' },
    ...fieldLines(stdout, [
      ['SHA-256', fingerprint256],
      ['until', formatWhen(validToDate.getTime(), clock.nowMs())],
    ]),
  ];
}

/** A certificate as JSON for machines: the API's own names and forms. */
export function tlsJson(certificate: TlsCertificate): Readonly<Record<string, unknown>> {
  const { notBeforeMs, notAfterMs, issuedAtMs, ...same } = certificate;
  return {
    ...same,
    notBefore: toRfc3339(notBeforeMs),
    notAfter: toRfc3339(notAfterMs),
    issuedAt: toRfc3339(issuedAtMs),
  };
}

/** Certificates for people, one a line. */
export function tlsTable(terminal: Terminal, certificates: readonly TlsCertificate[]): readonly Line[] {
  return tableLines(
    terminal.stdout,
    ['FOR', 'PROFILE', 'ASKED BY', 'UNTIL', 'STATE', 'SERIAL'],
    certificates.map(({ commonName, profile, person, notAfterMs, state, revokedCode, serial }) => [
      commonName,
      profile,
      person.login,
      formatShort(notAfterMs),
      state === 'revoked' && isSaid(revokedCode) ? `revoked: ${revokedCode}` : state,
      serial,
    ]),
    // A serial that was cut can be given to no command.
    { gives: 0 },
  );
}

const isSaid = (code: string | undefined): boolean => code !== undefined && code !== 'unspecified';

/** A certificate for people. @param more labels with their values */
export function tlsLines(
  terminal: Terminal,
  certificate: TlsCertificate,
  more: readonly (readonly [string, string])[] = [],
): readonly string[] {
  return fieldLines(terminal.stdout, [
    ['for', certificate.commonName],
    ['names', certificate.names.map((name) => name.slice(name.indexOf(':') + 1)).join(' ')],
    ['key', `${certificate.keyType} ${certificate.keyFingerprint}`],
    ['profile', certificate.profile],
    ['serial', certificate.serial],
    ['until', formatWhen(certificate.notAfterMs, terminal.clock.nowMs())],
    ...more,
  ]);
}
