import type { ProgramOptions } from './program.ts';
import type { Terminal } from './terminal.ts';

/**
 * doors/cli: the commands of `sallyport`, what they ask and what they print. Machine output goes to standard output, notes
 * and progress to standard error; text that came from somewhere else is cleaned before it reaches a terminal.
 * It never shows a stack trace, never takes a secret as an argument, never holds a rule: what may be done, the broker says.
 * Specification: docs/operations/client.md. Exit codes: 0 done, 1 refused or failed, 2 usage, 3 broker unreachable,
 * 4 not logged in. Nothing heavy is loaded here: `ssh` starts `renew` before each connection and waits for it.
 */
export type * from './operator-contract.ts';
export type { JsonValue } from './output.ts';
export type { ProgramOptions } from './program.ts';
export type { Sink, Terminal } from './terminal.ts';

/** Runs a command line. @param args without program and script. @returns the exit code. */
export async function runProgram(args: readonly string[], options: ProgramOptions): Promise<number> {
  if (args[0] === 'renew') return runRenew(args.slice(1), options.terminal);
  return (await import('./program.ts')).runProgram(args, options);
}

/** The one command that is not for people, see `ssh-config`: it skips commander, which takes longer to load than it to run. */
async function runRenew(args: readonly string[], terminal: Terminal): Promise<number> {
  const { renew } = await import('./commands/renew.ts');
  const at = args.indexOf('--home');
  const home = at === -1 ? undefined : args[at + 1];
  const env = home === undefined ? terminal.env : { ...terminal.env, SALLYPORT_HOME: home };
  return renew({ quiet: args.includes('--quiet'), now: args.includes('--now') }, { ...terminal, env });
}
