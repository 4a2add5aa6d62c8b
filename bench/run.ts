// Runs the benchmarks. Options: --json, --quick, --only NAME, --rounds N (5 or more), --strict (exit 1 when a gate is missed).
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { BenchCase } from './case.ts';
import { httpIssuanceCase } from './cases/http-issuance.ts';
import { krlCase } from './cases/krl.ts';
import { sshCertificateCase } from './cases/ssh-certificate.ts';
import { describeMachine, toJson, toTable, verdictOf } from './report.ts';
import type { Row } from './report.ts';

/** In the order of the table. A new case is one file in cases/ and one name here. */
const cases: readonly BenchCase[] = [sshCertificateCase, httpIssuanceCase, krlCase];

const options = {
  json: { type: 'boolean', default: false },
  quick: { type: 'boolean', default: false },
  strict: { type: 'boolean', default: false },
  only: { type: 'string' },
  rounds: { type: 'string', default: '5' },
} as const;

async function main(): Promise<number> {
  const { values } = parseArgs({ options });
  const rounds = Number(values.rounds);
  const chosen = cases.filter(({ name }) => values.only === undefined || values.only === name);
  if (!Number.isInteger(rounds) || rounds < 5 || chosen.length === 0) {
    const names = cases.map(({ name }) => name).join(', ');
    process.stderr.write(`bench: --rounds takes 5 or more, and --only one of ${names}.\n`);
    return 2;
  }
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-bench-'));
  const machine = describeMachine();
  const rows: Row[] = [];
  try {
    for (const benchCase of chosen) {
      const progress = (text: string): void => void process.stderr.write(`${benchCase.name}: ${text}\n`);
      rows.push(...(await benchCase.run({ rounds, quick: values.quick, folder, progress })));
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  const given = process.argv.slice(2).filter((word) => word !== '--json');
  const command = ['npm run bench', ...(given.length > 0 ? ['--', ...given] : [])].join(' ');
  process.stdout.write(values.json ? toJson(rows, machine, command) : toTable(rows, machine, command));
  return values.strict && rows.some((row) => verdictOf(row) === 'missed') ? 1 : 0;
}

process.exitCode = await main().catch((error: unknown) => {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  return 1;
});
