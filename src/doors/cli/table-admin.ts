import type { Command } from 'commander';
import { InvalidArgumentError, Option } from 'commander';
import type { RevocationCode } from '../client/index.ts';
import { usage } from './report.ts';
import type { JsonFlag, Table } from './table.ts';

function parseLimit(text: string): number {
  if (!/^[1-9]\d{0,6}$/.test(text)) throw new InvalidArgumentError('Give a number from 1 to 9999999.');
  return Number(text);
}

/** As long as the broker keeps. */
const maxReasonChars = 1000;

function parseReason(text: string): string {
  if (text.length > maxReasonChars)
    throw usage(`The reason has more than ${maxReasonChars} characters.`, 'Give a shorter one.');
  return text;
}

const reasonCodes: readonly RevocationCode[] = [
  'unspecified',
  'keyCompromise',
  'affiliationChanged',
  'superseded',
  'cessationOfOperation',
  'privilegeWithdrawn',
];

/** The commands that cut people off and show what they hold; who may use them, the broker says. */
export function addAdminCommands(program: Command, table: Table): void {
  const { terminal, run } = table;
  const admin = program.command('admin').description('cut people off, and see what they hold');
  table
    .add(
      admin,
      'revoke',
      'revoke certificates, and end all sessions of the people who hold them; shows what it would hit until --yes',
      'sallyport admin revoke --person alice --reason "left the company" --lock\nsallyport admin revoke --person alice --reason "left the company" --lock --yes',
    )
    .option(
      '--person <U>',
      'every live certificate of this person; their sessions end also when there is none',
    )
    .option('--serial <N>', 'one certificate, SSH or TLS; decimal, 0x… or aa:bb:…')
    .option('--key <FILE|SHA256:...>', 'every certificate for this key')
    .option('--key-id <ID>', 'the certificate with this key id')
    .option('--before <TIME>', 'everything issued before this time')
    .requiredOption('--reason <T>', 'why; it is kept in the log', parseReason)
    .addOption(
      new Option('--reason-code <CODE>', 'what CRL and OCSP say; else what goes with the target').choices(
        reasonCodes,
      ),
    )
    .option('--lock', 'with --person: also refuse new logins and certificates until unlock')
    .option('--yes', 'do it')
    .action((options: import('./commands/admin.ts').RevokeOptions & JsonFlag) =>
      run(options.json, async () => (await import('./commands/admin.ts')).revoke(options, terminal)),
    );
  for (const action of ['lock', 'unlock'] as const) {
    const description =
      action === 'lock'
        ? 'end a person’s sessions and refuse new ones, until unlock'
        : 'let a person in again';
    table
      .add(admin, action, description, `sallyport admin ${action} --person alice`)
      .requiredOption('--person <U>', 'login name or person id')
      .option('--reason <T>', 'why; it is kept in the log', parseReason, `${action}ed by an admin`)
      .action((options: import('./commands/admin.ts').LockOptions & JsonFlag) =>
        run(options.json, async () =>
          (await import('./commands/admin.ts')).setLock(action, options, terminal),
        ),
      );
  }
  table
    .add(admin, 'issued', 'list certificates, newest first', 'sallyport admin issued --person alice --live')
    .option('--person <U>', 'only those of this person')
    .option('--live', 'only those that are good now')
    .addOption(new Option('--limit <N>', 'at most so many, the newest').default(1000).argParser(parseLimit))
    .action((options: import('./commands/admin.ts').IssuedOptions & JsonFlag) =>
      run(options.json, async () => (await import('./commands/admin.ts')).listIssued(options, terminal)),
    );
  table
    .add(
      admin,
      'responses',
      'list what rules asked for because of logins that nothing explains, and decide',
      'sallyport admin responses --approve q-0123456789abcdef',
    )
    .option('--approve <ID>', 'approve: the second administrator who does sets it off')
    .option('--reject <ID>', 'nothing is done')
    .action((options: import('./commands/logins.ts').ResponsesOptions & JsonFlag) =>
      run(options.json, async () => (await import('./commands/logins.ts')).responses(options, terminal)),
    );
  addDepartureCommands(admin, table);
  const principal = admin.command('principal').description('names that belong to one person');
  table
    .add(
      principal,
      'release <name>',
      'free a name, so that somebody else can have it',
      'sallyport admin principal release alice --reason "new colleague of that name"',
    )
    .requiredOption('--reason <T>', 'why; it is kept in the log', parseReason)
    .action((name: string, options: { readonly reason: string } & JsonFlag) =>
      run(options.json, async () =>
        (await import('./commands/admin.ts')).releasePrincipal(name, options, terminal),
      ),
    );
}

