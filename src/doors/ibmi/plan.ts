import { CodedError, parseAddress, printable, sha256 } from '../../kernel/index.ts';
import {
  authorityPath,
  certificatePath,
  clientAuthorityPath,
  isAmong,
  pemOf,
  type PlanInput,
} from './plan-input.ts';
import { renderAnsible } from './plan-ansible.ts';
import { renderCl } from './plan-cl.ts';
import { renderPlanHtml, renderPlanMarkdown } from './plan-runbook.ts';
import { renderRse } from './plan-rse.ts';
import { planSteps } from './plan-steps.ts';
import { parseLabel } from './labels.ts';

export interface PlanFile {
  readonly path: string;
  readonly bytes: Buffer;
  /** Holds a private key: for the owner alone. */
  readonly secret: boolean;
}

/**
 * The folder of a plan: what is imported, in which order, and the runbook; checksums of all of it last.
 * @throws CodedError `ibmi.bad_label`, `ibmi.bad_host`, `ibmi.bad_chain` when the authorities do not vouch for the certificate
 */
export function makePlan(input: PlanInput): readonly PlanFile[] {
  checkPlanNames(input);
  checkChain(input);
  const steps = planSteps(input);
  const text = (path: string, content: string): PlanFile => ({
    path,
    bytes: Buffer.from(content, 'utf8'),
    secret: false,
  });
  const files = [
    ...input.authorities.map((authority, nth) => text(authorityPath(input, nth), pemOf(authority))),
    ...(input.clientAuthority === undefined || isAmong(input.clientAuthority, input.authorities)
      ? []
      : [text(clientAuthorityPath, pemOf(input.clientAuthority))]),
    text(certificatePath(input), pemOf(input.certificate)),
    ...(input.delivery.kind === 'pkcs12'
      ? [{ path: `${input.label}.p12`, bytes: input.delivery.bytes, secret: true }]
      : []),
    text('runbook.md', renderPlanMarkdown(input, steps)),
    text('runbook.html', renderPlanHtml(input, steps)),
    text('restart.clle', renderCl(input)),
    text('playbook.yml', renderAnsible(input)),
    text('rse-api.json', renderRse(input)),
  ];
  const sums = files.map(({ path, bytes }) => `${sha256(bytes).toString('hex')}  ${path}\n`).join('');
  return [...files, text('SHA256SUMS', sums)];
}

/** Names that a plan would refuse. @throws CodedError `ibmi.bad_label`, `ibmi.bad_host` */
export function checkPlanNames({
  host,
  label,
  previousLabel,
}: Pick<PlanInput, 'host' | 'label' | 'previousLabel'>): void {
  parseLabel(label);
  if (previousLabel !== undefined) checkPrevious(label, previousLabel);
  checkHost(host);
}

function checkPrevious(label: string, previous: string): void {
  parseLabel(previous);
  if (label.toLowerCase() !== previous.toLowerCase()) return;
  throw new CodedError('ibmi.bad_label', `“${label}” is the label that is in use now.`, {
    next: 'Give each renewal a new label: DCM skips one that it has, and says nothing.',
  });
}

function checkHost(host: string): void {
  const isName =
    /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/i.test(host);
  if (parseAddress(host) !== undefined || (isName && !/(^|\.)\d+$/.test(host))) return;
  throw new CodedError('ibmi.bad_host', `“${printable(host, 80)}” is neither a name nor an address.`, {
    next: 'Name the host as its clients do, e.g. prod.example.com.',
  });
}

/** A plan whose chain has a hole would be carried out to the end before anybody noticed. */
function checkChain({ authorities, certificate }: PlanInput): void {
  const chain = [...authorities, certificate];
  const [root] = authorities;
  const isWhole =
    root !== undefined &&
    root.checkIssued(root) &&
    new Set(chain.map(({ fingerprint256 }) => fingerprint256)).size === chain.length &&
    authorities.every((authority) => authority.ca) &&
    chain.slice(1).every((one, nth) => {
      const above = chain[nth];
      return above !== undefined && one.checkIssued(above) && one.verify(above.publicKey);
    });
  if (isWhole) return;
  throw new CodedError(
    'ibmi.bad_chain',
    'The authorities do not vouch for the certificate, one after the other.',
    {
      next: 'Give the root first, then each issuing authority down to the one that signed.',
    },
  );
}
