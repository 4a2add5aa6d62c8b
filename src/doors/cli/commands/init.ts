import type { Result } from '../command.ts';
import { databaseArgument } from '../database-argument.ts';
import type { CaType } from '../operator-contract.ts';
import { withOperatorIo } from '../operator-io.ts';
import { askText, canAsk, readNewPassword } from '../prompts.ts';
import { usage } from '../report.ts';
import type { LoadOperator } from '../table.ts';
import type { Terminal } from '../terminal.ts';

export interface InitFlags {
  readonly yes?: boolean;
  readonly caType: CaType;
  readonly dns?: readonly string[];
  readonly admin?: string;
  readonly passwordStdin?: boolean;
  readonly database?: string;
  readonly databaseCa?: string;
}

/** `sallyport init`: asks for the first admin where nobody named one and somebody is there to answer. */
export async function init(
  loadOperator: LoadOperator,
  folder: string,
  flags: InitFlags,
  terminal: Terminal,
): Promise<Result> {
  if (flags.passwordStdin === true && flags.admin === undefined)
    throw usage('--password-stdin needs --admin NAME.', 'Name the admin whose password it is.');
  const asks = flags.admin === undefined && flags.yes !== true && canAsk(terminal);
  const name = asks ? await askText(terminal, 'Name of the first admin', 'admin') : flags.admin;
  const admin =
    name === undefined ? undefined : { name, password: await readNewPassword(terminal, name, flags) };
  const database = databaseArgument(flags.database, flags.databaseCa);
  const options = {
    folder,
    caType: flags.caType,
    dnsNames: flags.dns ?? [],
    admin,
    ...(database && { database }),
  };
  const operator = await loadOperator();
  return withOperatorIo(terminal, 'Setting up the broker', (io) => operator.init(options, io));
}
