/**
 * Judges many mutations of one bundle with our verifier, each from its beginning, in a process of its own whose memory tells
 * something: what is judged is read from disk, piece by piece. Arguments and answers are those of verify_mutations.py.
 *
 *     node judge-cases.ts CASES FILE...
 */
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { verifyBundle } from '../../src/accounting/verify/index.ts';

type WrittenPiece = readonly [file: number, start: number, end: number] | string;
interface Case {
  readonly pieces: readonly WrittenPiece[];
  readonly key: string;
  readonly held?: string;
  readonly part?: boolean;
}

const [casesFile = '', ...files] = process.argv.slice(2);

async function* bytesOf(pieces: readonly WrittenPiece[]): AsyncGenerator<Uint8Array> {
  for (const piece of pieces) {
    if (typeof piece === 'string') yield Buffer.from(piece, 'base64');
    else yield* createReadStream(files[piece[0]] ?? '', { start: piece[1], end: piece[2] - 1 });
  }
}

const cases = await open(casesFile);
for await (const line of cases.readLines()) {
  const { pieces, key, held, part } = JSON.parse(line) as Case;
  const verdict = await verifyBundle(bytesOf(pieces), {
    verifierKey: key,
    ...(held === undefined ? {} : { previousCheckpoint: held }),
    part: part === true,
  });
  const report = { ...verdict, maxKb: process.resourceUsage().maxRSS };
  const text = JSON.stringify(report, (_key, value: unknown) =>
    typeof value === 'bigint' ? String(value) : value,
  );
  process.stdout.write(`${text}\n`);
}
