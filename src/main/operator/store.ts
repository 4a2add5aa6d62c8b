import type {
  CopyOptions,
  MigrateOptions,
  OperatorIo,
  Outcome,
  ReindexOptions,
} from '../../doors/cli/index.ts';
import { CodedError } from '../../kernel/index.ts';
import { copyToPostgres, forgetSearch, migratePostgres } from '../../store/index.ts';
import { loadConfig } from '../config.ts';
import { parseDatabaseArgument, placeOf } from '../database.ts';
import { logOf, logSignerOf, openKeys } from '../load.ts';
import { readPassphrase } from '../passphrase.ts';

/** Brings the schema of a PostgreSQL database to this version. An SQLite database does that by itself when the broker starts. */
export async function migrateStore(options: MigrateOptions): Promise<Outcome> {
  const { database, dryRun } = options;
  const place = placeOf(loadConfig(options.configFile));
  if (place.kind === 'sqlite') {
    throw new CodedError('main.not_postgres', 'The configuration names an SQLite database.', {
      next: 'Nothing needs to be done: the broker brings it forward when it starts.',
    });
  }
  const address =
    database === undefined ? place.address : parseDatabaseArgument(database.url, database.caFile);
  const { from, to, steps } = await migratePostgres(address, !dryRun);
  const done = dryRun ? 'would be applied, and was tried' : 'applied';
  return {
    value: { from, to, steps: [...steps], applied: !dryRun },
    lines: [
      steps.length === 0
        ? `The schema is at ${to} already.`
        : `The schema is ${dryRun ? 'to go' : 'brought'} from ${from} to ${to}:`,
      ...steps.map((step) => `  ${step}  ${done}`),
    ],
  };
}

/** Empties the search of the log. An SQLite database must be that of a stopped broker. */
export async function reindexStore({ configFile, database }: ReindexOptions): Promise<Outcome> {
  const place = placeOf(loadConfig(configFile));
  if (place.kind === 'sqlite') await forgetSearch(place);
  else {
    const address =
      database === undefined ? place.address : parseDatabaseArgument(database.url, database.caFile);
    await forgetSearch({ address });
  }
  return {
    value: { emptied: true },
    lines: [
      'The search of the log is empty. A broker builds it anew from the entries, beside its work or before it answers the next search.',
      'The log itself is as it was.',
    ],
  };
}

/** Copies the SQLite database of a stopped broker into an empty PostgreSQL database. */
export async function copyStore(options: CopyOptions, io: OperatorIo): Promise<Outcome> {
  const config = loadConfig(options.configFile);
  const { data: folder } = config;
  if (folder === undefined) {
    throw new CodedError('main.not_sqlite', 'The configuration names no SQLite database.', {
      next: 'Name its folder as `data`.',
    });
  }
  const address = parseDatabaseArgument(options.to.url, options.to.caFile);
  const passphrase = await readPassphrase(config.keys.passphrase, process.env, (question) =>
    io.askSecret(question),
  );
  const keys = await openKeys(config, passphrase);
  io.note('Copying…');
  const log = logOf({ origin: config.log.origin, logSigner: logSignerOf(keys.log) });
  const { size, root } = await copyToPostgres({ folder, address, ...log });
  const hex = root.toString('hex');
  return {
    value: { size: String(size), root: hex },
    lines: [
      `Copied. The log has ${size} entries in both, and the same root:`,
      `  ${hex}`,
      '',
      'Next: give the role of the broker its rights, and name it as `database` in the configuration: docs/operations/postgresql.md.',
      'The SQLite database is as it was. Never start a broker on it again: it would write a second history.',
    ],
  };
}
