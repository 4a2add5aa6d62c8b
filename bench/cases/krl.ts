import { spawnSync } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SshBlob } from '../../src/kernel/index.ts';
import { encodeKrl, formatPublicKey, parseKrl, publicKeyFromKeyObject } from '../../src/ssh/index.ts';
import type { BenchCase, BenchContext } from '../case.ts';
import { measure, median, race, speedRatio } from '../measure.ts';
import type { Contender, Sample } from '../measure.ts';
import type { Row } from '../report.ts';
import { newEd25519, signatureLoop } from '../signing.ts';

/** Target 14: revocation lists, written by us and by ssh-keygen from the same serials. */
export const krlCase: BenchCase = {
  name: 'krl',
  async run(context) {
    const caKey = publicKeyFromKeyObject(newEd25519().publicKey);
    const caFile = join(context.folder, 'krl-ca.pub');
    writeFileSync(caFile, `${formatPublicKey(caKey)}\n`);
    const ca = { blob: caKey.blob, file: caFile };
    return [
      ...(await randomList(context, ca)),
      ...(await oneMore(context, ca)),
      ...(await denseList(context, ca)),
    ];
  },
};

interface Ca {
  readonly blob: SshBlob;
  readonly file: string;
}

/** A long list from scratch. */
async function randomList(context: BenchContext, ca: Ca): Promise<Row[]> {
  const { quick, folder, progress } = context;
  const count = quick ? 100_000 : 1_000_000;
  const serials = randomFillSync(new BigUint64Array(count));
  const file = join(folder, 'random.krl');
  const specification = specificationFile(folder, serials);
  progress(`${count} random serials by ssh-keygen -k, once (up to a minute, more on a busy machine)`);
  const { ours, theirs } = await againstOnce(
    context,
    () => encode(ca.blob, serials),
    sshKeygen(['-k', '-f', file, '-s', ca.file, specification]),
  );
  const { list, limit } = await race(context.rounds, {
    list: { run: () => (encode(ca.blob, serials), 1) },
    limit: signatureLoop(newEd25519().privateKey),
  });
  const bytes = encode(ca.blob, serials);
  const theirBytes = readFileSync(file).length;
  await mustReadBack(context, ca, bytes);
  return [
    {
      target: 14,
      name: `KRL of ${label(count)} random serials / ssh-keygen -k`,
      value: speedRatio(ours, theirs),
      good: 'at least',
      ...(quick ? {} : { gate: 200, stretch: 2000 }),
      detail: `${milliseconds(ours)} against ${milliseconds(theirs)}`,
    },
    {
      target: 14,
      name: `the same list in U`,
      value: speedRatio(limit, list),
      good: 'at most',
      detail: `${milliseconds(list)} are so many Ed25519 signatures; one signature covers the whole list`,
    },
    {
      target: 14,
      name: `its bytes / those of ssh-keygen`,
      value: bytes.length / theirBytes,
      good: 'at most',
      gate: 1.02,
      stretch: 1,
      detail: `${bytes.length} against ${theirBytes} bytes; read back by ssh-keygen -Q, which takes no bitmap over 16,384 bits`,
    },
  ];
}

/** One more serial on a long list: we write all of it again, ssh-keygen updates its own. */
async function oneMore(context: BenchContext, ca: Ca): Promise<Row[]> {
  const { quick, folder, progress } = context;
  const count = quick ? 100_000 : 1_000_000;
  const serials = randomFillSync(new BigUint64Array(count + 1)).sort();
  const more = serials[count / 2] ?? 1n;
  const known = serials.filter((serial) => serial !== more);
  const [file, one] = [join(folder, 'update.krl'), join(folder, 'one')];
  writeFileSync(file, encode(ca.blob, known));
  writeFileSync(one, `serial: ${more}\n`);
  progress(`one more serial on ${count} by ssh-keygen -k -u, once`);
  const { ours, theirs } = await againstOnce(
    context,
    () => encode(ca.blob, withSerial(known, more)),
    sshKeygen(['-k', '-u', '-f', file, '-s', ca.file, one]),
  );
  return [
    {
      target: 14,
      name: `one more serial on ${label(count)}, all written again / ssh-keygen -k -u`,
      value: speedRatio(ours, theirs),
      good: 'at least',
      ...(quick ? {} : { gate: 100, stretch: 700 }),
      detail: `${milliseconds(ours)} against ${milliseconds(theirs)}`,
    },
  ];
}

