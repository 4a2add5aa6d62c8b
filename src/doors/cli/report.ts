import { isNotLoggedIn, isUnreachable } from '../client/index.ts';
import { CodedError, printable } from '../../kernel/index.ts';
import type { Line } from './output.ts';
import { encodeJson, hangingLines, printLines } from './output.ts';
import type { Terminal } from './terminal.ts';

/** 0 done, 1 refused or failed, 2 usage, 3 broker unreachable, 4 not logged in. */
export type ExitCode = 0 | 1 | 2 | 3 | 4;

/** Somebody pressed Ctrl-C at a question. */
export const interruptedExitCode = 130;

/** The command line does not say what is wanted, or names a file that is not what it should be. @param next one sentence. */
export function usage(message: string, next: string): CodedError {
  return new CodedError('cli.usage', message, { next });
}

const usageCodes: ReadonlySet<string> = new Set([
  'cli.usage',
  'cli.no_terminal',
  'cli.removes_person',
  'client.bad_url',
  'client.bad_ca_file',
  'client.no_broker',
  'ibmi.bad_host',
  'ibmi.bad_label',
  'ibmi.bad_report',
  'ibmi.bad_window',
  'probe.bad_host',
  'probe.bad_port',
  'probe.no_host',
  'probe.too_many_hosts',
  'tn5250.cannot_plan',
  'tn5250.no_application',
  'tn5250.unknown_application',
  'kernel.bad_serial',
  'kernel.bad_principal',
  'kernel.bad_key_id',
  'kernel.bad_person_id',
]);

/** The one place that turns an error into an exit code; what is not known otherwise is 1. */
export function exitCodeOf(error: unknown): ExitCode {
  if (isUnreachable(error)) return 3;
  if (isNotLoggedIn(error)) return 4;
  if (error instanceof CodedError && error.details['givenFile'] !== undefined) return 2;
  // A broker's refusal may carry the same code as a slip on the command line; only the broker's has a status.
  if (error instanceof CodedError && usageCodes.has(error.code) && error.details['status'] === undefined)
    return 2;
  return 1;
}

/** Tells a person, or with `json` a machine, what went wrong and what to do. Never a stack trace. */
export function reportError(terminal: Terminal, error: unknown, json: boolean): void {
  const { code, message, next, details } = describe(error);
  const { refusals, ...others } = details;
  if (json) {
    const shown = { code, message, ...(next === undefined ? {} : { next }) };
    const extra = Object.keys(others).length === 0 ? {} : { details: others };
    const several = Array.isArray(refusals) && refusals.length > 0 ? { refusals } : {};
    terminal.stdout.write(`${encodeJson({ error: { ...shown, ...several, ...extra } })}\n`);
    return;
  }
  const { stderr } = terminal;
  const lines: Line[] = messageLines(stderr, message).map((text) => ({ text, tone: 'bad' }));
  if (Array.isArray(refusals) && refusals.length > 1)
    lines.push(...refusals.flatMap((refusal) => hangingLines(stderr, '  - ', String(refusal))));
  if (typeof others['brokerTime'] === 'string' && typeof others['clientTime'] === 'string') {
    lines.push(`  this computer  ${others['clientTime']}`, `  the broker     ${others['brokerTime']}`);
  }
  if (next !== undefined) lines.push(...hangingLines(stderr, '  next: ', next));
  if (typeof others['requestId'] === 'string')
    lines.push({ text: `  request ${others['requestId']}`, tone: 'dim' });
  printLines(terminal, terminal.stderr, lines);
}

/** A fault in a file may bring a line for each mistake: they stand below the first one, where none can pass for another. */
function messageLines(stderr: Terminal['stderr'], message: string): readonly string[] {
  const [first = '', ...others] = message.split('\n');
  return [
    ...hangingLines(stderr, 'sallyport: ', first, 2),
    ...others.flatMap((line) => hangingLines(stderr, '  ', line, 4)),
  ];
}

function describe(error: unknown): Pick<CodedError, 'code' | 'message' | 'next' | 'details'> {
  if (error instanceof CodedError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return {
    code: 'cli.internal',
    message: `Something went wrong inside sallyport: ${printable(message, 300)}`,
    next: 'This is a defect: report it with the command that you ran and this message.',
    details: {},
  };
}
