import { InvalidArgumentError, Option, type Command } from 'commander';
import { tlsCaTypes, type TlsCaType } from './operator-contract.ts';
import { usage } from './report.ts';
import { addAuthorityCommands } from './table-tls-ca.ts';
import { several, type JsonFlag, type Table } from './table.ts';

interface InitFlags {
  readonly config: string;
  readonly address: string;
  readonly rootKey: string;
  readonly algorithm: TlsCaType;
  readonly name: string;
  readonly organization?: string;
  readonly rootPassphraseFile?: string;
  readonly permitDns?: readonly string[];
  readonly permitNetwork?: readonly string[];
  readonly rootCrlDays: number;
  readonly logon: boolean;
}

function parseDays(text: string): number {
  if (!/^[1-9]\d{0,3}$/.test(text)) throw new InvalidArgumentError('Give a number from 1 to 9999.');
  return Number(text);
}

/** No certificate lives longer, whatever the policy says. */
const maxLifeDays = 732;

function parseLifeDays(text: string): number {
  const days = Number(text);
  if (!/^\d{1,4}$/.test(text) || days < 1 || days > maxLifeDays)
    throw new InvalidArgumentError(`Give days from 1 to ${maxLifeDays}.`);
  return days;
}

function parseAddress(text: string): string {
  if (/^http:\/\/[a-z0-9][a-z0-9.-]{0,252}(?::\d{1,5})?$/.test(text)) return text;
  throw usage(
    `${text} is not an address for lists.`,
    'Write http://, a host and a port, e.g. http://pki.example.com:8880.',
  );
}

/** Certificates for TLS: of whoever runs a service, and of whoever runs the broker. */
export function addTlsCommands(program: Command, table: Table): void {
  const tls = program.command('tls').description('certificates for TLS: IBM i, Linux, AIX, Windows');
  addInit(tls, table);
  addIssue(tls, table);
  addRenew(tls, table);
  addList(tls, table);
  addAuthority(tls, table);
}

function addInit(tls: Command, table: Table): void {
  const { run, terminal, loadOperator } = table;
  table
    .add(
      tls,
      'init',
      'make a root, whose key is to be taken away, and what signs under it',
      'sallyport tls init --config /srv/sallyport/sallyport.yaml --address http://pki.example.com:8880 --root-key /media/usb/root.key',
    )
    .requiredOption('--config <FILE>', 'the configuration of the broker')
    .requiredOption(
      '--address <URL>',
      'where lists and OCSP will be: it stands in every certificate',
      parseAddress,
    )
    .requiredOption('--root-key <FILE>', 'the file for the key of the root: take it away afterwards')
    .option('--root-passphrase-file <FILE>', 'a private file with its passphrase; left out: asked for')
    .addOption(
      new Option('--algorithm <TYPE>', 'the kind of the keys').choices(tlsCaTypes).default(tlsCaTypes[0]),
    )
    .option('--name <NAME>', 'begins the names of the authorities', 'Sallyport')
    .option('--organization <NAME>', 'the organisation in their names')
    .option(
      '--permit-dns <DOMAIN>',
      'the issuing authority is good for this domain only (may be repeated)',
      several,
    )
    .option(
      '--permit-network <NETWORK>',
      'and for addresses of this network, e.g. 10.0.0.0/8 (may be repeated)',
      several,
    )
    .option('--root-crl-days <N>', 'how long the list of the root is good', parseDays, 400)
    .option('--no-logon', 'without an authority for Windows logons')
    .action((flags: InitFlags & JsonFlag) =>
      run(flags.json, async () => {
        const { withOperatorIo } = await import('./operator-io.ts');
        const {
          config: configFile,
          address,
          rootKey,
          algorithm,
          name,
          organization,
          rootCrlDays,
          logon,
        } = flags;
        const operator = await loadOperator();
        return withOperatorIo(terminal, 'Making the authority', (io) =>
          operator.initTls(
            {
              configFile,
              address,
              rootKey,
              algorithm,
              name,
              rootCrlDays,
              logon,
              ...(organization === undefined ? {} : { organization }),
              rootPassphraseFile: flags.rootPassphraseFile,
              permitDns: flags.permitDns ?? [],
              permitNetworks: flags.permitNetwork ?? [],
            },
            io,
          ),
        );
      }),
    );
}

