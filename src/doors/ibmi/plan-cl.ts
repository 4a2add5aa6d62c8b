import { toRfc3339 } from '../../kernel/index.ts';
import { restartPlan } from '../../tn5250/index.ts';
import type { PlanInput } from './plan-input.ts';

/** Source records of CL hold 80 characters. */
const width = 80;

/**
 * The restarts of the plan as a source member of type CLLE: whoever compiles it runs it in batch, so that it survives the end of the
 * session that started it. Never compiled on a real system.
 */
export function renderCl({ applications, host, label, madeMs }: PlanInput): string {
  const comments = [
    `Restarts for certificate ${label} on ${host}.`,
    `Made ${toRfc3339(madeMs)} by sallyport.`,
    'UNVERIFIED: never compiled, never run on a real IBM i.',
    'CRTBNDCL PGM(yourlib/SPRESTART), then run it in batch:',
    'SBMJOB CMD(CALL PGM(yourlib/SPRESTART)) JOB(SPRESTART)',
    'The certificate must be assigned in DCM first.',
  ];
  const body = restartPlan(applications).flatMap(({ end, start, cuts }) => [
    ...comment(`Cuts ${cuts}.`),
    statement(end),
    // Not running is no reason to stop: it is to be started.
    statement('MONMSG MSGID(CPF0000)'),
    statement('DLYJOB DLY(30)'),
    statement(start),
    statement('MONMSG MSGID(CPF0000)'),
  ]);
  return [...comments.flatMap(comment), statement('PGM'), ...body, statement('ENDPGM'), ''].join('\n');
}

const statement = (text: string): string => `             ${text}`;

/** Words over as many comments as they need. */
function comment(text: string): readonly string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.replaceAll(/\*\/|\/\*/g, ' ').split(' ')) {
    if (line !== '' && line.length + word.length + 1 > width - 6) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line].map((words) => `/* ${words.slice(0, width - 6)} */`);
}