/** Our work in rounds, half of them before and half after the one run of theirs, which takes many seconds. */
async function againstOnce(
  { rounds }: BenchContext,
  work: () => void,
  slow: Contender,
): Promise<{ ours: readonly Sample[]; theirs: readonly Sample[] }> {
  const ours: Contender = {
    run() {
      for (let i = 0; i < 3; i += 1) work();
      return 3;
    },
  };
  const before = await race(Math.ceil(rounds / 2), { ours });
  const theirs = await measure(slow);
  const after = await race(Math.ceil(rounds / 2), { ours });
  const samples = [...before.ours, ...after.ours];
  return { ours: samples, theirs: samples.map(() => theirs) };
}

/** A tenth of a million serials in a row, as a broker's own counter gives them out. */
async function denseList({ rounds, folder, progress }: BenchContext, ca: Ca): Promise<Row[]> {
  const chosen = new Set<bigint>();
  while (chosen.size < 100_000) chosen.add(1n + BigInt(Math.floor(Math.random() * 1_000_000)));
  const bytes = encode(ca.blob, BigUint64Array.from(chosen));
  const [file, empty] = [join(folder, 'dense.krl'), join(folder, 'empty.krl')];
  writeFileSync(file, bytes);
  writeFileSync(empty, encode(ca.blob, new BigUint64Array()));
  progress('100,000 of 1,000,000 serials read by ssh-keygen -Q');
  const { list, floor } = await race(rounds, {
    list: sshKeygen(['-Q', '-f', file, ca.file], 10),
    floor: sshKeygen(['-Q', '-f', empty, ca.file], 10),
  });
  return [
    {
      target: 14,
      name: '100,000 of 1,000,000 serials: bytes / 130,000',
      value: bytes.length / 130_000,
      good: 'at most',
      gate: 1,
      stretch: 0.97,
      detail: `${bytes.length} bytes`,
    },
    {
      target: 14,
      name: 'ssh-keygen -Q of it / 100 ms, wall',
      value: median(list.map(({ wall }) => wall)) / 0.1,
      good: 'at most',
      gate: 1,
      stretch: 0.5,
      detail: `${milliseconds(list, 'wall')}, of which ${milliseconds(floor, 'wall')} to start ssh-keygen on an empty list; CPU ${milliseconds(list)}`,
    },
  ];
}

function encode(caKey: SshBlob, serials: BigUint64Array): Buffer {
  const certificates = [{ caKey, serials, keyIds: [] }];
  const generatedSeconds = BigInt(Math.floor(Date.now() / 1000));
  return encodeKrl({ version: 1n, generatedSeconds, comment: '', certificates, keys: [], sha256: [] });
}

/** A sorted copy of a sorted list with one more in its place. */
function withSerial(sorted: BigUint64Array, serial: bigint): BigUint64Array {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] ?? 0n) < serial) low = middle + 1;
    else high = middle;
  }
  const larger = new BigUint64Array(sorted.length + 1);
  larger.set(sorted.subarray(0, low));
  larger[low] = serial;
  larger.set(sorted.subarray(low), low + 1);
  return larger;
}

function specificationFile(folder: string, serials: BigUint64Array): string {
  const file = join(folder, `specification-${serials.length}`);
  const lines: string[] = [];
  for (const serial of serials) lines.push(`serial: ${serial}\n`);
  writeFileSync(file, lines.join(''));
  return file;
}

/** Runs ssh-keygen so many times, each run one unit. Several at once make up for the coarse clock of children's CPU time. */
function sshKeygen(args: readonly string[], times = 1): Contender {
  return {
    run() {
      for (let i = 0; i < times; i += 1) {
        const { status, stderr } = spawnSync('ssh-keygen', ['-q', ...args], { encoding: 'utf8' });
        if (status !== 0) throw new Error(`ssh-keygen ${args[0]} failed: ${stderr}`);
      }
      return times;
    },
  };
}

/** A list that nobody can load is no list, however quickly it was made. @throws Error */
async function mustReadBack({ folder }: BenchContext, ca: Ca, krl: Buffer): Promise<void> {
  parseKrl(krl);
  const file = join(folder, 'read-back.krl');
  writeFileSync(file, krl);
  await sshKeygen(['-Q', '-f', file, ca.file]).run();
}

function label(count: number): string {
  return count === 1_000_000 ? '1M' : `${count / 1000}k`;
}

function milliseconds(samples: readonly Sample[], by: keyof Sample = 'cpu'): string {
  return `${(median(samples.map((sample) => sample[by])) * 1000).toFixed(1)} ms`;
}
