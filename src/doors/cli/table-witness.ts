import type { Command } from 'commander';
import { readGivenFile } from './given-file.ts';
import type { JsonFlag, Table } from './table.ts';
import { several } from './table.ts';

/** The commands for whoever runs a witness: somebody else than who runs the broker. */
export function addWitnessCommands(program: Command, table: Table): void {
  const { terminal, run, loadOperator } = table;
  const witness = program.command('witness').description('a witness of other people’s logs');
  table
    .add(
      witness,
      'init <dir>',
      'set up a witness: key and configuration',
      'sallyport witness init /srv/witness --name witness.example.com/w1 --log accounting-log.vkey',
    )
    .option('--name <NAME>', 'what its signatures bear, e.g. witness.example.com/w1')
    .option('--log <FILE>', 'the verifier key of a log (may be repeated)', several)
    .action((folder: string, flags: InitFlags & JsonFlag) =>
      run(flags.json, async () => {
        const logs = (flags.log ?? []).map((file) => readLogKey(file));
        return (await loadOperator()).initWitness({ folder, name: flags.name, logs });
      }),
    );
  table
    .add(witness, 'serve', 'run a witness', 'sallyport witness serve --config /srv/witness/witness.yaml')
    .requiredOption('--config <FILE>', 'the configuration that witness init wrote')
    .action((flags: { readonly config: string } & JsonFlag) =>
      run(flags.json, async () => {
        const { operatorIo } = await import('./operator-io.ts');
        await (await loadOperator()).serveWitness({ configFile: flags.config }, operatorIo(terminal));
        return undefined;
      }),
    );
}

interface InitFlags {
  readonly name?: string;
  readonly log?: readonly string[];
}

function readLogKey(file: string): string {
  return readGivenFile(file, 'Give the file that `sallyport ca show --only log-key` wrote.', (text) =>
    text.trim(),
  );
}
