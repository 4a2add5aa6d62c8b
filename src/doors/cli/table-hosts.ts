import { InvalidArgumentError, Option, type Command } from 'commander';
import type { JsonFlag, Table } from './table.ts';
import { several } from './table.ts';

function parseCount(text: string): number {
  if (!/^[1-9]\d{0,4}$/.test(text)) throw new InvalidArgumentError('Give a number from 1 to 99999.');
  return Number(text);
}

/** The commands about hosts; who may use them, the broker says. */
export function addHostCommands(program: Command, table: Table): void {
  const host = program
    .command('host')
    .description('hosts that trust this broker: enrol, look at and retire them');
  addTokenCommands(host.command('token').description('what enrols a host without an admin beside it'), table);
}

function addTokenCommands(token: Command, table: Table): void {
  const { terminal, run } = table;
  table
    .add(
      token,
      'new',
      'make a token that enrols hosts of these names; it is shown once',
      'sallyport host token new --name "web-*.example.com" --group web --uses 20 --for 2h',
    )
    .requiredOption(
      '--name <PATTERN>',
      'names that a host may claim; * stands for letters, digits and - within a label (may be repeated)',
      several,
    )
    .option('--address <NETWORK>', 'addresses that a host may claim, too (may be repeated)', several)
    .option('--group <G>', 'group of hosts in the policy', 'default')
    .addOption(new Option('--uses <N>', 'so many hosts').default(1).argParser(parseCount))
    .option('--for <DURATION>', 'good for so long, e.g. 30m, 2h or 30d', '24h')
    .option('--reason <T>', 'why; it is kept in the log')
    .action((options: import('./commands/host-token.ts').NewTokenOptions & JsonFlag) =>
      run(options.json, async () => (await import('./commands/host-token.ts')).newToken(options, terminal)),
    );
  table
    .add(token, 'list', 'list tokens, newest first, without their secrets', 'sallyport host token list')
    .action((options: JsonFlag) =>
      run(options.json, async () => (await import('./commands/host-token.ts')).listTokens(terminal)),
    );
  table
    .add(
      token,
      'drop <id>',
      'let nobody enrol with a token any more; hosts that did stay',
      'sallyport host token drop tk-0123456789abcdef',
    )
    .option('--reason <T>', 'why; it is kept in the log')
    .action((id: string, options: { readonly reason?: string } & JsonFlag) =>
      run(options.json, async () =>
        (await import('./commands/host-token.ts')).dropToken(id, options, terminal),
      ),
    );
}
