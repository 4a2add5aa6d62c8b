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
  const { terminal, run } = table;
  table
    .add(
      host,
      'list',
      'list hosts: bundle, lag, last contact, and what is wrong there',
      'sallyport host list --state pending',
    )
    .addOption(
      new Option('--state <STATE>', 'only these').choices(['pending', 'enrolled', 'conflict', 'retired']),
    )
    .option('--group <G>', 'only those of this group')
    .addOption(new Option('--limit <N>', 'at most so many').default(1000).argParser(parseCount))
    .action((options: import('./commands/host.ts').ListHostsOptions & JsonFlag) =>
      run(options.json, async () => (await import('./commands/host.ts')).listHosts(options, terminal)),
    );
  table
    .add(
      host,
      'show <host>',
      'show one host, by name or id, with its certificates',
      'sallyport host show db1.example.com',
    )
    .action((name: string, options: JsonFlag) =>
      run(options.json, async () => (await import('./commands/host.ts')).showHost(name, terminal)),
    );
  table
    .add(
      host,
      'approve <host>',
      'let in a host that waits; compare its fingerprint with what the host itself shows',
      'sallyport host approve h-abcdefghijklmnopqrstuvwxyz --fingerprint SHA256:… --group web',
    )
    .requiredOption('--fingerprint <SHA256:...>', 'as the host itself showed it')
    .option('--group <G>', 'group of hosts in the policy', 'default')
    .option('--name <NAME>', 'a name that it gets, instead of those it claims (may be repeated)', several)
    .option('--reason <T>', 'why; it is kept in the log')
    .action((name: string, options: import('./commands/host.ts').ApproveOptions & JsonFlag) =>
      run(options.json, async () =>
        (await import('./commands/host.ts')).approveHost(name, options, terminal),
      ),
    );
  table
    .add(
      host,
      'retire <host>',
      'end a host: revoke its certificates, free its names; shows what it would hit until --yes',
      'sallyport host retire db1.example.com --reason "replaced" --yes',
    )
    .requiredOption('--reason <T>', 'why; it is kept in the log')
    .option('--yes', 'do it')
    .action((name: string, options: import('./commands/host.ts').RetireOptions & JsonFlag) =>
      run(options.json, async () => (await import('./commands/host.ts')).retireHost(name, options, terminal)),
    );
  table
    .add(
      host,
      'move <host>',
      'put a host into another group of the policy; it gets a new bundle at once',
      'sallyport host move db1.example.com --group payroll --reason "takes over payroll"',
    )
    .requiredOption('--group <G>', 'group of hosts in the policy')
    .requiredOption('--reason <T>', 'why; it is kept in the log')
    .action((name: string, options: import('./commands/host.ts').MoveOptions & JsonFlag) =>
      run(options.json, async () => (await import('./commands/host.ts')).moveHost(name, options, terminal)),
    );
  table
    .add(
      host,
      'resolve <host>',
      'of two machines that present one key, this one is right and goes on; the other is retired',
      'sallyport host resolve h-abcdefghijklmnopqrstuvwxyz --reason "the other was a clone, and is switched off"',
    )
    .requiredOption('--reason <T>', 'why; it is kept in the log')
    .action((name: string, options: { readonly reason: string } & JsonFlag) =>
      run(options.json, async () =>
        (await import('./commands/host.ts')).resolveHost(name, options, terminal),
      ),
    );
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
