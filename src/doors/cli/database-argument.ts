import type { DatabaseArgument } from './operator-contract.ts';
import { usage } from './report.ts';

/** A database as two options name it; undefined when neither was given. @throws CodedError `cli.usage` for an authority without a database */
export function databaseArgument(
  url: string | undefined,
  caFile: string | undefined,
): DatabaseArgument | undefined {
  if (url !== undefined) return { url, ...(caFile === undefined ? {} : { caFile }) };
  if (caFile === undefined) return undefined;
  throw usage('--database-ca needs the address of a database.', 'Name the database whose authority it is.');
}
