/**
 * `npm run mutations -- [--entries N] [--count N] [--ours N]`: mutations of one long bundle, judged by the verifier in Python and,
 * all of them or so many, by ours. Prints what each found and the most memory it took; exit code 1 unless all were found, and at
 * the same place where both looked.
 */
import { parseArgs } from 'node:util';
import { makeMaterial, mutate } from './bundle-mutations.ts';
import { judgeByOurs, judgeInPython, type Said, shared } from './judges.ts';

const { values } = parseArgs({
  options: {
    entries: { type: 'string', default: '100000' },
    count: { type: 'string', default: '5000' },
    ours: { type: 'string', default: '5000' },
    seed: { type: 'string', default: '42' },
  },
});
const count = Number(values.count);
const made = await makeMaterial(Number(values.entries));
const mutations = mutate(made, count, Number(values.seed));
// Evenly spread; one more than a round step, so that it is another kind each time.
const step = Math.max(Math.floor(count / Number(values.ours)), 1);
const odd = step === 1 ? 1 : step + 1 - (step % 2);
const chosen = mutations.filter((_, nth) => nth % odd === 0);

/** Says what one verifier found. @returns whether it found all */
function report(name: string, judged: readonly Said[], startedMs: number): boolean {
  const found = judged.filter(({ exitCode }) => exitCode === 1 || exitCode === 3).length;
  const memory = Math.ceil(Math.max(...judged.map(({ maxKb = Infinity }) => maxKb)) / 1024);
  const minutes = ((Date.now() - startedMs) / 60_000).toFixed(1);
  process.stdout.write(
    `${name}: ${found} of ${judged.length} found, ${memory} MiB at most, ${minutes} minutes\n`,
  );
  return found === judged.length;
}

process.stdout.write(`${count} mutations of a bundle of ${values.entries} entries\n`);
const startedMs = Date.now();
const [python, ours] = await Promise.all([
  judgeInPython('python3', made.files, mutations).then((judged) => {
    const all = report('Python', judged, startedMs) && judged.length === count;
    return { judged, all };
  }),
  judgeByOurs(made.files, chosen).then((judged) => {
    const all = report('ours', judged, startedMs) && judged.length === chosen.length;
    return { judged, all };
  }),
]);
const there = python.judged.filter((_, nth) => nth % odd === 0);
const differing = ours.judged.filter(
  (said, nth) => JSON.stringify(shared(said)) !== JSON.stringify(shared(there[nth] ?? said)),
).length;
process.stdout.write(`${differing} of ${ours.judged.length} at another place\n`);
process.exitCode = python.all && ours.all && differing === 0 ? 0 : 1;
