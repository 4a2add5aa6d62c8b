import {
  type Application,
  applications,
  type CertificateUsage,
  type Fact,
  findApplication,
  groups,
  parseUsageCsv,
  restarts,
  sessionNeeds,
} from '../../../tn5250/index.ts';
import type { Result } from '../command.ts';
import { readGivenFile } from '../given-file.ts';
import type { Line } from '../output.ts';
import { hangingLines, tableLines } from '../output.ts';
import type { Terminal } from '../terminal.ts';

export interface AppsOptions {
  readonly usage?: string;
}

/** The catalogue, or a system's own list beside it. */
export async function listApps(options: AppsOptions, terminal: Terminal): Promise<Result> {
  if (options.usage !== undefined) {
    const next = 'Name the CSV file with the result of SELECT * FROM QSYS2.CERTIFICATE_USAGE_INFO.';
    return showUsage(readGivenFile(options.usage, next, parseUsageCsv), terminal);
  }
  const { stdout } = terminal;
  const lines: Line[] = [
    ...tableLines(stdout, ['NAME', 'APPLICATION ID', 'CLEAR', 'TLS', 'SERVES'], applications.map(appRow), {
      wrapLast: true,
    }),
    '',
    ...[...groups].map(([word, members]) => `${word} stands for ${members.join(', ')}.`),
    ...hangingLines(
      stdout,
      'A 5250 session with TLS needs together: ',
      `${sessionNeeds.map(({ port, service }) => `${port} (${service})`).join(', ')}.`,
      2,
    ),
    '',
    ...tableLines(
      stdout,
      ['RESTARTS', 'WITH', 'CUTS'],
      restarts.map(({ word, end, start, cuts, source, cutsSource }) => [
        word,
        `${end}, ${start}${mark(source)}`,
        `${cuts}${mark(cutsSource)}`,
      ]),
      { wrapLast: true },
    ),
  ];
  return {
    value: { applications, groups: Object.fromEntries(groups), sessionNeeds, restarts },
    lines,
    notes: [
      '',
      ...hangingLines(
        terminal.stderr,
        'note: ',
        '(?) is from memory; the rest was read in the sources that --json names. Nothing was tried on a real IBM i.',
      ).map((text): Line => ({ text, tone: 'dim' })),
    ],
  };
}

function appRow({ word, id, idSource, clear, tls, serves }: Application): readonly string[] {
  const ports = (list: Application['clear']): string =>
    list.map(({ port, source }) => `${port}${mark(source)}`).join(' ');
  return [
    word,
    id === undefined ? 'not known (?)' : `${id}${mark(idSource)}`,
    ports(clear),
    ports(tls),
    serves,
  ];
}

const mark = ({ mark: how }: Fact): string => (how === 'verified' ? '' : ' (?)');

function showUsage(rows: readonly CertificateUsage[], { stdout }: Terminal): Result {
  const value = rows.map((row) => ({ ...row, name: findApplication(row.applicationId)?.word ?? null }));
  const without = value.filter(({ name, labels }) => name !== null && labels.length === 0).length;
  return {
    value: { applications: value },
    lines: tableLines(
      stdout,
      ['NAME', 'APPLICATION ID', 'CERTIFICATES', 'DESCRIPTION'],
      value.map(({ name, applicationId, labels, description }) => [
        name ?? '',
        applicationId,
        labels.length === 0 ? 'none' : labels.join(', '),
        description,
      ]),
      { wrapLast: true },
    ),
    notes: [
      `${rows.length} applications; ${rows.length - value.filter(({ name }) => name !== null).length} of them are not in the catalogue, ${without} of the others have no certificate.`,
    ],
  };
}
