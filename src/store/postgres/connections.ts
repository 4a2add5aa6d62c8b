import { DatabaseError, Pool, types as columns, type CustomTypesConfig, type QueryResult } from 'pg';
import type { Row } from '../rows.ts';
import type { PostgresAddress } from './address.ts';

/** What one statement did: its rows, and how many it touched. */
export interface Answer {
  readonly rows: readonly Row[];
  readonly count: number;
  /** `COMMIT` of a transaction that failed answers `ROLLBACK`. */
  readonly command: string;
}

/** Runs one statement. Called again before the first has answered, both go out at once and are answered in turn. */
export type Run = (sql: string, values?: readonly unknown[]) => Promise<Answer>;

/** A connection for a transaction. */
export interface Session {
  readonly run: Run;
  /** What broke the connection: nobody knows what became of anything that it did not answer. */
  fault(): Error | undefined;
  /** Gives it back. Unless its transaction is over and nothing broke it, it is closed, and the server takes back what was not committed. */
  release(isOver: boolean): void;
}

const connectTimeoutMs = 5000;
/** Beyond what the server allows itself (`timeBounds`): only a server or network that hangs takes longer. */
const answerTimeoutMs = 12_000;
const readConnections = 8;

/** For the first words of a transaction: nothing in it may hang, and nobody who falls asleep in it may hold up the others. */
export const timeBounds = `SELECT set_config('statement_timeout', '10000', true),
  set_config('idle_in_transaction_session_timeout', '10000', true),
  CASE WHEN current_setting('synchronous_commit') = 'off' THEN set_config('synchronous_commit', 'on', true) END`;

/** `pg` by itself would give int8 as a text. */
const types: CustomTypesConfig = {
  getTypeParser: (oid, format) =>
    oid === columns.builtins.INT8 ? BigInt : columns.getTypeParser(oid, format),
};

/**
 * The connections of one broker: some for questions, and one for the transactions of the log, so that no number of questions
 * holds those up. Statements are unnamed, and nothing outlives a transaction: PgBouncer may hand out another connection each time.
 */
export class Connections {
  readonly #readers: Pool;
  readonly #writer: Pool;

  /** @param patience `unbounded` for work that takes as long as it takes: a new schema, a copy. */
  constructor(address: PostgresAddress, patience: 'bounded' | 'unbounded' = 'bounded') {
    const answerMs = patience === 'bounded' ? answerTimeoutMs : undefined;
    this.#readers = openPool(address, readConnections, answerMs);
    // Two: while one is stuck, whoever looks what became of it needs another.
    this.#writer = openPool(address, 2, answerMs);
  }

  /** A question outside of any transaction. */
  readonly ask: Run = async (sql, values = []) => {
    const session = await checkOut(this.#readers);
    try {
      return await session.run(sql, values);
    } finally {
      session.release(true);
    }
  };

  /** A connection for a transaction of its own, beside those of the log. */
  begin(): Promise<Session> {
    return checkOut(this.#readers);
  }

  /** The connection for the transactions of the log. */
  beginLogged(): Promise<Session> {
    return checkOut(this.#writer);
  }

  async close(): Promise<void> {
    await Promise.all([this.#readers.end(), this.#writer.end()]);
  }
}

/**
 * One statement on a connection of its own, outside of any transaction, for as long as it takes.
 * @returns whether the server warned: that is how it says that it left something alone
 */
export async function runAlone(address: PostgresAddress, sql: string): Promise<boolean> {
  const pool = openPool(address, 1, undefined);
  let warned = false;
  try {
    const client = await pool.connect();
    client.on('notice', ({ code }) => (warned ||= code !== undefined && code !== '00000'));
    try {
      await client.query(sql);
    } finally {
      client.release(true);
    }
  } finally {
    await pool.end();
  }
  return warned;
}

function openPool(address: PostgresAddress, max: number, answerMs: number | undefined): Pool {
  const { host, port, database, user, password, tls } = address;
  const pool = new Pool({
    host,
    port,
    database,
    user,
    ...(password === undefined ? {} : { password }),
    ssl:
      tls === 'none' ? false : { rejectUnauthorized: true, ...(tls.ca === undefined ? {} : { ca: tls.ca }) },
    application_name: 'sallyport',
    max,
    connectionTimeoutMillis: connectTimeoutMs,
    ...(answerMs === undefined ? {} : { query_timeout: answerMs }),
    keepAlive: true,
    allowExitOnIdle: true,
    pipeline: true,
    types,
  });
  // A connection that dies while nobody uses it is replaced when somebody does; without a listener it would end the process.
  pool.on('error', () => undefined);
  pool.on('connect', (client) => client.on('error', () => undefined));
  return pool;
}

async function checkOut(pool: Pool): Promise<Session> {
  const client = await pool.connect();
  let fault: Error | undefined;
  const run: Run = async (sql, values = []) => {
    try {
      // Without values it goes out as plain text, which may hold several statements: the last one's answer counts.
      const given: unknown =
        values.length === 0 ? await client.query(sql) : await client.query(sql, values.map(storable));
      const result = (Array.isArray(given) ? given.at(-1) : given) as QueryResult<Row>;
      return { rows: result.rows, count: result.rowCount ?? 0, command: result.command };
    } catch (error) {
      if (!isRefusal(error)) fault ??= error instanceof Error ? error : new Error(String(error));
      throw error;
    }
  };
  return { run, fault: () => fault, release: (isOver) => client.release(!isOver || fault !== undefined) };
}

/** PostgreSQL takes no NUL in a text. Nothing that is meant has one. */
function storable(value: unknown): unknown {
  if (typeof value === 'string') return value.includes('\0') ? value.replaceAll('\0', '\uFFFD') : value;
  return Array.isArray(value) ? value.map(storable) : value;
}

/** Classes of what ends the connection: lost connection, shutdown or crash, idle or too long in a transaction. */
const fatal = /^(?:08...|57P..|25P03|25P04)$/;

/** Whether the server said no to a statement, and the connection is as good as before. By the code: words come in many languages. */
export function isRefusal(error: unknown): error is DatabaseError {
  return error instanceof DatabaseError && error.code !== undefined && !fatal.test(error.code);
}
