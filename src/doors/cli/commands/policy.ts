import type { Explanation } from '../../client/index.ts';
import type { Result } from '../command.ts';
import { withSession } from '../command.ts';
import type { Line } from '../output.ts';
import { fieldLines, tableLines } from '../output.ts';
import { withProgress } from '../progress.ts';
import type { Terminal } from '../terminal.ts';
import { formatLocal, formatWhen, parseMoment } from '../times.ts';

export interface ExplainOptions {
  readonly person?: string;
  readonly directory?: string;
  readonly profile?: string;
  readonly at?: string;
}

/** Shows what a person would get, and which rule gave or refused each part. Nothing is signed. */
export async function explainPolicy(options: ExplainOptions, terminal: Terminal): Promise<Result> {
  const at = options.at === undefined ? undefined : parseMoment(options.at, terminal.clock.nowMs());
  return withSession(terminal, async ({ client, session }) => {
    const person = options.person ?? session.person.login;
    // A bare name is looked for in every directory; one's own is known.
    const directory =
      options.directory ?? (options.person === undefined ? session.person.directory : undefined);
    const explained = await withProgress(
      terminal,
      'Asking the broker',
      client.explain({ person, directory, profile: options.profile, at }),
    );
    return { value: explained.raw, lines: describe(terminal, person, explained) };
  });
}

function describe(terminal: Terminal, asked: string, explained: Explanation): readonly Line[] {
  const { person, grant, refusals, steps } = explained;
  const name = person === undefined ? asked : `${person.login} (${person.directory})`;
  const rows = steps.map((step) => [
    step.part,
    step.outcome,
    step.line === undefined ? step.because : `${step.because} [line ${step.line}]`,
  ]);
  const heading: Line = grant
    ? { text: `${name} would get a certificate:`, tone: 'good' }
    : { text: `${name} would get no certificate:`, tone: 'bad' };
  return [
    heading,
    ...(grant ? grantLines(terminal, grant) : []),
    ...refusals.map((refusal) => `  - ${refusal.message} (${refusal.code})`),
    '',
    ...tableLines(terminal.stdout, ['PART', 'OUTCOME', 'BECAUSE'], rows, { wrapLast: true }),
  ];
}

function grantLines(terminal: Terminal, grant: NonNullable<Explanation['grant']>): readonly string[] {
  const named = (options: ReadonlyMap<string, string>): string =>
    [...options].map(([name, value]) => (value === '' ? name : `${name}=${value}`)).join(', ');
  return fieldLines(terminal.stdout, [
    ['principals', grant.principals.join(', ')],
    ['from', formatLocal(grant.validAfterMs)],
    ['until', formatWhen(grant.validBeforeMs, terminal.clock.nowMs())],
    ['limits', named(grant.criticalOptions)],
    ['extensions', named(grant.extensions)],
    ['profile', grant.profile],
    ['rule', grant.rule],
  ]);
}
