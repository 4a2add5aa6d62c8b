import type { Argument, Option } from 'commander';
import { Command, CommanderError } from 'commander';
import type { CodedError } from '../../kernel/index.ts';
import type { Result } from './command.ts';
import { encodeJson, printLines } from './output.ts';
import { isInterrupt } from './prompts.ts';
import { exitCodeOf, interruptedExitCode, reportError, usage } from './report.ts';
import { addAdminCommands, addAuditCommands } from './table-admin.ts';
import { addIbmiCommands } from './table-ibmi.ts';
import { addHostCommands } from './table-hosts.ts';
import { addOperatorCommands } from './table-operator.ts';
import { addPersonCommands } from './table-person.ts';
import { addTlsCommands } from './table-tls.ts';
import { addWitnessCommands } from './table-witness.ts';
import { several, type LoadOperator, type Table } from './table.ts';
import type { Terminal } from './terminal.ts';

export interface ProgramOptions {
  readonly terminal: Terminal;
  /** Loaded only when one of its commands is called. */
  readonly loadOperator: LoadOperator;
}

/** Holds the exit code that the last command asked for: commander's own answer is only "parsed". */
interface Ending {
  exitCode: number;
}

/**
 * Runs the command line.
 * @param args without program and script. @returns the exit code: 0 to 4, or 130 for Ctrl-C at a question.
 */
export async function runProgram(args: readonly string[], options: ProgramOptions): Promise<number> {
  const { terminal } = options;
  const ending: Ending = { exitCode: 0 };
  const program = buildProgram(options, ending);
  // Before parsing, because a fault of parsing must be told in the form that was asked for.
  const end = args.indexOf('--');
  const json = args.slice(0, end === -1 ? args.length : end).includes('--json');
  try {
    await program.parseAsync([...args], { from: 'user' });
    return ending.exitCode;
  } catch (error) {
    if (isInterrupt(error)) return interruptedExitCode;
    if (error instanceof CommanderError) return endOfParsing(error, terminal, json);
    reportError(terminal, error, json);
    return exitCodeOf(error);
  }
}

function endOfParsing(error: CommanderError, terminal: Terminal, json: boolean): number {
  if (error.exitCode === 0) return 0;
  // No command named: commander has shown the help.
  if (error.code === 'commander.help') return 2;
  const [first = '', ...rest] = error.message.replace(/^error: /, '').split('\n');
  const suggestion = /^\(Did you mean (.+)\?\)$/.exec(rest.join(' '))?.[1];
  const next =
    suggestion === undefined
      ? 'See `sallyport --help`, or --help after the command.'
      : `Did you mean ${suggestion}?`;
  reportError(terminal, usage(sentence(first), next), json);
  return 2;
}

/** Commander's messages begin small and have no full stop. */
function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${text.endsWith('.') ? '' : '.'}`;
}

function buildProgram(options: ProgramOptions, ending: Ending): Command {
  const { terminal } = options;
  const program = new Command('sallyport')
    .description('SSH certificates from the password you already have, and an end to them when it must be.')
    .version(terminal.version, '--version', 'print the version')
    .helpOption('-h, --help', 'explain a command')
    .helpCommand('help [command]', 'explain a command')
    // What stands before a command is the program's or the group's: both take --json, like each command.
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void terminal.stdout.write(text),
      writeErr: (text) => void terminal.stderr.write(text),
      // Errors are told by `endOfParsing`, in one form with all others.
      outputError: () => undefined,
      getOutHelpWidth: () => Math.min(terminal.stdout.columns ?? 100, 100),
      getErrHelpWidth: () => Math.min(terminal.stderr.columns ?? 100, 100),
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .addHelpText(
      'after',
      `
Environment:
  SALLYPORT_URL      the broker, e.g. https://broker.example:8443 (login remembers it)
  SALLYPORT_CA_FILE  PEM certificate of the authority that vouches for it (login remembers it)
  SALLYPORT_HOME     where session, key and certificate lie, ~/.sallyport unless set

Exit codes: 0 done, 1 refused or failed, 2 usage, 3 broker unreachable, 4 not logged in`,
    );
  const table: Table = {
    terminal,
    loadOperator: options.loadOperator,
    add: (parent, nameAndArguments, description, example) =>
      parent
        .command(nameAndArguments)
        .summary(description)
        .description(sentence(description))
        .allowExcessArguments(false)
        .addHelpText('after', `\nExample:\n${example.replaceAll(/^/gm, '  ')}`),
    run: async (json, work) => {
      const result = await work();
      const before = groupsOf(program).some((group) => group.opts()['json'] === true);
      if (result !== undefined) ending.exitCode = print(terminal, result, json === true || before);
    },
  };
  addPersonCommands(program, table);
  addAdminCommands(program, table);
  addHostCommands(program, table);
  addAuditCommands(program, table);
  addIbmiCommands(program, table);
  addTlsCommands(program, table);
  addOperatorCommands(program, table);
  addWitnessCommands(program, table);
  addJsonOption(program);
  refuseEmptyValues(program);
  return program;
}

/** Every command that does something can say it to a machine; it may be asked before the command's name, too. */
function addJsonOption(command: Command): void {
  command.option('--json', 'print one JSON document on standard output');
  command.commands.forEach(addJsonOption);
}

/** Those that only hold other commands. */
function groupsOf(command: Command): readonly Command[] {
  return command.commands.length === 0 ? [] : [command, ...command.commands.flatMap(groupsOf)];
}

/** No option and no argument means anything when it is empty: most often a variable of a script was. */
function refuseEmptyValues(command: Command): void {
  for (const option of command.options) {
    const next = option.mandatory ? 'Give it a value.' : 'Give it a value, or leave it out.';
    if (option.required) refuseEmptyValue(option, usage(`${option.long ?? option.flags} is empty.`, next));
  }
  for (const argument of command.registeredArguments)
    refuseEmptyValue(argument, usage(`The <${argument.name()}> is empty.`, 'Say which one is meant.'));
  command.commands.forEach(refuseEmptyValues);
}

function refuseEmptyValue(target: Option | Argument, refusal: CodedError): void {
  const parse = target.parseArg;
  target.argParser((value: string, before: unknown) => {
    if (value.trim() === '') throw refusal;
    if (parse !== undefined) return parse(value, before);
    // Commander collects the words of `[hosts...]` only where nobody parses them.
    return target.variadic ? several(value, before as readonly string[] | undefined) : value;
  });
}

function print(terminal: Terminal, result: Result, json: boolean): number {
  if (json) terminal.stdout.write(`${encodeJson(result.value)}\n`);
  else printLines(terminal, terminal.stdout, result.lines);
  if (!json) printLines(terminal, terminal.stderr, result.notes ?? []);
  return result.exitCode ?? 0;
}
