import type { Command } from 'commander';
import type { Result } from './command.ts';
import type { OperatorCommands } from './operator-contract.ts';
import type { Terminal } from './terminal.ts';

/** Main's half of the operator's commands: loaded only when everything on the command line is in order. */
export type LoadOperator = () => Promise<OperatorCommands>;

/** What every command takes besides its own flags. */
export interface JsonFlag {
  readonly json?: boolean;
}

/** Runs one command's work and prints what came of it. */
export type Run = (json: boolean | undefined, work: () => Promise<Result | undefined>) => Promise<void>;

/** What the parts of the command table need to add theirs. */
export interface Table {
  readonly terminal: Terminal;
  readonly loadOperator: LoadOperator;
  readonly run: Run;
  /** A new command below `parent`, with `--json` and an example in its help. */
  add(parent: Command, nameAndArguments: string, description: string, example: string): Command;
}

/** Collects an option that may be given several times. */
export function several(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), value];
}
