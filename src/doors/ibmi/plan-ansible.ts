import { toRfc3339 } from '../../kernel/index.ts';
import { restartPlan } from '../../tn5250/index.ts';
import { authorityPath, type PlanInput } from './plan-input.ts';

/**
 * The restarts and the check of the plan as a playbook for the collection ibm.power_ibmi. That collection has no module for DCM:
 * importing and assigning stay with the operator. Names of modules and parameters were read in its documentation; never run.
 */
export function renderAnsible(input: PlanInput): string {
  const { applications, host, label, madeMs } = input;
  const ports = applications.flatMap(({ tls }) => tls.map(({ port }) => port));
  const restarts = restartPlan(applications).flatMap(({ word, ansible, cuts }) =>
    (['stopped', 'started'] as const).map((state) =>
      [
        `    - name: ${quoted(state === 'stopped' ? `end ${word}: cuts ${cuts}` : `start ${word}`)}`,
        `      ibm.power_ibmi.${ansible.module}:`,
        `        name_list: [${quoted(ansible.name)}]`,
        `        state: ${state}`,
      ].join('\n'),
    ),
  );
  return [
    '---',
    `# Restarts for certificate ${label} on ${host}, made ${toRfc3339(madeMs)} by sallyport.`,
    '# verified: names of modules and parameters, in the documentation of ibm.power_ibmi (ansible-for-i).',
    '# unverified: never run against a real IBM i. Import and assign the certificate in DCM first: there is no module for it.',
    `- name: ${quoted(`serve certificate ${label} on ${host}`)}`,
    `  hosts: ${quoted(host)}`,
    '  gather_facts: false',
    '  tasks:',
    ...restarts,
    `    - name: ${quoted('look at what is really served')}`,
    '      delegate_to: localhost',
    '      ansible.builtin.command:',
    `        argv: [${['sallyport', 'probe', host, '--ca', authorityPath(input, 0), '--ports', ports.join(',')].map(quoted).join(', ')}]`,
    '        chdir: "{{ playbook_dir }}"',
    '      changed_when: false',
    '',
  ].join('\n');
}

/** A double-quoted scalar of YAML; JSON is one (YAML 1.2 section 1.3). */
const quoted = (text: string): string => JSON.stringify(text);