function addIssue(tls: Command, table: Table): void {
  const { run, terminal } = table;
  table
    .add(
      tls,
      'issue',
      'get a certificate for a CSR, or a new key with its certificate as PKCS#12',
      'sallyport tls issue --profile ibmi --csr telnet.csr --out telnet.pem\nsallyport tls issue --profile ibmi --new --name as400.example.com --p12 telnet.p12 --encryption compatible',
    )
    .requiredOption('--profile <P>', 'the profile of the policy to use')
    .option('--csr <FILE>', 'the request, PEM')
    .option('--new', 'without a request: the broker makes the key and hands it over once')
    .addOption(
      new Option('--key-type <TYPE>', 'with --new: the kind of the key')
        .choices(['rsa-2048', 'rsa-3072', 'ecdsa-p256', 'ecdsa-p384'])
        .default('rsa-2048'),
    )
    .option('--p12 <FILE>', 'with --new: where to write key, certificate and chain')
    .addOption(
      new Option('--encryption <E>', 'of the PKCS#12: compatible is 3DES and SHA-1, which older DCM reads')
        .choices(['compatible', 'modern'])
        .default('modern'),
    )
    .option('--friendly-name <N>', 'what key stores call it (default: the name and the month)')
    .option('--name <NAME>', 'a DNS name or address, beside those of the CSR (may be repeated)', several)
    .option('--days <N>', 'how long it is to live, in days', parseLifeDays)
    .option('--reason <T>', 'why, where the policy asks for a reason')
    .option('--out <FILE>', 'where to write the certificate; - is standard output')
    .option('--chain <FILE>', 'where to write the certificate with what stands between it and the root')
    .action((options: import('./commands/tls.ts').TlsIssueOptions & JsonFlag) =>
      run(options.json, async () => (await import('./commands/tls.ts')).issue(options, terminal)),
    );
}

function addRenew(tls: Command, table: Table): void {
  const { run, terminal } = table;
  table
    .add(
      tls,
      'renew',
      'renew the certificate of a server, for the same names, with its key as proof; nobody need be logged in',
      'sallyport tls renew --certificate web.pem --key web.key --csr new.csr --out new.pem',
    )
    .requiredOption('--certificate <FILE>', 'the one that is to be renewed, PEM')
    .requiredOption('--key <FILE>', 'its private key, PEM; it goes nowhere')
    .requiredOption('--csr <FILE>', 'a request, PEM, best with a new key')
    .option('--days <N>', 'how long it is to live, in days', parseLifeDays)
    .option('--out <FILE>', 'where to write the certificate; - is standard output')
    .option('--chain <FILE>', 'where to write the certificate with what stands between it and the root')
    .action((options: import('./commands/tls-renew.ts').TlsRenewOptions & JsonFlag) =>
      run(options.json, async () => (await import('./commands/tls-renew.ts')).renew(options, terminal)),
    );
}

function addList(tls: Command, table: Table): void {
  const { run, terminal } = table;
  table
    .add(tls, 'list', 'list certificates, newest first', 'sallyport tls list --expiring 30d')
    .option('--expiring <TIME>', 'only those that end within so many days, e.g. 30d', parseExpiring)
    .option('--person <U>', 'only those of this person, or asked for by them')
    .option('--live', 'only those that are good now')
    .option('--limit <N>', 'at most so many, the newest', parseDays, 1000)
    .action((options: import('./commands/tls-list.ts').TlsListOptions & JsonFlag) =>
      run(options.json, async () => (await import('./commands/tls-list.ts')).list(options, terminal)),
    );
}

function parseExpiring(text: string): number {
  const days = /^([1-9]\d{0,3})d?$/.exec(text)?.[1];
  if (days === undefined) throw new InvalidArgumentError('Give a number of days, e.g. 30d.');
  return Number(days);
}

function addAuthority(tls: Command, table: Table): void {
  const { run, terminal } = table;
  const ca = table
    .add(
      tls,
      'ca',
      'show the authorities for TLS; write their certificates',
      'sallyport tls ca --out /etc/pki/sallyport',
    )
    .option('--out <DIR>', 'a folder for root.pem and one file for each authority')
    .action((options: { readonly out?: string } & JsonFlag) =>
      run(options.json, async () => (await import('./commands/tls.ts')).authorities(options, terminal)),
    );
  addAuthorityCommands(ca, table);
}
