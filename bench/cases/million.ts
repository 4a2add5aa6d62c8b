import { setTimeout as delay } from 'node:timers/promises';
import type { BrokerFolder } from '../../test/support/broker.ts';
import { startServe } from '../broker-load.ts';
import type { BenchCase, BenchContext } from '../case.ts';
import { copiedFolder, databaseBytes, filledFolder, removeFilled } from '../million/estate.ts';
import { growthRows } from '../million/growth.ts';
import { timeSearches } from '../million/searches.ts';
import type { Timed } from '../million/searches.ts';
import { verifyRows } from '../million/verify.ts';
import type { Row } from '../report.ts';
import { startDurablePostgres } from '../stores.ts';

const few = 1000;

type Closing = (() => void | Promise<void>)[];

/** A broker after years: issuance, memory, disk, verification and searches with a million certificates stored. */
export const millionCase: BenchCase = {
  name: 'million',
  async run(context) {
    const closing: Closing = [];
    try {
      return await rowsOf(context, closing);
    } finally {
      for (const close of closing.reverse()) await close();
    }
  },
};

async function rowsOf(context: BenchContext, closing: Closing): Promise<Row[]> {
  const { quick, folder, progress, note } = context;
  const count = quick ? 50_000 : 1_000_000;
  const made = async (certificates: number): Promise<BrokerFolder> => {
    const filled = await filledFolder(certificates);
    closing.push(() => removeFilled(filled));
    return filled;
  };
  const start = performance.now();
  const elapsed = (): string => `${((performance.now() - start) / 1000).toFixed(0)} s`;
  progress(`filling SQLite with ${few} and with ${count} certificates`);
  const small = await made(few);
  const large = await made(count);
  const bytes = databaseBytes(large);
  note(`${count} certificates were put into SQLite, one change each, and indexed in ${elapsed()}.`);
  const server = await startDurablePostgres(note);
  if (server !== undefined) closing.push(() => server.close());
  progress('copying them to PostgreSQL');
  const onServer = server && (await copiedFolder(large, server));
  if (onServer !== undefined) closing.push(() => removeFilled(onServer));

  const rows = await onSqlite(context, small, large, { count, folder });
  rows.push(bytesRow('SQLite', bytes, count));
  if (server === undefined || onServer === undefined) return rows;
  progress('searching on PostgreSQL');
  const broker = await startServe(onServer);
  try {
    rows.push(searchRow('PostgreSQL', await timeSearches(onServer, count), count));
  } finally {
    await broker.stop();
  }
  const size = 'SELECT max(pg_database_size(oid)) FROM pg_database';
  rows.push(bytesRow('PostgreSQL', Number(server.sql('postgres', size)), count));
  return rows;
}

async function onSqlite(
  context: BenchContext,
  small: BrokerFolder,
  large: BrokerFolder,
  { count, folder }: { readonly count: number; readonly folder: string },
): Promise<Row[]> {
  const [idle, busy] = [await startServe(small), await startServe(large)];
  try {
    // Memory at rest is that of a broker that has finished starting.
    await delay(3000);
    const rows = await growthRows(
      context,
      { made: small, server: idle, certificates: few },
      { made: large, server: busy, certificates: count },
    );
    context.progress('searching on SQLite');
    rows.push(searchRow('SQLite', await timeSearches(large, count), count));
    context.progress('exporting and verifying the log');
    rows.push(...(await verifyRows(large, folder)));
    return rows;
  } finally {
    await Promise.all([idle.stop(), busy.stop()]);
  }
}

function searchRow(where: string, timed: readonly Timed[], count: number): Row {
  const [slowest] = timed;
  const all = timed.map(({ question, seconds }) => `${question} ${(seconds * 1000).toFixed(0)} ms`);
  return {
    target: 20,
    name: `slowest search among ${count} certificates, ${where}, seconds`,
    value: slowest?.seconds ?? NaN,
    good: 'at most',
    gate: 1,
    detail: `over HTTPS, up to 100 answers: ${all.join(', ')}`,
  };
}

function bytesRow(where: string, bytes: number, count: number): Row {
  return {
    target: 19,
    name: `database bytes per credential, ${where}`,
    value: bytes / count,
    good: 'at most',
    detail: `${(bytes / 1e6).toFixed(0)} MB: row, entry, openings, tree, and what is searched by`,
  };
}
