import { Option, type Command } from 'commander';
import type { PeopleFlags } from './commands/people.ts';
import { databaseArgument } from './database-argument.ts';
import { caTypes, type CaType, type PeopleAction } from './operator-contract.ts';
import type { JsonFlag, Table } from './table.ts';
import { several } from './table.ts';

/** What each command on people does, and how an example of it ends. */
const peopleCommands: Readonly<Record<PeopleAction, readonly [words: string, example: string]>> = {
  add: ['add a person to the built-in directory', 'alice --group users'],
  passwd: ['give a person a new password and, with --group, other groups', 'alice'],
  groups: ['put a person into other groups', 'alice --group users --group ops'],
  disable: ['shut a person out without forgetting them', 'alice'],
  enable: ['let a disabled person in again', 'alice'],
  remove: ['remove a person for good', 'alice'],
  list: ['list the people of the built-in directory', '--group admins'],
};

/** What `--group` means to each; those that are not here do not take it. */
const groupWords: Readonly<Partial<Record<PeopleAction, string>>> = {
  add: 'a group that the person is in (may be repeated)',
  passwd: 'a group that the person is in from now on, instead of those before (may be repeated)',
  groups: 'a group that the person is in from now on, instead of those before (may be repeated)',
  remove: 'not for this command: it removes the person, not a membership',
  list: 'only people in this group (may be repeated: in one of them)',
};

/** By which the broker may lose its last admin. */
const mayLoseAdmin: ReadonlySet<PeopleAction> = new Set(['passwd', 'groups', 'disable', 'remove']);

/** The commands for whoever runs a broker; main does the work. */
export function addOperatorCommands(program: Command, table: Table): void {
  const { terminal, run, loadOperator } = table;
  table
    .add(
      program,
      'init <dir>',
      'set up a broker: configuration, keys, certificate, first admin',
      'sallyport init /srv/sallyport --dns broker.example --admin anna',
    )
    .option('--yes', 'take the defaults, ask nothing')
    .option('--dns <NAME>', 'another name for the TLS certificate (may be repeated)', several)
    .addOption(
      new Option('--ca-type <TYPE>', 'the kind of the SSH CA’s key').choices(caTypes).default(caTypes[0]),
    )
    .option('--admin <NAME>', 'the first admin of the built-in directory')
    .option('--password-stdin', 'read the admin’s password from standard input')
    .option('--database <URL>', 'PostgreSQL instead of SQLite: postgres://owner@host:5432/name, empty')
    .option('--database-ca <FILE>', 'PEM certificate of the authority that vouches for the database server')
    .action((folder: string, flags: import('./commands/init.ts').InitFlags & JsonFlag) =>
      run(flags.json, async () =>
        (await import('./commands/init.ts')).init(loadOperator, folder, flags, terminal),
      ),
    );
  table
    .add(
      program,
      'init-host-ca',
      'make the key of the SSH host CA for a broker from before there was one',
      'sallyport init-host-ca --config /srv/sallyport/sallyport.yaml',
    )
    .requiredOption('--config <FILE>', 'the configuration of the broker')
    .addOption(new Option('--ca-type <TYPE>', 'the kind of key').choices(caTypes).default(caTypes[0]))
    .action((flags: { readonly config: string; readonly caType: CaType } & JsonFlag) =>
      run(flags.json, async () => {
        const { withOperatorIo } = await import('./operator-io.ts');
        const operator = await loadOperator();
        const options = { configFile: flags.config, caType: flags.caType };
        return withOperatorIo(terminal, 'Opening the keys', (io) => operator.initHostCa(options, io));
      }),
    );
  const config = program.command('config').description('the configuration of a broker');
  table
    .add(
      config,
      'check <file>',
      'read everything that serve would read, and say what is wrong',
      'sallyport config check /srv/sallyport/sallyport.yaml',
    )
    .action((file: string, flags: JsonFlag) =>
      run(flags.json, async () => {
        const { withOperatorIo } = await import('./operator-io.ts');
        const operator = await loadOperator();
        return withOperatorIo(terminal, 'Checking', (io) => operator.checkConfig(file, io));
      }),
    );
  table
    .add(program, 'serve', 'run the broker', 'sallyport serve --config /srv/sallyport/sallyport.yaml')
    .requiredOption('--config <FILE>', 'the configuration that init wrote')
    .action((flags: { readonly config: string } & JsonFlag) =>
      run(flags.json, async () => {
        const { operatorIo } = await import('./operator-io.ts');
        await (await loadOperator()).serve({ configFile: flags.config }, operatorIo(terminal));
        return undefined;
      }),
    );
  addBackupCommands(program, table);
  addPeopleCommands(program, table);
  addStoreCommands(program, table);
}

interface StoreFlags {
  readonly config: string;
  readonly dryRun?: boolean;
  readonly database?: string;
  readonly to?: string;
  readonly databaseCa?: string;
}

