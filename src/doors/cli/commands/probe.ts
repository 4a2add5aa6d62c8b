import type { X509Certificate } from 'node:crypto';
import {
  allFindings,
  createRevocationCheck,
  type HostLook,
  maxListBytes,
  parseAuthorities,
  parseHosts,
  parseLists,
  parsePorts,
  probe,
  type ProbeReport,
  renderHtml,
  stateText,
  type TlsLook,
  usualPatience,
} from '../../probe/index.ts';
import { CodedError, toRfc3339 } from '../../../kernel/index.ts';
import { checkWritable, loadSettings, writeByRename } from '../../client/index.ts';
import { brokerAuthorities } from '../broker-authorities.ts';
import type { Result } from '../command.ts';
import { readGivenBytes } from '../given-bytes.ts';
import { parseGiven, readGivenFile } from '../given-file.ts';
import type { Line, Tone } from '../output.ts';
import { hangingLines, tableLines } from '../output.ts';
import { startBar } from '../progress-bar.ts';
import { checkSession, recordProbe } from '../record-probe.ts';
import type { Terminal } from '../terminal.ts';

export interface ProbeFlags {
  readonly hosts?: string;
  readonly ca?: readonly string[];
  /** Files of revoked certificates. */
  readonly crl?: readonly string[];
  readonly ports?: string;
  readonly html?: string;
  /** Tell the broker. */
  readonly log?: boolean;
  /** Seconds. */
  readonly wait: number;
}

/** Looks at every port of every host, and says what is to be put right. */
export async function probeHosts(
  named: readonly string[],
  flags: ProbeFlags,
  terminal: Terminal,
): Promise<Result> {
  // 1. Everything on the command line is in order before a connection is made.
  const hosts = parseHosts([...named, ...(flags.hosts === undefined ? [] : readHosts(flags.hosts))]);
  const targets = flags.ports === undefined ? {} : { targets: parsePorts(flags.ports) };
  const next = 'Name a PEM file with the certificates of root and issuing authority.';
  const authorities =
    flags.ca === undefined
      ? await trustedByHome(terminal)
      : flags.ca.flatMap((file) => readGivenFile(file, next, parseAuthorities));
  const given = (flags.crl ?? []).flatMap(readLists);
  if (flags.html !== undefined) checkWritable(flags.html);
  if (flags.log === true) await checkSession(terminal);
  // 2. One connection to each port.
  const bar = startBar(terminal, 'Looking at ports', hosts.length);
  const report = await probe({
    hosts,
    ...targets,
    authorities,
    clock: terminal.clock,
    revocation: createRevocationCheck({ clock: terminal.clock, given }),
    patience: { ...usualPatience, firstBytesMs: flags.wait * 1000 },
    progress: (done) => bar.show(done),
  }).finally(() => bar.end());
  // 3. For people, for machines, and for the files.
  if (flags.html !== undefined)
    writeByRename(flags.html, renderHtml(report, terminal.version), terminal.random, 0o644);
  if (flags.log === true) await recordProbe(report.hosts, terminal);
  return present(report, { ...flags, nobodysAuthority: authorities.length === 0 }, terminal);
}

/** The authorities of the broker that this home is for, if there is one and it can be asked: a probe needs no broker. */
async function trustedByHome(terminal: Terminal): Promise<readonly X509Certificate[]> {
  if (loadSettings(terminal.env).origin === undefined) return [];
  try {
    return await brokerAuthorities(terminal);
  } catch (error) {
    if (error instanceof CodedError) return [];
    throw error;
  }
}

