import { toRfc3339 } from '../../kernel/index.ts';
import type { AgentOutcome } from './agent.ts';
import type { Certificate } from '../../ssh/index.ts';
import type { Obtained } from './certificate-files.ts';
import { fieldLines } from './output.ts';
import type { Terminal } from './terminal.ts';
import { formatDuration, formatWhen, secondsToMs } from './times.ts';

/** What a certificate says, as the API writes it. */
export function certificateValue({
  request,
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
    ...(request.ttlSeconds === undefined
      ? {}
      : { askedTtlSeconds: request.ttlSeconds, shortened: isShortened(request.ttlSeconds, certificate) }),
    criticalOptions: Object.fromEntries(certificate.criticalOptions),
    extensions: Object.fromEntries(certificate.extensions),
    caFingerprint: answer.caFingerprint,
    file,
    ...(agent === undefined
      ? {}
      : { agent: agent.done ? { added: true } : { added: false, why: agent.why } }),
  };
}

/**
 * Whether it lives for less than was asked. By its own two times and not by this computer's clock, so that it is never said
 * wrongly; it begins a little in the past, so that a shortening by less than that goes unsaid.
 */
function isShortened(askedSeconds: number, { validAfter, validBefore }: Certificate): boolean {
  return validBefore - validAfter < BigInt(askedSeconds);
}

function shortening({ request, certificate }: Pick<Obtained, 'request' | 'certificate'>): string | undefined {
  const asked = request.ttlSeconds;
  if (asked === undefined || !isShortened(asked, certificate)) return undefined;
  return `${formatDuration(asked)} was asked for, and the policy gives no more than this`;
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
    ['shortened', shortening({ request, certificate })],
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
