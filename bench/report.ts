import { spawnSync } from 'node:child_process';
import { cpus, loadavg, release, totalmem, type } from 'node:os';
import { findPeer } from '../test/support/peers.ts';
import type { Peer } from '../test/support/peers.ts';

/** One line of the result: a ratio, and what it has to reach. */
export interface Row {
  /** Number of the target that this row measures, e.g. `1` or `14`. */
  readonly target: number;
  /** What is divided by what. */
  readonly name: string;
  readonly value: number;
  /** Which side of the gate is good. */
  readonly good: 'at least' | 'at most';
  /** Undefined: shown, not judged. */
  readonly gate?: number;
  readonly stretch?: number;
  /** The absolute numbers behind the ratio, for people. */
  readonly detail: string;
}

export type Verdict = 'stretch' | 'met' | 'missed' | 'not judged';

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGib: number;
  readonly system: string;
  readonly node: string;
  readonly openssl: string;
  readonly openssh: string;
  readonly postgres: string;
  readonly slapd: string;
  /** Of the last minute, when the run began: other work makes every wall time a lower bound. */
  readonly load: number;
}

/** All that is told at the end. */
export interface Run {
  readonly rows: readonly Row[];
  readonly notes: readonly string[];
  readonly machine: Machine;
  /** What repeats it. */
  readonly command: string;
  readonly seconds: number;
}

/** What a program says of itself, or that it is not there. */
function versionOf(peer: Peer, flag: string): string {
  const said = spawnSync(findPeer(peer) ?? peer, [flag], { encoding: 'utf8' });
  if (said.error !== undefined) return `no ${peer}`;
  const lines = `${said.stdout}\n${said.stderr}`
    .split('\n')
    .map((line) => line.replace(/^@?\(#\) ?\$?/, '').trim());
  return lines.find((line) => line !== '') ?? peer;
}

export function describeMachine(): Machine {
  const processors = cpus();
  return {
    cpu: processors[0]?.model ?? 'unknown',
    cores: processors.length,
    memoryGib: Math.round(totalmem() / 2 ** 30),
    system: `${type()} ${release()}`,
    node: process.versions.node,
    openssl: process.versions.openssl,
    openssh: versionOf('ssh', '-V'),
    postgres: versionOf('postgres', '--version'),
    slapd: versionOf('slapd', '-VV'),
    load: loadavg()[0] ?? 0,
  };
}

export function verdictOf({ value, good, gate, stretch }: Row): Verdict {
  if (gate === undefined) return 'not judged';
  const reaches = (limit: number): boolean => (good === 'at least' ? value >= limit : value <= limit);
  if (!reaches(gate)) return 'missed';
  return stretch !== undefined && reaches(stretch) ? 'stretch' : 'met';
}

/** The same content as the table, for programs. `missed` names every row that did not reach its gate. */
export function toJson({ rows, ...run }: Run): string {
  const judged = rows.map((row) => {
    const verdict = verdictOf(row);
    return { ...row, verdict, missed: verdict === 'missed' };
  });
  const missed = judged.filter((row) => row.missed).map(({ name }) => name);
  return `${JSON.stringify({ ...run, rows: judged, missed }, undefined, 2)}\n`;
}

export function toTable({ rows, notes, machine, command, seconds }: Run): string {
  const head = ['#', 'row', 'value', 'gate', 'stretch', 'verdict'];
  const limit = (row: Row, value: number | undefined): string =>
    value === undefined ? '' : `${row.good === 'at least' ? '≥' : '≤'} ${digits(value)}`;
  const cells = rows.map((row) => [
    String(row.target),
    row.name,
    digits(row.value),
    limit(row, row.gate),
    limit(row, row.stretch),
    verdictOf(row),
  ]);
  const widths = head.map((title, column) =>
    Math.max(title.length, ...cells.map((line) => line[column]?.length ?? 0)),
  );
  const line = (parts: readonly string[]): string =>
    parts
      .map((part, column) => part.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd();
  const lines = [line(head), line(widths.map((width) => '-'.repeat(width)))];
  for (const [index, row] of rows.entries()) {
    lines.push(line(cells[index] ?? []));
    lines.push(`   ${row.detail}`);
  }
  const { cpu, cores, memoryGib, system, node, openssl, openssh, postgres, slapd, load } = machine;
  const missed = rows.filter((row) => verdictOf(row) === 'missed').map(({ name }) => name);
  return [
    ...lines,
    '',
    ...notes,
    `Missed: ${missed.length === 0 ? 'nothing' : missed.join('; ')}.`,
    `Machine: ${cores} × ${cpu}, ${memoryGib} GiB, ${system}, load ${load.toFixed(1)} at the start; the run took ${seconds} s.`,
    `Versions: Node ${node} (OpenSSL ${openssl}), ${openssh}, ${postgres}, ${slapd}.`,
    'Ratios of CPU time (threads and children included) unless a row says wall; medians of interleaved rounds in this one run.',
    `U is one Ed25519 signature by crypto.sign with a reused key. To repeat: ${command}`,
    '',
  ].join('\n');
}

function digits(value: number): string {
  if (Math.abs(value) >= 100) return value.toFixed(0);
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 3);
}
