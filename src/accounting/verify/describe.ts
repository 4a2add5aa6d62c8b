import { type Finding, isPart, type State, type Verdict } from './verdict.ts';

const words: Readonly<Record<State, string>> = {
  verified: 'verified',
  failed: 'FAILED',
  incomplete: 'INCOMPLETE',
  not_checked: 'not checked',
};

const conclusions: Readonly<Record<Verdict['exitCode'], string>> = {
  0: 'Verified.',
  1: 'NOT VERIFIED: this is not what the pinned key vouches for. It was tampered with, damaged, or is something else altogether.',
  2: 'Nothing was verified: the question cannot be answered as it was put.',
  3: 'NOT VERIFIED: something is missing.',
};

/** The verdict for a person: each finding, what it proves, and what it does not. Several lines, ending in a newline. */
export function describeVerdict(verdict: Verdict): string {
  const lines = [
    describe('integrity', verdict.integrity),
    describe('consistency', verdict.consistency),
    describe('completeness', verdict.completeness),
  ];
  if (verdict.witnesses !== undefined) lines.push(describe('witnesses', verdict.witnesses));
  const { facts } = verdict;
  if (facts !== undefined) {
    lines.push(
      '',
      `log           ${facts.origin}`,
      `checkpoint    size ${facts.size}, root ${facts.root}`,
      `entries       ${facts.from} to ${facts.to - 1n}, from ${facts.firstTime} to ${facts.lastTime}`,
      `personal      ${facts.opened} shown, ${facts.erased} erased by rule, ${facts.withheld} withheld from this export`,
      '',
      `This shows that ${isPart(facts) ? 'none of these entries' : 'no entry'} was changed, added, removed or moved since the log signed this checkpoint.`,
      excluded(verdict.witnesses),
    );
    if (verdict.consistency.state === 'not_checked') {
      lines.push(
        'Keep this checkpoint. The next export can be compared with it, which excludes a rewritten past from then on.',
      );
    }
  }
  lines.push('', conclude(verdict));
  return `${lines.join('\n')}\n`;
}

/** What the checkpoint alone cannot show, and witnesses can. */
function excluded(witnesses: Finding | undefined): string {
  if (witnesses?.state === 'verified')
    return 'A quorum of your witnesses cosigned it: a later rollback would show, and so would another log for others.';
  const who = witnesses?.state === 'incomplete' ? 'Too few witnesses' : 'No witness';
  return `${who} signed it: rollback by the operator is not excluded, nor that others were shown another log.`;
}

function conclude({ exitCode, completeness, facts }: Verdict): string {
  if (facts === undefined || !isPart(facts)) return conclusions[exitCode];
  const { from, to, size } = facts;
  const part = `only entries ${from} to ${to - 1n} of ${size}, so nothing is said about the rest.`;
  if (exitCode === 0) return `Verified, as the part that you expect: ${part}`;
  // What is incomplete within the part names an entry.
  const unexpected = completeness.state === 'incomplete' && completeness.index === undefined;
  return exitCode === 3 && unexpected ? `INCOMPLETE: integrity verified, ${part}` : conclusions[exitCode];
}

function describe(question: string, { state, detail }: Finding): string {
  return `${question.padEnd(13)} ${words[state]}: ${detail}`;
}
