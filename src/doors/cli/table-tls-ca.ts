import { InvalidArgumentError, Option, type Command } from 'commander';
import { tlsRevokeCodes, type TlsCaOptions, type TlsRootListOptions } from './operator-contract.ts';
import { several, type JsonFlag, type Table } from './table.ts';

interface CaFlags extends JsonFlag {
  readonly config: string;
  readonly rootKey: string;
  readonly rootPassphraseFile?: string;
}

/** What is done with the key of the root, now and then: below `tls ca`. */
export function addAuthorityCommands(ca: Command, table: Table): void {
  addRenew(ca, table);
  addRotate(ca, table);
  addRootList(ca, table);
}

function addRenew(ca: Command, table: Table): void {
  const added = table.add(
    ca,
    'renew <NAME>',
    'give an authority a new certificate for the same key: what it issued stays good',
    'sallyport tls ca renew issuing-1 --config /srv/sallyport/sallyport.yaml --root-key /media/usb/root.key',
  );
  withRoot(added).action((name: string, flags: CaFlags) =>
    table.run(flags.json, async () => {
      const { withOperatorIo } = await import('./operator-io.ts');
      const operator = await table.loadOperator();
      return withOperatorIo(table.terminal, 'Renewing the authority', (io) =>
        operator.renewTlsAuthority({ ...optionsOf(flags), name }, io),
      );
    }),
  );
}

function addRotate(ca: Command, table: Table): void {
  const added = table.add(
    ca,
    'rotate <KIND>',
    'make the next authority of a kind, issuing or logon, with a key of its own',
    'sallyport tls ca rotate issuing --config /srv/sallyport/sallyport.yaml --root-key /media/usb/root.key',
  );
  withRoot(added).action((kind: string, flags: CaFlags) =>
    table.run(flags.json, async () => {
      const { withOperatorIo } = await import('./operator-io.ts');
      const operator = await table.loadOperator();
      return withOperatorIo(table.terminal, 'Making the authority', (io) =>
        operator.rotateTlsAuthority({ ...optionsOf(flags), kind }, io),
      );
    }),
  );
}

function addRootList(ca: Command, table: Table): void {
  const added = table.add(
    ca,
    'root-list',
    'sign the list of the root anew, with an authority that is no longer good',
    'sallyport tls ca root-list --config /srv/sallyport/sallyport.yaml --root-key /media/usb/root.key --revoke issuing-1',
  );
  withRoot(added)
    .option('--days <N>', 'how long the list is good', parseDays, 400)
    .option('--revoke <NAME>', 'an authority that is no longer good (may be repeated)', several)
    .addOption(
      new Option('--reason-code <CODE>', 'what the list says of it')
        .choices(tlsRevokeCodes)
        .default('superseded'),
    )
    .action(
      (
        flags: CaFlags & {
          readonly days: number;
          readonly revoke?: readonly string[];
          readonly reasonCode: TlsRootListOptions['code'];
        },
      ) =>
        table.run(flags.json, async () => {
          const { withOperatorIo } = await import('./operator-io.ts');
          const { days, revoke = [], reasonCode: code } = flags;
          const operator = await table.loadOperator();
          return withOperatorIo(table.terminal, 'Signing the list', (io) =>
            operator.signRootList({ ...optionsOf(flags), days, revoke, code }, io),
          );
        }),
    );
}

function withRoot(command: Command): Command {
  return command
    .requiredOption('--config <FILE>', 'the configuration of the broker')
    .requiredOption('--root-key <FILE>', 'the file with the key of the root')
    .option('--root-passphrase-file <FILE>', 'a private file with its passphrase; left out: asked for');
}

function optionsOf({ config, rootKey, rootPassphraseFile }: CaFlags): TlsCaOptions {
  return { configFile: config, rootKey, rootPassphraseFile };
}

function parseDays(text: string): number {
  if (!/^[1-9]\d{0,3}$/.test(text)) throw new InvalidArgumentError('Give a number from 1 to 9999.');
  return Number(text);
}
