/** Where a PostgreSQL database is, and who asks. */
export interface PostgresAddress {
  /** Name or address; a path is the folder of a Unix socket. */
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  /** Undefined: what the environment says (PGPASSWORD, the password file of libpq), or none. */
  readonly password?: string;
  /** `none` speaks in the clear. `ca`: PEM of who may vouch for the server, instead of those that Node trusts. */
  readonly tls: 'none' | { readonly ca?: string };
}

/** For messages: everything but the password. */
export function describeAddress({ host, port, database, user }: PostgresAddress): string {
  return `${user}@${host}:${port}/${database}`;
}
