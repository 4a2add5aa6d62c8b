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
  readonly yes?: boolean;
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
  const operator = await loadOperator();
  const options = {
    configFile: flags.config,
    name,
    groups: flags.none === true ? [] : flags.group,
    yes: flags.yes === true,
  };
  const call = (what: PeopleAction, password?: string): Promise<Result> =>
    withOperatorIo(terminal, 'Working on the people of the built-in directory', (io) =>
      operator.people(what, { ...options, password }, io),
    );
  if (name === undefined || (action !== 'add' && action !== 'passwd')) return call(action);
  // Nobody should think up a password, and type it twice, for somebody who is not there.
  if (action === 'passwd') await call('list');
  return call(action, await readNewPassword(terminal, name, flags));
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
