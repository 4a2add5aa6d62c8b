// Runs the benchmarks: all of them, or the cases that are named. Options: --json, --quick, --rounds N (5 or more), --strict (exit 1
// when a gate is missed).
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { BenchCase } from './case.ts';
import { accountingCase } from './cases/accounting.ts';
import { crlCase } from './cases/crl.ts';
import { eventLoopCase } from './cases/event-loop.ts';
import { groupCommitCase } from './cases/group-commit.ts';
import { httpIssuanceCase } from './cases/http-issuance.ts';
import { httpStackCase } from './cases/http-stack.ts';
import { krlCase } from './cases/krl.ts';
import { ldapLoginCase } from './cases/ldap-login.ts';
import { ocspCase } from './cases/ocsp.ts';
import { sshCertificateCase } from './cases/ssh-certificate.ts';
import { millionCase } from './cases/million.ts';
import { twoBrokersCase } from './cases/two-brokers.ts';
import { waitingHostsCase } from './cases/waiting-hosts.ts';
import { describeMachine, toJson, toTable, verdictOf } from './report.ts';
import type { Row } from './report.ts';

/** In the order of the table. A new case is one file in cases/ and one name here. */
const cases: readonly BenchCase[] = [
  sshCertificateCase,
  httpIssuanceCase,
  groupCommitCase,
  twoBrokersCase,
  accountingCase,
  krlCase,
  crlCase,
  ocspCase,
  ldapLoginCase,
  eventLoopCase,
  httpStackCase,
  millionCase,
  waitingHostsCase,
];

const options = {
  json: { type: 'boolean', default: false },
  quick: { type: 'boolean', default: false },
  strict: { type: 'boolean', default: false },
  rounds: { type: 'string', default: '5' },
} as const;

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  const rounds = Number(values.rounds);
  const names = cases.map(({ name }) => name);
  if (!Number.isInteger(rounds) || rounds < 5 || positionals.some((name) => !names.includes(name))) {
    process.stderr.write(`bench: --rounds takes 5 or more, and the cases are ${names.join(', ')}.\n`);
    return 2;
  }
  const chosen = cases.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-bench-'));
  const machine = describeMachine();
  const rows: Row[] = [];
  const notes: string[] = [];
  const started = performance.now();
  try {
    for (const benchCase of chosen) {
      const progress = (text: string): void => void process.stderr.write(`${benchCase.name}: ${text}\n`);
      const note = (text: string): void => void notes.push(`${benchCase.name}: ${text}`);
      rows.push(...(await benchCase.run({ rounds, quick: values.quick, folder, progress, note })));
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  const given = process.argv.slice(2).filter((word) => word !== '--json');
  const command = ['npm run bench', ...(given.length > 0 ? ['--', ...given] : [])].join(' ');
  const run = { rows, notes, machine, command, seconds: Math.round((performance.now() - started) / 1000) };
  process.stdout.write(values.json ? toJson(run) : toTable(run));
  return values.strict && rows.some((row) => verdictOf(row) === 'missed') ? 1 : 0;
}

process.exitCode = await main().catch((error: unknown) => {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  return 1;
});