function addDepartureCommands(admin: Command, table: Table): void {
  const { terminal, run } = table;
  table
    .add(
      admin,
      'person <U>',
      'show everything that a person can still use, and what would end it',
      'sallyport admin person alice',
    )
    .action((person: string, options: JsonFlag) =>
      run(options.json, async () => (await import('./commands/person.ts')).showPerson(person, terminal)),
    );
  table
    .add(
      admin,
      'departures',
      'show how directories are followed, and say whether departures that were too many at once are true',
      'sallyport admin departures\nsallyport admin departures --approve d-0123abcd',
    )
    .addOption(new Option('--approve <ID>', 'it is true: cut them off').conflicts('reject'))
    .option('--reject <ID>', 'it is not: what they have lives until it expires')
    .option('--reason <T>', 'why; it is kept in the log', parseReason, 'decided by an admin')
    .action((options: import('./commands/departures.ts').DeparturesOptions & JsonFlag) =>
      run(options.json, async () => (await import('./commands/departures.ts')).departures(options, terminal)),
    );
}

/** The commands about the log; `verify` alone needs neither broker nor session. */
export function addAuditCommands(program: Command, table: Table): void {
  const { terminal, run } = table;
  const audit = program.command('audit').description('search the log, and prove that nobody edited it');
  table
    .add(
      audit,
      'search',
      'find log entries',
      'sallyport audit search --person alice --from 2026-11-01 --type cred.issue',
    )
    .option('--person <U>', 'by or about this person')
    .option('--subject <U>', 'about this person')
    .option('--serial <N>', 'about this certificate, SSH or TLS; decimal, 0x… or aa:bb:…')
    .option('--key <FILE|SHA256:...>', 'about this key')
    .option('--principal <P>', 'about certificates for this account')
    .option('--host <H>', 'about this host')
    .option('--reason <WORDS>', 'with these words in the reason that somebody gave')
    .option('--type <TYPE>', 'e.g. auth.login, cred.issue, cred.revoke')
    .addOption(new Option('--outcome <OUTCOME>', 'how it ended').choices(['success', 'failure', 'denied']))
    .option('--from <TIME>', 'from this time on')
    .option('--to <TIME>', 'before this time')
    .addOption(new Option('--limit <N>', 'at most so many').default(200).argParser(parseLimit))
    .addOption(new Option('--csv', 'print a table for spreadsheets (RFC 4180)').conflicts('json'))
    .action((options: import('./commands/audit.ts').SearchOptions & JsonFlag) =>
      run(options.json, async () => (await import('./commands/audit.ts')).searchLog(options, terminal)),
    );
  table
    .add(
      audit,
      'logins',
      'list logins that hosts reported, and whether an issued certificate explains them',
      'sallyport audit logins --unexplained --from 2026-11-01',
    )
    .option('--unexplained', 'only those that nothing explains')
    .option('--person <U>', 'only those of this person')
    .option('--host <H>', 'only on this host; its name or its id')
    .option('--as <P>', 'only to this account')
    .option('--from <TIME>', 'judged from this time on')
    .option('--to <TIME>', 'judged before this time')
    .addOption(new Option('--limit <N>', 'at most so many, the newest').default(200).argParser(parseLimit))
    .action((options: import('./commands/logins.ts').LoginsOptions & JsonFlag) =>
      run(options.json, async () => (await import('./commands/logins.ts')).listLogins(options, terminal)),
    );
  table
    .add(
      audit,
      'who-could',
      'show which certificates opened an account at a moment',
      'sallyport audit who-could --as root --at 2026-11-23T16:20:00Z',
    )
    .requiredOption('--as <P>', 'the account')
    .option('--host <H>', 'on this host, whose group may open the account by other names')
    .option('--at <TIME>', 'the moment', 'now')
    .addOption(new Option('--limit <N>', 'at most so many').default(1000).argParser(parseLimit))
    .action((options: import('./commands/audit-certificate.ts').WhoCouldOptions & JsonFlag) =>
      run(options.json, async () =>
        (await import('./commands/audit-certificate.ts')).whoCould(options, terminal),
      ),
    );
  table
    .add(
      audit,
      'explain',
      'show who asked for a certificate, which rule allowed it, and how it ended',
      'sallyport audit explain --serial 4711',
    )
    .option('--serial <N>', 'of SSH or TLS: decimal, 0x… or aa:bb:…')
    .addOption(new Option('--line <LINE>', 'a line by which sshd let somebody in').conflicts('serial'))
    .option('--host <H>', 'with --line: the host that wrote it')
    .option('--at <TIME>', 'with --line: when it was', 'now')
    .action((options: import('./commands/audit-certificate.ts').ExplainOptions & JsonFlag) =>
      run(options.json, async () =>
        (await import('./commands/audit-certificate.ts')).explainCertificate(options, terminal),
      ),
    );
  table
    .add(
      audit,
      'prove',
      'fetch the receipt of a certificate, which verifies offline',
      'sallyport audit prove --serial 4711 --out 4711.tlog-proof',
    )
    .requiredOption('--serial <N>', 'of SSH or TLS: decimal, 0x… or aa:bb:…')
    .requiredOption('--out <FILE>', 'where to write it')
    .action((options: { readonly serial: string; readonly out: string } & JsonFlag) =>
      run(options.json, async () =>
        (await import('./commands/audit-certificate.ts')).proveCertificate(options, terminal),
      ),
    );
  table
    .add(
      audit,
      'export',
      'fetch a bundle that can be verified offline',
      'sallyport audit export --out audit.bundle',
    )
    .requiredOption('--out <FILE>', 'where to write it')
    .option('--from <INDEX>', 'first entry (default: 0)')
    .option('--to <INDEX>', 'first entry left out (default: the end)')
    .action((options: import('./commands/audit.ts').ExportOptions & JsonFlag) =>
      run(options.json, async () => (await import('./commands/audit.ts')).exportLog(options, terminal)),
    );
  table
    .add(
      audit,
      'verify <file>',
      'judge a bundle or a receipt offline; exit code 0 verified, 1 tampered, 2 usage, 3 incomplete',
      'sallyport audit verify audit.bundle --key log.vkey --previous checkpoint-october',
    )
    .requiredOption('--key <FILE>', 'the log’s verifier key, which you got on a safe way')
    .option('--previous <FILE>', 'a checkpoint that you kept from before')
    .option(
      '--certificate <FILE>',
      'a receipt must be that of this certificate; of TLS with its issuer, as tls issue --chain writes it',
    )
    .option('--policy <FILE>', 'whose cosignatures it needs: a witness policy (C2SP tlog-policy)')
    .option('--part', 'expect a part of the log: without this, one is incomplete')
    .action((bundle: string, options: import('./commands/audit-verify.ts').VerifyOptions & JsonFlag) =>
      run(options.json, async () =>
        (await import('./commands/audit-verify.ts')).verifyLog(bundle, options, terminal),
      ),
    );
  table
    .add(
      audit,
      'sinks',
      'show where copies of the log go, and how far behind they are',
      'sallyport audit sinks',
    )
    .action((options: JsonFlag) =>
      run(options.json, async () => (await import('./commands/audit-sinks.ts')).listSinks(terminal)),
    );
  table
    .add(
      audit,
      'checkpoint',
      'print or keep the newest signed checkpoint',
      'sallyport audit checkpoint --out checkpoint-november',
    )
    .option('--out <FILE>', 'keep it in this file')
    .action((options: { readonly out?: string } & JsonFlag) =>
      run(options.json, async () => (await import('./commands/audit.ts')).showCheckpoint(options, terminal)),
    );
  table
    .add(
      audit,
      'erase',
      'erase a person’s name, addresses and words from a stopped broker; entries and proofs stay; says what it would do until --yes',
      'sallyport audit erase --config /srv/sallyport/sallyport.yaml --person alice --reason "left in 2024"',
    )
    .requiredOption('--config <FILE>', 'the configuration of the broker')
    .requiredOption('--person <U>', 'login name or person id')
    .requiredOption('--reason <T>', 'why; it is kept in the log', parseReason)
    .option('--yes', 'do it')
    .action((flags: EraseFlags & JsonFlag) =>
      run(flags.json, async () => {
        const { withOperatorIo } = await import('./operator-io.ts');
        const operator = await table.loadOperator();
        const { config, person, reason, yes = false } = flags;
        return withOperatorIo(terminal, 'Looking', (io) =>
          operator.erasePerson({ configFile: config, person, reason, yes }, io),
        );
      }),
    );
  addRecover(audit, table);
}