function readHosts(file: string): readonly string[] {
  return readGivenFile(file, 'Name a file with one host on a line.', (text) =>
    text.split('\n').map((line) => line.replace(/#.*/, '').trim()),
  );
}

function readLists(file: string): ReturnType<typeof parseLists> {
  const bytes = readGivenBytes(file, maxListBytes);
  return parseGiven(file, () => parseLists(bytes));
}

function present(
  report: ProbeReport,
  flags: ProbeFlags & { readonly nobodysAuthority: boolean },
  terminal: Terminal,
): Result {
  const found = report.hosts.flatMap(allFindings);
  const bad = found.filter(({ weight }) => weight === 'bad').length;
  const warnings = found.filter(({ weight }) => weight === 'warning').length;
  const hosts = `${report.hosts.length} host${report.hosts.length === 1 ? '' : 's'}`;
  return {
    value: viewReport(report),
    lines: [
      ...report.hosts.flatMap((host) => [...hostLines(host, terminal), '']),
      { text: `${hosts}: ${bad} to put right, ${warnings} to look at.`, tone: bad === 0 ? 'good' : 'bad' },
    ],
    notes: [
      ...(flags.html === undefined ? [] : [`Wrote ${flags.html}.`]),
      ...(flags.log === true ? ['The broker has it in its log and its metrics.'] : []),
      ...(flags.nobodysAuthority
        ? [
            'note: without --ca, or a broker with an authority for TLS, nothing says whose certificates are ours.',
          ]
        : []),
    ],
    exitCode: bad === 0 ? 0 : 1,
  };
}

function hostLines(host: HostLook, terminal: Terminal): readonly Line[] {
  const address = host.address === undefined || host.address === host.host ? '' : ` (${host.address})`;
  const shown = host.ports.filter(({ state }) => state !== 'closed' && state !== 'no_answer');
  const unheard = host.ports.filter(({ state }) => state === 'no_answer').map(({ port }) => port);
  const rows = shown.map((look) => {
    const { tls } = look;
    const [leaf] = tls?.chain ?? [];
    return [
      String(look.port),
      look.service,
      stateText(look),
      tls === undefined ? '' : trustText(tls),
      tls === undefined ? '' : String(tls.daysLeft),
      leaf === undefined ? '' : leaf.names.join(' ') || leaf.subject,
    ];
  });
  return [
    { text: `${host.host}${address}`, tone: 'strong' },
    ...(rows.length === 0
      ? host.address === undefined
        ? []
        : ['  No port of the catalogue is open.']
      : tableLines(terminal.stdout, ['PORT', 'SERVICE', 'SERVES', 'TRUST', 'DAYS', 'NAMES'], rows, {
          gives: 5,
        })),
    ...(unheard.length === 0
      ? []
      : [{ text: `  no answer from ${unheard.join(', ')}`, tone: 'dim' as const }]),
    ...allFindings(host).flatMap((finding) => findingLines(finding, terminal)),
  ];
}

function trustText({ trust, revocation }: TlsLook): string {
  if (trust === 'not_asked') return '';
  if (trust === 'not_ours') return 'not ours';
  return { good: 'ours, not revoked', revoked: 'ours, revoked', unknown: 'ours', not_asked: 'ours' }[
    revocation
  ];
}

const tones: Readonly<Record<'bad' | 'warning' | 'note', readonly [Tone, string]>> = {
  bad: ['bad', 'put right'],
  warning: ['warning', 'look at'],
  note: ['dim', 'note'],
};

function findingLines(
  { weight, text, port }: ReturnType<typeof allFindings>[number],
  { stdout }: Terminal,
): readonly Line[] {
  const [tone, word] = tones[weight];
  const lead = `  ${word.padEnd(10)}${port === undefined ? '' : `${port}: `}`;
  return hangingLines(stdout, lead, text, 14).map((line) => ({ text: line, tone }));
}

/** Times as machines read them. */
function viewReport({ startedMs, endedMs, hosts }: ProbeReport): unknown {
  return {
    startedAt: toRfc3339(startedMs),
    endedAt: toRfc3339(endedMs),
    hosts: hosts.map((host) => ({
      ...host,
      ports: host.ports.map(({ tls, ...look }) => ({
        ...look,
        ...(tls === undefined
          ? {}
          : {
              tls: {
                ...tls,
                chain: tls.chain.map(({ notBeforeMs, notAfterMs, ...certificate }) => ({
                  ...certificate,
                  notBefore: toRfc3339(notBeforeMs),
                  notAfter: toRfc3339(notAfterMs),
                })),
              },
            }),
      })),
    })),
  };
}
