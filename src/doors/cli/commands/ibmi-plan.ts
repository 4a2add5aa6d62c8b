import type { X509Certificate } from 'node:crypto';
import { chooseApplications, restartPlan } from '../../../tn5250/index.ts';
import { type Delivery, makePlan, nextLabel, type PlanInput } from '../../ibmi/index.ts';
import { matchesName, parseAuthorities } from '../../probe/index.ts';
import type { Result } from '../command.ts';
import { readGivenBytes } from '../given-bytes.ts';
import { readGivenFile } from '../given-file.ts';
import type { Line } from '../output.ts';
import { fieldLines } from '../output.ts';
import { checkOutFolder, writeOutFolder } from '../out-folder.ts';
import { usage } from '../report.ts';
import type { Terminal } from '../terminal.ts';

export interface PlanFlags {
  readonly apps: string;
  readonly certificate: string;
  readonly ca: readonly string[];
  readonly p12?: string;
  readonly compat?: 'dcm' | 'modern';
  readonly label?: string;
  readonly previousLabel?: string;
  readonly clientCa?: string;
  readonly out: string;
}

const maxBundleBytes = 1_048_576;

/** The plan for a certificate that is there already, wherever it was signed. Needs no broker. */
export async function planForFile(host: string, flags: PlanFlags, terminal: Terminal): Promise<Result> {
  const applications = chooseApplications(flags.apps);
  checkOutFolder(flags.out);
  const certificate = certificateOf(flags.certificate);
  const authorities = fromRoot(
    flags.ca.flatMap((file) =>
      certificatesOf(file, 'Name PEM files of the root and of the issuing authority.'),
    ),
    certificate,
  );
  const delivery: Delivery =
    flags.p12 === undefined
      ? { kind: 'signed' }
      : {
          kind: 'pkcs12',
          bytes: readGivenBytes(flags.p12, maxBundleBytes),
          encryption: flags.compat === 'modern' ? 'modern' : 'compatible',
        };
  const clientAuthority =
    flags.clientCa === undefined
      ? undefined
      : certificatesOf(flags.clientCa, 'Name the PEM file of the authority of clients.')[0];
  return writePlan(
    {
      host,
      applications,
      certificate,
      authorities,
      delivery,
      clientAuthority,
      label: flags.label ?? labelFor(flags.apps, flags.previousLabel, terminal),
      previousLabel: flags.previousLabel,
      madeMs: terminal.clock.nowMs(),
      version: terminal.version,
    },
    flags.out,
    terminal,
  );
}

/** By the label rule, after the first application that is named. */
export function labelFor(apps: string, previous: string | undefined, { clock }: Terminal): string {
  const word =
    (apps.split(',')[0] ?? '')
      .trim()
      .toLowerCase()
      .replaceAll(/[^a-z0-9]/g, '') || 'tls';
  return nextLabel(
    /^[a-z]/.test(word) ? word : `tls${word}`,
    clock.nowMs(),
    previous === undefined ? [] : [previous],
  );
}

/** Makes the folder, and says what to do with it. */
export function writePlan(input: PlanInput, out: string, terminal: Terminal): Result {
  const files = makePlan(input);
  writeOutFolder(out, files, terminal.random);
  const restarts = restartPlan(input.applications);
  const lines: Line[] = [
    { text: `Wrote ${out}: ${files.length} files.`, tone: 'good' },
    ...fieldLines(terminal.stdout, [
      ['system', input.host],
      ['label', input.label],
      ['good until', input.certificate.validToDate.toISOString().slice(0, 10)],
      ['applications', input.applications.map(({ word }) => word).join(', ')],
      ...restarts.map(({ word, cuts }): readonly [string, string] => [`restart ${word}`, `cuts ${cuts}`]),
    ]),
  ];
  return {
    value: {
      folder: out,
      label: input.label,
      files: files.map(({ path }) => path),
      serial: input.certificate.serialNumber,
    },
    lines,
    notes: [
      ...(matchesName(input.certificate, input.host) ? [] : [namelessNote(input.host)]),
      `next: read ${out}/runbook.html; nothing of it was ever tried on a real IBM i.`,
    ],
  };
}

/** No refusal: clients may dial other names than the one that the system is called by here. */
function namelessNote(host: string): Line {
  return {
    text: `The certificate does not name ${host}: clients that dial it by that name, and check names, will refuse it.`,
    tone: 'warning',
  };
}

/** The first certificate of a file. */
function certificateOf(file: string): X509Certificate {
  const next = 'Name the PEM file of the certificate.';
  return readGivenFile(file, next, (text) => {
    const [first] = text.includes('-----BEGIN CERTIFICATE-----') ? parseAuthorities(text) : [];
    if (first === undefined) throw usage(`There is no certificate in ${file}.`, next);
    return first;
  });
}

function certificatesOf(file: string, next: string): readonly X509Certificate[] {
  return readGivenFile(file, next, parseAuthorities);
}

/** The way from the root down to the certificate, in whatever order they were given; what is not on it is left out. */
export function fromRoot(
  given: readonly X509Certificate[],
  certificate: X509Certificate,
): readonly X509Certificate[] {
  const way: X509Certificate[] = [];
  let current = certificate;
  while (way.length < 8) {
    const under = current;
    const above = given.find((one) => one.fingerprint256 !== under.fingerprint256 && under.checkIssued(one));
    if (above === undefined) break;
    way.unshift(above);
    current = above;
  }
  return way;
}
