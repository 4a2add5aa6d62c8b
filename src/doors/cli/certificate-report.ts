import { toRfc3339 } from '../../kernel/index.ts';
import type { AgentOutcome } from './agent.ts';
import type { Obtained } from './certificate-files.ts';
import { fieldLines } from './output.ts';
import type { Terminal } from './terminal.ts';
import { formatWhen, secondsToMs } from './times.ts';

/** What a certificate says, as the API writes it. */
export function certificateValue({
  answer,
  certificate,
  file,
  agent,
}: Obtained & { readonly file: string; readonly agent?: AgentOutcome }): Readonly<Record<string, unknown>> {
  return {
    serial: certificate.serial.toString(),
    keyId: certificate.keyId,
    profile: answer.profile,
    principals: certificate.principals,
    validAfter: toRfc3339(secondsToMs(certificate.validAfter)),
    validBefore: toRfc3339(secondsToMs(certificate.validBefore)),
    criticalOptions: Object.fromEntries(certificate.criticalOptions),
    extensions: Object.fromEntries(certificate.extensions),
    caFingerprint: answer.caFingerprint,
    file,
    ...(agent === undefined
      ? {}
      : { agent: agent.done ? { added: true } : { added: false, why: agent.why } }),
  };
}

/** The same for people. */
export function certificateLines(
  terminal: Terminal,
  { request, answer, certificate }: Obtained,
): readonly string[] {
  const extensions = [...certificate.extensions.keys()];
  return fieldLines(terminal.stdout, [
    ['principals', certificate.principals.join(', ')],
    ['until', formatWhen(secondsToMs(certificate.validBefore), terminal.clock.nowMs())],
    ['profile', answer.profile],
    [
      'limits',
      [...certificate.criticalOptions]
        .map(([name, value]) => (value === '' ? name : `${name}=${value}`))
        .join(', '),
    ],
    // The usual ones are told by --json; whoever asked for some wants to see what came of it.
    ['extensions', request.extensions && (extensions.join(', ') || 'none')],
    ['serial', `${certificate.serial} (key id ${certificate.keyId})`],
  ]);
}
