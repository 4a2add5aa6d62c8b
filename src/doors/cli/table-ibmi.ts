import type { Command } from 'commander';
import { InvalidArgumentError, Option } from 'commander';
import type { JsonFlag, Table } from './table.ts';
import { several } from './table.ts';

function parseWait(text: string): number {
  const seconds = Number(text);
  if (!/^\d{1,3}$/.test(text) || seconds < 1 || seconds > 120)
    throw new InvalidArgumentError('Give seconds from 1 to 120.');
  return seconds;
}

function parseDays(text: string): number {
  const days = Number(text);
  if (!/^\d{1,4}$/.test(text) || days < 1 || days > 3650)
    throw new InvalidArgumentError('Give days from 1 to 3650.');
  return days;
}

/** The commands for IBM i; what they know of it is data with a source, and none of it was tried on a real one. */
export function addIbmiCommands(program: Command, table: Table): void {
  const { terminal, run } = table;
  table
    .add(
      program,
      'probe [hosts...]',
      'show what the ports of IBM i hosts really serve: TLS, whose certificate, how long; sends no name and no password; exit code 1 when something must be put right',
      'sallyport probe prod.example.com --ca ca.pem\nsallyport probe --hosts estate.txt --ca ca.pem --html report.html',
    )
    .option('--hosts <FILE>', 'more hosts, one on a line; # begins a remark')
    .option(
      '--ca <FILE>',
      'PEM file of authorities that are ours (may be repeated); those of the broker unless given',
      several,
    )
    .option(
      '--crl <FILE>',
      'lists of revoked certificates, PEM or DER (may be repeated); fetched from where certificates say unless given',
      several,
    )
    .option('--ports <LIST>', 'only these: 992,9476, or a service that listens elsewhere, telnet-ssl:2992')
    .option('--log', 'tell the broker, for its log and its metrics; needs a session as admin or auditor')
    .option('--html <FILE>', 'write a report for the files: one page, printable')
    .addOption(
      new Option('--wait <SECONDS>', 'how long a telnet server may take to speak')
        .default(12)
        .argParser(parseWait),
    )
    .action((hosts: readonly string[], options: import('./commands/probe.ts').ProbeFlags & JsonFlag) =>
      run(options.json, async () =>
        (await import('./commands/probe.ts')).probeHosts(hosts, options, terminal),
      ),
    );
  const ibmi = program
    .command('ibmi')
    .description('certificates for IBM i: what there is, and how to change it');
  table
    .add(
      ibmi,
      'apps',
      'list the applications that certificates are assigned to, with their ports',
      'sallyport ibmi apps\nsallyport ibmi apps --usage usage.csv',
    )
    .option(
      '--usage <FILE>',
      'a system’s own list: SELECT * FROM QSYS2.CERTIFICATE_USAGE_INFO, saved as CSV with column names',
    )
    .action((options: import('./commands/ibmi-apps.ts').AppsOptions & JsonFlag) =>
      run(options.json, async () => (await import('./commands/ibmi-apps.ts')).listApps(options, terminal)),
    );
  table
    .add(
      ibmi,
      'issue <host>',
      'get a certificate from the broker, and write the folder with what is to be done on the system',
      'sallyport ibmi issue prod.example.com --apps telnet,hostservers --csr telnet.csr --out plan\nsallyport ibmi issue prod.example.com --apps telnet --p12 --compat dcm --name prod --out plan',
    )
    .requiredOption('--apps <LIST>', 'applications, as `ibmi apps` names them: telnet,hostservers')
    .option('--csr <FILE>', 'the request that DCM made: the key stays on the system')
    .option(
      '--p12 [FILE]',
      'the broker makes the key: the bundle goes into the folder, and into FILE as well',
    )
    .addOption(
      new Option('--compat <KIND>', 'how the bundle is encrypted: dcm is what older DCM reads')
        .choices(['dcm', 'modern'])
        .default('dcm'),
    )
    .addOption(
      new Option('--key-type <TYPE>', 'with --p12')
        .choices(['rsa-2048', 'rsa-3072', 'ecdsa-p256', 'ecdsa-p384'])
        .default('rsa-2048'),
    )
    .option('--profile <P>', 'the profile of the policy to use', 'ibmi')
    .option('--name <NAME>', 'another name or address that clients dial (may be repeated)', several)
    .addOption(new Option('--days <N>', 'how long it is to live').argParser(parseDays))
    .option('--reason <T>', 'why, where the policy asks for a reason')
    .option('--label <LABEL>', 'under which DCM keeps it; by the rule WORD-YEAR-MONTH unless given')
    .option('--previous-label <LABEL>', 'what is assigned now; the way back leads there')
    .option('--client-ca <FILE>', 'let in only clients with a certificate of this authority')
    .requiredOption('--out <DIR>', 'a folder that is not there yet, or is empty')
    .action((host: string, options: import('./commands/ibmi-issue.ts').IbmiIssueFlags & JsonFlag) =>
      run(options.json, async () =>
        (await import('./commands/ibmi-issue.ts')).issueForIbmi(host, options, terminal),
      ),
    );
  table
    .add(
      ibmi,
      'plan <host>',
      'write the folder for a certificate that you have: what to import, the runbook, the restarts; needs no broker',
      'sallyport ibmi plan prod.example.com --apps telnet,hostservers --certificate prod.crt --ca root.pem --ca issuing.pem --out plan',
    )
    .requiredOption('--apps <LIST>', 'applications, as `ibmi apps` names them: telnet,hostservers')
    .requiredOption('--certificate <FILE>', 'PEM file of the certificate')
    .requiredOption('--ca <FILE>', 'PEM file of root or issuing authority (may be repeated)', several)
    .option('--p12 <FILE>', 'the PKCS#12 file, when the key was not made by DCM')
    .addOption(
      new Option('--compat <KIND>', 'how that file is encrypted: dcm is what older DCM reads').choices([
        'dcm',
        'modern',
      ]),
    )
    .option('--label <LABEL>', 'under which DCM keeps it; by the rule WORD-YEAR-MONTH unless given')
    .option('--previous-label <LABEL>', 'what is assigned now; the way back leads there')
    .option('--client-ca <FILE>', 'let in only clients with a certificate of this authority')
    .requiredOption('--out <DIR>', 'a folder that is not there yet, or is empty')
    .action((host: string, options: import('./commands/ibmi-plan.ts').PlanFlags & JsonFlag) =>
      run(options.json, async () =>
        (await import('./commands/ibmi-plan.ts')).planForFile(host, options, terminal),
      ),
    );
  table
    .add(
      ibmi,
      'renewals',
      'list what ends soon, by host and application, with the window in which it can be changed',
      'sallyport probe --hosts estate.txt --json > report.json\nsallyport ibmi renewals --report report.json --days 60 --ics renewals.ics',
    )
    .option('--report <FILE>', 'what `probe --json` printed; without it, what the broker issued')
    .addOption(new Option('--days <N>', 'what ends within so many days').default(60).argParser(parseDays))
    .option('--window <TIME>', 'when people may be cut off, in UTC', 'sun 02:00-04:00')
    .option('--ics <FILE>', 'write a calendar (iCalendar)')
    .action((options: import('./commands/ibmi-renewals.ts').RenewalsFlags & JsonFlag) =>
      run(options.json, async () =>
        (await import('./commands/ibmi-renewals.ts')).listRenewals(options, terminal),
      ),
    );
  table
    .add(
      ibmi,
      'trust',
      'write what clients need in order to trust an authority: PEM, DER, PKCS#7, a trust store for Java; says where it goes, and which clients check names',
      'sallyport ibmi trust --for tn5250j --ca root.pem --ca issuing.pem --out trust',
    )
    .addOption(
      new Option('--for <CLIENT>', 'which client')
        .choices(['acs', 'tn5250', 'tn5250j', 'jdbc', 'odbc', 'browser'])
        .makeOptionMandatory(),
    )
    .option(
      '--ca <FILE>',
      'PEM file of root or issuing authority (may be repeated); those of the broker unless given',
      several,
    )
    .requiredOption('--out <DIR>', 'a folder that is not there yet, or is empty')
    .action((options: import('./commands/ibmi-trust.ts').TrustFlags & JsonFlag) =>
      run(options.json, async () => (await import('./commands/ibmi-trust.ts')).makeTrust(options, terminal)),
    );
}