function addStoreCommands(program: Command, table: Table): void {
  const { terminal, run, loadOperator } = table;
  const store = program.command('store').description('the PostgreSQL database of brokers');
  const ca = [
    '--database-ca <FILE>',
    'PEM certificate of the authority that vouches for the server',
  ] as const;
  const config = '--config /srv/sallyport/sallyport.yaml';
  const owner = 'postgres://owner@db.example.com/sallyport';
  table
    .add(
      store,
      'migrate',
      'bring the schema to this version',
      `sallyport store migrate ${config} --database ${owner} --dry-run`,
    )
    .requiredOption('--config <FILE>', 'the configuration of the broker')
    .option('--dry-run', 'do everything, say what it was, and take it back')
    .option('--database <URL>', 'the same database under the role that owns its tables')
    .option(...ca)
    .action((flags: StoreFlags & JsonFlag) =>
      run(flags.json, async () => {
        const { withOperatorIo } = await import('./operator-io.ts');
        const database = databaseArgument(flags.database, flags.databaseCa);
        const options = {
          configFile: flags.config,
          dryRun: flags.dryRun === true,
          ...(database && { database }),
        };
        const operator = await loadOperator();
        return withOperatorIo(terminal, 'Working on the schema', () => operator.migrateStore(options));
      }),
    );
  table
    .add(
      store,
      'reindex',
      'empty the search of the log, so that it is built anew',
      `sallyport store reindex ${config}`,
    )
    .requiredOption('--config <FILE>', 'the configuration of the broker, which is stopped if it is on SQLite')
    .option('--database <URL>', 'the same PostgreSQL database under the role that owns its tables')
    .option(...ca)
    .action((flags: StoreFlags & JsonFlag) =>
      run(flags.json, async () => {
        const { withOperatorIo } = await import('./operator-io.ts');
        const database = databaseArgument(flags.database, flags.databaseCa);
        const options = { configFile: flags.config, ...(database && { database }) };
        const operator = await loadOperator();
        return withOperatorIo(terminal, 'Emptying the search', () => operator.reindexStore(options));
      }),
    );
  table
    .add(
      store,
      'copy',
      'copy the SQLite database of a stopped broker to PostgreSQL',
      `sallyport store copy ${config} --to ${owner}`,
    )
    .requiredOption('--config <FILE>', 'the configuration of the broker, with its `data`')
    .requiredOption('--to <URL>', 'an empty database, under the role that will own its tables')
    .option(...ca)
    .action((flags: StoreFlags & JsonFlag) =>
      run(flags.json, async () => {
        const { withOperatorIo } = await import('./operator-io.ts');
        const to = databaseArgument(flags.to, flags.databaseCa) ?? { url: '' };
        const operator = await loadOperator();
        return withOperatorIo(terminal, 'Copying', (io) =>
          operator.copyStore({ configFile: flags.config, to }, io),
        );
      }),
    );
}

function addBackupCommands(program: Command, table: Table): void {
  const { terminal, run, loadOperator } = table;
  table
    .add(
      program,
      'backup',
      'write everything that a broker is into one sealed file; it may run meanwhile',
      'sallyport backup --config /srv/sallyport/sallyport.yaml --out /backup/monday.sealed --passphrase-file /root/backup.passphrase',
    )
    .requiredOption('--config <FILE>', 'the configuration of the broker')
    .requiredOption('--out <FILE>', 'where to write it; nothing is overwritten')
    .option('--passphrase-file <FILE>', 'a private file with the passphrase; left out: asked for')
    .option('--with-keys', 'the CA keys and the secrets, too: who opens the file is the CA then')
    .action((flags: BackupFlags & JsonFlag) =>
      run(flags.json, async () => {
        const { withOperatorIo } = await import('./operator-io.ts');
        const operator = await loadOperator();
        const { config: configFile, out, passphraseFile, withKeys = false } = flags;
        return withOperatorIo(terminal, 'Backing up', (io) =>
          operator.backup({ configFile, out, passphraseFile, withKeys }, io),
        );
      }),
    );
  table
    .add(
      program,
      'restore <file>',
      'open a backup into an empty folder, or leave nothing',
      'sallyport restore /backup/monday.sealed --out /srv/sallyport',
    )
    .requiredOption('--out <DIR>', 'an empty folder, or one that does not exist')
    .option('--passphrase-file <FILE>', 'a private file with the passphrase; left out: asked for')
    .action((file: string, flags: Omit<BackupFlags, 'config' | 'withKeys'> & JsonFlag) =>
      run(flags.json, async () => {
        const { withOperatorIo } = await import('./operator-io.ts');
        const operator = await loadOperator();
        const { out, passphraseFile } = flags;
        return withOperatorIo(terminal, 'Restoring', (io) =>
          operator.restore({ file, out, passphraseFile }, io),
        );
      }),
    );
}

interface BackupFlags {
  readonly config: string;
  readonly out: string;
  readonly passphraseFile?: string;
  readonly withKeys?: boolean;
}

function addPeopleCommands(program: Command, table: Table): void {
  const { terminal, run, loadOperator } = table;
  const people = program.command('people').description('people of the built-in directory');
  for (const action of ['add', 'passwd', 'groups', 'disable', 'enable', 'remove', 'list'] as const) {
    const [words, ending] = peopleCommands[action];
    const named = action === 'list' ? 'list [name]' : `${action} <name>`;
    const example = `sallyport people ${action} --config /srv/sallyport/sallyport.yaml ${ending}`;
    const command = table
      .add(people, named, words, example)
      .requiredOption('--config <FILE>', 'the configuration of the broker');
    const groupWord = groupWords[action];
    if (groupWord !== undefined) command.option('--group <G>', groupWord, several);
    if (action === 'groups') command.option('--none', 'in no group from now on');
    if (mayLoseAdmin.has(action)) command.option('--yes', 'also when it is the last admin');
    if (action === 'add' || action === 'passwd')
      command.option('--password-stdin', 'read the password from standard input');
    // Every form of the contract takes it, so that one script can call them all.
    if (action === 'remove' || action === 'list')
      command.option('--password-stdin', 'changes nothing: no password is needed');
    command.action((name: string | undefined, flags: PeopleFlags & JsonFlag) =>
      run(flags.json, async () =>
        (await import('./commands/people.ts')).people(loadOperator, action, name, flags, terminal),
      ),
    );
  }
}
