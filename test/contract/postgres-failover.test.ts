import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { createLogAppender, emptyLogHead, parseCheckpoint } from '../../src/accounting/index.ts';
import {
  findStanding,
  keepCheckpoint,
  refuseRollback,
  type CheckpointKeep,
  type Store,
} from '../../src/broker/index.ts';
import { systemRandom } from '../../src/kernel/index.ts';
import { createPostgresDatabase, openPostgresStore } from '../../src/store/index.ts';
import { describeWithPeers } from '../support/peers.ts';
import { addressOf, grants, owner, startPostgres, type PostgresServer } from '../support/postgres.ts';
import { codeOf, entries, newLogSigner, origin } from './store-fixture.ts';

const signer = newLogSigner();
const appender = createLogAppender({ signer, origin, random: systemRandom });
const emptyHead = emptyLogHead(origin);

describeWithPeers(['postgres', 'psql'], 'a replica that was behind and took over', () => {
  let server: PostgresServer;
  let count = 0;
  let database: string;
  let store: Store;
  beforeAll(async () => {
    server = await startPostgres();
  });
  afterAll(() => server.close());
  beforeEach(async () => {
    database = `one_${(count += 1)}`;
    server.sql('postgres', `CREATE DATABASE ${database} OWNER ${owner}`);
    await createPostgresDatabase({ address: addressOf(server, database, owner), appender, emptyHead });
    server.sql(database, grants());
    store = await open();
    return () => store.close();
  });

  const open = (): Promise<Store> =>
    openPostgresStore({ address: addressOf(server, database), appender, emptyHead });
  const cut = (): string =>
    server.sql(
      'postgres',
      `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '${database}' AND pid <> pg_backend_pid()`,
    );
  const copy = (): void => {
    cut();
    server.sql('postgres', `CREATE DATABASE ${database}_replica TEMPLATE ${database}`);
  };
  const failOver = (): void => {
    cut();
    server.sql('postgres', `ALTER DATABASE ${database} RENAME TO ${database}_lost`);
    server.sql('postgres', `ALTER DATABASE ${database}_replica RENAME TO ${database}`);
  };
  /** Connections that were cut are found out one by one. */
  const head = async (): Promise<bigint> => {
    for (;;) {
      try {
        return (await store.logHead()).size;
      } catch {
        // The next one.
      }
    }
  };
  const inMemory = (): CheckpointKeep => {
    let kept: string | undefined;
    return { name: 'memory', read: () => kept, write: (note) => (kept = note) };
  };

  it('never replaces what was kept of the log, and the next start refuses it', async () => {
    const parts = { store, logSigner: signer, checkpointKeep: inMemory() };
    await refuseRollback(parts);
    await store.commit({ entries: entries(5) });
    copy();
    await head();
    await store.commit({ entries: entries(7) });
    await keepCheckpoint(parts);
    failOver();
    expect(await head()).toBe(5n);
    expect(await codeOf(keepCheckpoint(parts))).toBe('accounting.rolled_back');
    expect(parseCheckpoint(parts.checkpointKeep.read() ?? '').size).toBe(12n);
    expect((await findStanding(parts)).state).toBe('rolled_back');
  });

  it('is refused by a broker that knows better, also once it has outgrown what that broker knows', async () => {
    await store.commit({ entries: entries(5) });
    copy();
    await head();
    await store.commit({ entries: entries(7) });
    failOver();
    await head();
    expect(await codeOf(store.commit({ entries: entries(1) }))).toBe('store.damaged');
    const other = await open();
    await other.commit({ entries: entries(20) });
    expect(await codeOf(store.commit({ entries: entries(1) }))).toBe('store.damaged');
    expect(await codeOf(store.commit({ entries: [] }))).toBe('store.damaged');
    await other.close();
  });

  it('is refused also by one that only saw what others appended', async () => {
    await store.commit({ entries: entries(5) });
    copy();
    await head();
    const other = await open();
    await other.commit({ entries: entries(7) });
    await store.commit({ entries: [] });
    await other.close();
    failOver();
    await head();
    const third = await open();
    await third.commit({ entries: entries(20) });
    await third.close();
    expect(await codeOf(store.commit({ entries: entries(1) }))).toBe('store.damaged');
  });
});