function addRecover(audit: Command, table: Table): void {
  table
    .add(
      audit,
      'recover',
      'go on after a restore, with the broker stopped: begin a new log that quotes the old one, and revoke all; says what it would do until --yes',
      'sallyport audit recover --config /srv/sallyport/sallyport.yaml --reason "disk lost, backup of Monday"',
    )
    .requiredOption('--config <FILE>', 'the configuration of the broker')
    .requiredOption('--reason <T>', 'why; it is kept in the log', parseReason)
    .addOption(
      new Option(
        '--keep-servers',
        'leave TLS certificates of servers as the copy knows them, who is revoked since is good again',
      ).conflicts('asItStands'),
    )
    .option('--as-it-stands', 'only the kept checkpoint is lost: vouch for the database, and keep its log')
    .option('--yes', 'do it')
    .action((flags: RecoverFlags & JsonFlag) =>
      table.run(flags.json, async () => {
        const { withOperatorIo } = await import('./operator-io.ts');
        const operator = await table.loadOperator();
        const { config, reason, asItStands = false, keepServers = false, yes = false } = flags;
        return withOperatorIo(table.terminal, 'Looking', (io) =>
          operator.recover({ configFile: config, reason, asItStands, keepServers, yes }, io),
        );
      }),
    );
}

interface RecoverFlags {
  readonly config: string;
  readonly reason: string;
  readonly keepServers?: boolean;
  readonly asItStands?: boolean;
  readonly yes?: boolean;
}

interface EraseFlags {
  readonly config: string;
  readonly person: string;
  readonly reason: string;
  readonly yes?: boolean;
}
