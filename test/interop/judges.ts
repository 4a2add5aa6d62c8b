import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Finding, type Verdict, verifyBundle } from '../../src/accounting/verify/index.ts';
import { type Lined, type Piece, streamOf } from './bundle-mutations.ts';

const runFile = promisify(execFile);

/** A bundle in pieces and what is asked about it. */
export interface Question {
  readonly pieces: readonly Piece[];
  readonly key: string;
  readonly held?: string;
  readonly part?: boolean;
}

/** What a judge said, in the words that both of them must share: everything but details, which are for people. */
export interface Said {
  readonly exitCode: number;
  readonly findings: string;
  readonly facts: unknown;
  /** The most memory that the judging process held, where it was one of its own. */
  readonly maxKb?: number;
}

/** A report of either program. */
interface Report {
  readonly exitCode: number;
  readonly maxKb?: number;
  readonly facts?: unknown;
  readonly error?: unknown;
}

const names = ['integrity', 'consistency', 'completeness'] as const;

/** Runs our verifier. */
export async function judgeHere(files: readonly Lined[], question: Question): Promise<Said> {
  const verdict = await verifyBundle(streamOf(files, question.pieces), {
    verifierKey: question.key,
    ...(question.held === undefined ? {} : { previousCheckpoint: question.held }),
    part: question.part === true,
  });
  return said(plain(verdict));
}

/** As the CLI prints it: numbers of entries are strings. */
function plain(verdict: Verdict): Report {
  const text = JSON.stringify(verdict, (_key, value: unknown) =>
    typeof value === 'bigint' ? String(value) : value,
  );
  return JSON.parse(text) as Report;
}

export function said(report: Report): Said {
  const { exitCode, maxKb } = report;
  if (exitCode === 2) return { exitCode, findings: '', facts: undefined };
  const findings = names.map((name) => {
    const { state, line, index } = (report as unknown as Record<string, Finding>)[name] ?? {
      state: 'missing',
    };
    return `${name} ${state}, line ${line ?? '-'}, entry ${index ?? '-'}`;
  });
  return {
    exitCode,
    findings: findings.join('; '),
    facts: report.facts,
    ...(maxKb === undefined ? {} : { maxKb }),
  };
}

/** Runs the Python verifier on many questions about variants of `files[0]`; see verify_mutations.py. */
export async function judgeInPython(
  python: string,
  files: readonly Lined[],
  questions: readonly Question[],
): Promise<Said[]> {
  return judgeByProgram([python, '-B', join(import.meta.dirname, 'verify_mutations.py')], files, questions);
}

/** Runs our verifier on them in a process of its own; see judge-cases.ts. */
export async function judgeByOurs(files: readonly Lined[], questions: readonly Question[]): Promise<Said[]> {
  return judgeByProgram([process.execPath, join(import.meta.dirname, 'judge-cases.ts')], files, questions);
}

async function judgeByProgram(
  [program = '', ...args]: readonly string[],
  files: readonly Lined[],
  questions: readonly Question[],
): Promise<Said[]> {
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-judge-'));
  try {
    const paths = files.map((_, nth) => join(folder, String(nth)));
    await Promise.all(files.map(({ bytes }, nth) => writeFile(paths[nth] ?? '', bytes)));
    const cases = questions.map(({ pieces, key, held, part }) => {
      const written = pieces.map((piece) => (Buffer.isBuffer(piece) ? piece.toString('base64') : piece));
      return JSON.stringify({ pieces: written, key, held, part });
    });
    await writeFile(join(folder, 'cases'), `${cases.join('\n')}\n`);
    const { stdout, stderr } = await runFile(program, [...args, join(folder, 'cases'), ...paths], {
      maxBuffer: 2 ** 28,
    });
    if (stderr !== '') throw new Error(stderr);
    return stdout
      .trim()
      .split('\n')
      .map((line) => said(JSON.parse(line) as Report));
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Without what is of one process and not of what it judged. */
export const shared = ({ exitCode, findings, facts }: Said): Said => ({ exitCode, findings, facts });
