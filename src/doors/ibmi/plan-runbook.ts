import { printable, toRfc3339 } from '../../kernel/index.ts';
import { restartPlan, type Fact } from '../../tn5250/index.ts';
import { escapeHtml, htmlPage, namesOf } from '../probe/index.ts';
import type { PlanInput } from './plan-input.ts';
import type { PlanLine, PlanStep } from './plan-steps.ts';

const neverTried =
  'This plan was written from documents and from the source of other programs. It was never carried out on a real IBM i: try it on a test partition first.';
const legend =
  '*verified* means: read in the source that is named. *unverified* means: from memory, look before you rely on it.';

/** The runbook as Markdown, with a box for each step. */
export function renderPlanMarkdown(input: PlanInput, steps: readonly PlanStep[]): string {
  const summary = summaryOf(input).map(([label, value]) => `| ${label} | ${cell(value)} |`);
  const body = steps.flatMap((step, nth) => [
    `## ${nth + 1}. ${step.title}`,
    '',
    ...step.lines.map((line) => markdownLine(line)),
    '',
  ]);
  return [
    `# ${titleOf(input)}`,
    '',
    `> ${neverTried}`,
    '',
    '| | |',
    '|---|---|',
    ...summary,
    '',
    `${legend} Made by sallyport ${input.version}, ${toRfc3339(input.madeMs)}.`,
    '',
    ...body,
  ].join('\n');
}

/** The same, to be printed and ticked off with a pen. */
export function renderPlanHtml(input: PlanInput, steps: readonly PlanStep[]): string {
  const rows = summaryOf(input).map(
    ([label, value]) => `<tr><th>${escapeHtml(label)}</th><td>${escapeHtml(value)}</td></tr>`,
  );
  const sections = steps.map(
    (step, nth) =>
      `<h2>${nth + 1}. ${escapeHtml(step.title)}</h2>\n<ul class="steps">\n${step.lines.map(htmlLine).join('\n')}\n</ul>`,
  );
  const style =
    '<style>ul.steps { list-style: none; padding-left: 0; } ul.steps li { margin: .35rem 0; padding-left: 1.7rem; text-indent: -1.7rem; } ul.steps li::before { content: "☐"; display: inline-block; width: 1.7rem; text-indent: 0; } code.command { display: inline-block; background: #f2f4f6; padding: .2rem .5rem; text-indent: 0; } small.source { color: #454c54; } table.summary th { width: 14rem; } @media print { @page { size: A4 portrait; } }</style>';
  const body = [
    style,
    `<h1>${escapeHtml(titleOf(input))}</h1>`,
    `<p class="warning"><strong>${escapeHtml(neverTried)}</strong></p>`,
    `<table class="summary"><tbody>${rows.join('')}</tbody></table>`,
    ...sections,
    `<p>Done by ______________________ on ______________, checked by ______________________</p>`,
    `<footer>${marked(legend)} Made by sallyport ${escapeHtml(input.version)}, ${toRfc3339(input.madeMs)}.</footer>`,
  ];
  return htmlPage(titleOf(input), body.join('\n'));
}

const titleOf = ({ host, label }: PlanInput): string => `New certificate ${label} for ${host}`;

function summaryOf(input: PlanInput): readonly (readonly [label: string, value: string])[] {
  const { host, applications, certificate, delivery, previousLabel, clientAuthority } = input;
  return [
    ['system', host],
    ['names in the certificate', namesOf(certificate).join(', ')],
    ['issued by', certificate.issuer.split('\n').join(', ')],
    ['good until', toRfc3339(certificate.validToDate.getTime())],
    ['serial', certificate.serialNumber],
    ['new label', input.label],
    ['label until now', previousLabel ?? 'not known'],
    ['applications', applications.map(({ id }) => id ?? '').join(', ')],
    [
      'key',
      delivery.kind === 'signed'
        ? 'made by DCM, stays on the system'
        : `in ${input.label}.p12 (${delivery.encryption} encryption)`,
    ],
    [
      'client certificates',
      clientAuthority === undefined
        ? 'not required by this plan'
        : `required, of ${clientAuthority.subject.split('\n').join(', ')}`,
    ],
    [
      'cuts',
      restartPlan(applications)
        .map(({ word }) => word)
        .join(', then '),
    ],
  ];
}

function markdownLine(line: PlanLine): string {
  const fact = line.fact === undefined ? '' : ` *(${factText(line.fact)})*`;
  return line.kind === 'words'
    ? `- [ ] ${line.text}${fact}`
    : `- [ ] \`${line.text}\`${line.where === 'CL' ? '' : ' (shell)'}${fact}`;
}

function htmlLine(line: PlanLine): string {
  const fact =
    line.fact === undefined ? '' : ` <small class="source">(${escapeHtml(factText(line.fact))})</small>`;
  return line.kind === 'words'
    ? `<li>${marked(line.text)}${fact}</li>`
    : `<li><code class="command">${escapeHtml(line.text)}</code>${fact}</li>`;
}

const factText = ({ mark, source }: Fact): string =>
  mark === 'verified' ? `verified: ${source}` : `unverified: ${source}`;

/** The three marks that the texts use, after everything else became harmless. */
function marked(text: string): string {
  return escapeHtml(text)
    .replaceAll(/`([^`]+)`/g, '<code>$1</code>')
    .replaceAll(/\*\*([^*]+)\*\*/g, '<strong>$1</strong>')
    .replaceAll(/(^|\s)\*(\w+)\*(?=\s|$)/g, '$1<em>$2</em>');
}

/** Names come from a certificate: what could end a cell of a table is taken out. */
const cell = (value: string): string => printable(value, 2000).replaceAll('|', '/').replaceAll('`', "'");
