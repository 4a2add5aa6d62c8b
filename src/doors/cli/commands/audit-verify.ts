import { statSync } from 'node:fs';
import type { Finding, ProofFacts, ProofOptions, Verdict } from '../../../accounting/verify/index.ts';
import {
  describeVerdict,
  isPart,
  maxProofBytes,
  policyFor,
  proofHeader,
  verifyBundle,
  verifyProof,
} from '../../../accounting/verify/index.ts';
import { CodedError } from '../../../kernel/index.ts';
import { errnoOf, fileFault, readSmallFile } from '../../client/index.ts';
import type { Result } from '../command.ts';
import { wordsOf } from '../entry-words.ts';
import { heldCertificate } from '../held-certificate.ts';
import type { Line } from '../output.ts';
import { hangingLines, wrap } from '../output.ts';
import { withProgress } from '../progress.ts';
import { usage } from '../report.ts';
import type { Terminal } from '../terminal.ts';
import { widthOf } from '../terminal.ts';

export interface VerifyOptions {
  readonly key: string;
  readonly previous?: string;
  /** A witness policy: whose cosignatures a checkpoint needs. */
  readonly policy?: string;
  /** A certificate that a receipt must be about. */
  readonly certificate?: string;
  /** A part of the log is what the auditor expects. */
  readonly part?: boolean;
}

const nextKey = 'Get it once, on a safe way: `sallyport ca show --only log-key > FILE`.';
const nextPrevious = 'Give a file that `sallyport audit checkpoint --out FILE` wrote.';
const nextPolicy = 'Give a witness policy; docs/operations/witness.md shows one.';
const nextBundle = 'Give a file that `sallyport audit export --out FILE` wrote.';

/**
 * Judges a bundle offline: no broker, no session, no network. Whatever keeps it from being judged at all is exit code 2: 1
 * would say that somebody tampered with it.
 */
export async function verifyLog(bundle: string, options: VerifyOptions, terminal: Terminal): Promise<Result> {
  const verifierKey = mustRead(options.key, nextKey).trim();
  if (!/^[^\s+]+\+[0-9a-f]{8}\+[A-Za-z0-9+/=]+$/.test(verifierKey))
    throw usage(`${options.key} is not the verifier key of a log.`, nextKey);
  const witnessPolicy = options.policy === undefined ? undefined : mustRead(options.policy, nextPolicy);
  if (witnessPolicy !== undefined) {
    const fault = policyFor(witnessPolicy, verifierKey);
    if (typeof fault === 'string') throw usage(`${options.policy}: ${fault}.`, nextPolicy);
  }
  const proof = readProof(bundle);
  const asked = { verifierKey, ...(witnessPolicy === undefined ? {} : { witnessPolicy }) };
  if (proof !== undefined) return verifyReceipt(proof, asked, options, terminal);
  if (options.certificate !== undefined)
    throw usage(
      `${bundle} is not a receipt.`,
      'Leave --certificate out: it is for what `audit prove` wrote.',
    );
  const previousCheckpoint =
    options.previous === undefined ? undefined : mustRead(options.previous, nextPrevious);
  const sizeBytes = sizeOf(bundle);
  const verdict = await withProgress(
    terminal,
    'Verifying',
    verifyBundle(bundle, {
      ...asked,
      ...(previousCheckpoint === undefined ? {} : { previousCheckpoint }),
      part: options.part === true,
    }),
  );
  if (verdict.exitCode === 2)
    throw usage(verdict.integrity.detail, options.previous === undefined ? nextKey : nextPrevious);
  return {
    value: plain(verdict),
    lines:
      sizeBytes === 0
        ? emptyLines(bundle)
        : [...verdictLines(terminal, verdict), ...partLines(verdict, options)],
    exitCode: verdict.exitCode,
  };
}

/** The text of a receipt; undefined when the file is anything else, which is then judged as a bundle. */
function readProof(path: string): string | undefined {
  const sizeBytes = sizeOf(path);
  if (sizeBytes === undefined || sizeBytes > maxProofBytes) return undefined;
  const text = mustRead(path, nextBundle);
  return text.startsWith(`${proofHeader}\n`) ? text : undefined;
}

