import { execFile } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeBundle } from '../../src/accounting/index.ts';
import { dayDrafts, makeLog } from './log-fixture.ts';

const verifier = join(import.meta.dirname, '../../src/accounting/verify/index.ts');
// A process of its own, so that its memory is its own. Prints exit code, entries and the most memory it ever held.
const script = `
  const { verifyBundle } = await import(process.argv[1]);
  const verdict = await verifyBundle(process.argv[2], { verifierKey: process.argv[3] });
  const entries = verdict.facts === undefined ? 0 : Number(verdict.facts.to);
  console.log(JSON.stringify({ exitCode: verdict.exitCode, entries, maxKb: process.resourceUsage().maxRSS }));
`;

describe('the verifier’s memory', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sallyport-memory-'));
  });
  afterAll(async () => {
    await rm(folder, { recursive: true });
  });

  async function verifyApart(count: number): Promise<{ entries: number; maxKb: number; fileKb: number }> {
    const { checkpoint, entries, readTile, signer, key } = makeLog(dayDrafts(count));
    const path = join(folder, `${count}.bundle`);
    const bundle = writeBundle({ checkpoint, from: 0n, to: BigInt(count), entries, readTile, signer });
    await pipeline(bundle, createWriteStream(path));
    const run = await promisify(execFile)(process.execPath, [
      '--input-type=module',
      '-e',
      script,
      verifier,
      path,
      key,
    ]);
    const told = JSON.parse(run.stdout) as { exitCode: number; entries: number; maxKb: number };
    expect(told.exitCode).toBe(0);
    return { ...told, fileKb: (await stat(path)).size / 1024 };
  }

  it('does not grow with the log: 50,000 entries take little more than 2,000', async () => {
    const small = await verifyApart(2000);
    const large = await verifyApart(50_000);
    expect([small.entries, large.entries]).toEqual([2000, 50_000]);
    expect(large.fileKb - small.fileKb).toBeGreaterThan(20_000);
    // Garbage that was not collected yet is a matter of the heap's first sizes, not of the file's.
    expect(large.maxKb).toBeLessThan(small.maxKb + 60_000);
    expect(large.maxKb).toBeLessThan(200_000);
  });
});
