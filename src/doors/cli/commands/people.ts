import { CodedError, printable } from '../../../kernel/index.ts';
import type { Result } from '../command.ts';
import type { PeopleAction } from '../operator-contract.ts';
import { withOperatorIo } from '../operator-io.ts';
import { readNewPassword } from '../prompts.ts';
import { usage } from '../report.ts';
import type { LoadOperator } from '../table.ts';
import type { Terminal } from '../terminal.ts';

export interface PeopleFlags {
  readonly config: string;
  readonly group?: readonly string[];
  /** Of `groups` only: in no group from now on. */
  readonly none?: boolean;
  readonly passwordStdin?: boolean;
}

/** `sallyport people …`: asks for a password where one is needed; main does the rest. */
export async function people(
  loadOperator: LoadOperator,
  action: PeopleAction,
  name: string | undefined,
  flags: PeopleFlags,
  terminal: Terminal,
): Promise<Result> {
  checkGroups(action, name, flags);
  const takesPassword = action === 'add' || action === 'passwd';
  const password =
    takesPassword && name !== undefined ? await readNewPassword(terminal, name, flags) : undefined;
  const groups = flags.none === true ? [] : flags.group;
  const operator = await loadOperator();
  return withOperatorIo(terminal, 'Working on the people of the built-in directory', (io) =>
    operator.people(action, { configFile: flags.config, name, groups, password }, io),
  );
}

function checkGroups(action: PeopleAction, name: string | undefined, { group, none }: PeopleFlags): void {
  if (action === 'groups' && (group === undefined) === (none !== true))
    throw usage(
      'Name the groups, or say --none.',
      'Give --group for each group that the person is to be in.',
    );
  // The one who says this may mean the membership, and would lose the person.
  if (action === 'remove' && group !== undefined) {
    const who = printable(name ?? '', 64);
    throw new CodedError('cli.removes_person', '`people remove` removes a person, not a membership.', {
      next: `Leave --group out, or name the groups that stay: \`sallyport people groups ${who} --group …\`.`,
    });
  }
}