function verifyReceipt(
  proof: string,
  asked: Pick<ProofOptions, 'verifierKey' | 'witnessPolicy'>,
  { certificate, previous, part }: VerifyOptions,
  terminal: Terminal,
): Result {
  if (previous !== undefined || part === true)
    throw usage('A receipt has no earlier state and no parts.', 'Leave --previous and --part out.');
  const held = certificate === undefined ? undefined : heldCertificate(certificate);
  const verdict = verifyProof(proof, {
    ...asked,
    ...(held === undefined ? {} : { certificate: held }),
  });
  if (verdict.exitCode === 2) throw usage(verdict.integrity.detail, nextKey);
  const { integrity, witnesses, facts, exitCode } = verdict;
  const entry = facts?.entry.fields;
  return {
    value: plain({
      integrity,
      ...(witnesses && { witnesses }),
      exitCode,
      ...(facts && { facts: { ...facts, entry } }),
    }),
    lines: [
      ...hangingLines(
        terminal.stdout,
        'receipt       ',
        `${integrity.state === 'verified' ? 'verified' : 'FAILED'}: ${integrity.detail}`,
      ),
      ...(facts === undefined ? [] : receiptLines(terminal, facts, held !== undefined)),
      ...witnessLines(terminal, witnesses),
      '',
      exitCode === 0
        ? { text: 'Verified.', tone: 'good' }
        : { text: 'NOT VERIFIED: this receipt proves nothing.', tone: 'bad' },
    ],
    exitCode,
  };
}

/** What the witnesses say; without a policy, what nobody says. */
function witnessLines(terminal: Terminal, witnesses: Finding | undefined): readonly Line[] {
  const words = {
    verified: 'verified',
    failed: 'FAILED',
    incomplete: 'INCOMPLETE',
    not_checked: 'not checked',
  };
  return hangingLines(
    terminal.stdout,
    'witnesses     ',
    witnesses === undefined
      ? 'not looked at: --policy FILE does. Without them, rollback by the operator is not excluded'
      : `${words[witnesses.state]}: ${witnesses.detail}`,
  );
}

function receiptLines(terminal: Terminal, { entry, index }: ProofFacts, asked: boolean): readonly Line[] {
  const item = { index: String(index), entry: entry.fields, openings: undefined };
  return [
    ...hangingLines(
      terminal.stdout,
      'entry         ',
      `${entry.time} ${entry.type}: ${wordsOf(item, new Map())}`,
    ),
    ...(asked
      ? ['certificate   this receipt is that of its issue']
      : ['certificate   not compared with one: --certificate FILE does']),
  ];
}

function emptyLines(bundle: string): readonly Line[] {
  return [
    { text: `NOT VERIFIED: ${bundle} is empty.`, tone: 'bad' },
    '  next: Export it again; `sallyport audit export` gives a file its name only when all of it is there.',
  ];
}

/** The next step for whoever got a part, and did not say that they expect one. */
function partLines({ facts, exitCode }: Verdict, { part }: VerifyOptions): readonly Line[] {
  if (facts === undefined || !isPart(facts) || part === true || exitCode !== 3) return [];
  return ['  next: Export all of it, or say with --part that a part is what you expect.'];
}

function verdictLines(terminal: Terminal, verdict: Verdict): readonly Line[] {
  const said = describeVerdict(verdict).trimEnd().split('\n');
  const conclusion = said.pop() ?? '';
  return [
    ...said.flatMap((line) => {
      // Findings and facts have a label of 14 columns; the other lines are prose.
      const lead = /^[a-z]+ +(?=\S)/.exec(line)?.[0] ?? '';
      return lead.length === 14
        ? hangingLines(terminal.stdout, lead, line.slice(14))
        : wrap(line, widthOf(terminal.stdout));
    }),
    { text: conclusion, tone: verdict.exitCode === 0 ? 'good' : 'bad' },
  ];
}

function mustRead(path: string, next: string): string {
  try {
    const text = readSmallFile(path);
    if (text !== undefined) return text;
  } catch (error) {
    throw error instanceof CodedError ? usage(error.message, next) : error;
  }
  throw usage(`There is no file ${path}.`, next);
}

/** Looked at without opening it: it may be a pipe. @throws CodedError `cli.usage` when it is not there, or a folder */
function sizeOf(path: string): number | undefined {
  try {
    const found = statSync(path);
    if (!found.isDirectory()) return found.isFile() ? found.size : undefined;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') throw usage(`There is no file ${path}.`, nextBundle);
    throw usage(fileFault('client.cannot_read', 'read', path, error).message, nextBundle);
  }
  throw usage(`${path} is a folder.`, nextBundle);
}

/** The same with every bigint as a decimal text. */
function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, plain(inner)]));
}
