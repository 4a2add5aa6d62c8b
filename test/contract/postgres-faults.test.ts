import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import tls from 'node:tls';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { createLogAppender, emptyLogHead, verifierKey } from '../../src/accounting/index.ts';
import type { Store } from '../../src/broker/index.ts';
import { systemRandom } from '../../src/kernel/index.ts';
import { createPostgresDatabase, openPostgresStore } from '../../src/store/index.ts';
import { indexLock } from '../../src/store/postgres/log-search.ts';
import { openedBy } from '../accounting/log-fixture.ts';
import { describeWithPeers } from '../support/peers.ts';
import { addressOf, doneWith, grants, newDatabase, owner, startPostgres } from '../support/postgres.ts';
import type { PostgresServer } from '../support/postgres.ts';
import {
  ca,
  codeOf,
  credential,
  entry,
  merkleTreeHash,
  newLogSigner,
  origin,
  serial,
} from './store-fixture.ts';

const signer = newLogSigner();
const appender = createLogAppender({ signer, origin, random: systemRandom });
const emptyHead = emptyLogHead(origin);

/** A way to the server that can be cut. */
interface Way {
  readonly port: number;
  /** Passes on what it gets next that holds these words, and then nothing: the answer is lost. */
  cutAfter(words: string): void;
  /** Closes every connection when it gets these words, which are not passed on. */
  cutBefore(words: string): void;
  /** Nothing gets through any more, in either direction, and nobody is told. */
  silence(): void;
  restore(): void;
  close(): void;
}

async function wayTo(port: number): Promise<Way> {
  let rule: { readonly when: 'before' | 'after'; readonly words: string } | undefined;
  let isSilent = false;
  const open = new Set<Socket>();
  const listener = createServer((near) => {
    const far = connect(port, '127.0.0.1');
    for (const socket of [near, far]) {
      open.add(socket);
      socket
        .on('error', () => undefined)
        .on('close', () => {
          open.delete(socket);
          near.destroy();
          far.destroy();
        });
    }
    let isCut = false;
    near.on('data', (bytes: Buffer) => {
      if (isSilent) return;
      if (rule !== undefined && bytes.includes(rule.words)) {
        const { when } = rule;
        rule = undefined;
        if (when === 'before') return void near.destroy();
        isCut = true;
        // The server has it, and answers into the void.
        far.write(bytes, () => setTimeout(() => near.destroy(), 20));
        return;
      }
      far.write(bytes);
    });
    far.on('data', (bytes: Buffer) => {
      if (!isCut && !isSilent) near.write(bytes);
    });
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  return {
    port: (listener.address() as AddressInfo).port,
    cutAfter: (words) => (rule = { when: 'after', words }),
    cutBefore: (words) => (rule = { when: 'before', words }),
    silence: () => (isSilent = true),
    restore: () => (isSilent = false),
    close() {
      listener.close();
      for (const socket of open) socket.destroy();
    },
  };
}

describeWithPeers(['postgres', 'psql'], 'the store on a PostgreSQL that fails', () => {
  let server: PostgresServer;
  let database: string;
  let way: Way;
  let store: Store;
  const stores: Store[] = [];
  const open = async (port = server.port): Promise<Store> => {
    const opened = await openPostgresStore({ address: addressOf({ port }, database), appender, emptyHead });
    stores.push(opened);
    return opened;
  };
  beforeAll(async () => {
    server = await startPostgres();
  });
  afterAll(() => server.close());
  beforeEach(async () => {
    database = newDatabase(server);
    await createPostgresDatabase({ address: addressOf(server, database, owner), appender, emptyHead });
    server.sql(database, grants());
    way = await wayTo(server.port);
    store = await open(way.port);
  });
  afterEach(async () => {
    await Promise.all(stores.splice(0).map((one) => one.close()));
    way.close();
    doneWith(database);
  });

  const leaves = async (from: Store): Promise<Buffer[]> => {
    const found: Buffer[] = [];
    for await (const { bytes } of from.logEntries(0n, 1n << 62n)) found.push(bytes);
    return found;
  };
  /** That the log holds together, and has this many entries. */
  const expectWholeLog = async (from: Store, entries: number): Promise<void> => {
    const found = await leaves(from);
    const { size, root, checkpoint } = await from.logHead();
    expect([size, found.length]).toEqual([BigInt(entries), entries]);
    expect(merkleTreeHash(found).equals(root)).toBe(true);
    expect(openedBy(verifierKey(origin, signer.publicKey), checkpoint)).toEqual({ origin, size, root });
  };

  it('makes one tree out of the commits of two brokers', async () => {
    const other = await open();
    const done = await Promise.all(
      Array.from({ length: 400 }, (_, at) => (at % 2 === 0 ? store : other).commit({ entries: [entry()] })),
    );
    const indexes = done.map(({ firstIndex }) => Number(firstIndex)).sort((a, b) => a - b);
    expect(indexes).toEqual(indexes.map((_, at) => at));
    await expectWholeLog(other, 400);
  });

  it('gives two brokers serials without a hole and never the same', async () => {
    const other = await open();
    const blocks = await Promise.all(
      Array.from({ length: 60 }, (_, at) => (at % 2 === 0 ? store : other).reserveSerials(ca, 1 + (at % 5))),
    );
    const given = blocks
      .flatMap(({ first, last }) =>
        Array.from({ length: Number(last - first) + 1 }, (_, at) => Number(first) + at),
      )
      .sort((a, b) => a - b);
    expect(given).toEqual(given.map((_, at) => at + 1));
  });

  it('does not let a broker release what others declared void while it slept', async () => {
    const { first } = await store.reserveSerials(ca, 4);
    const other = await open();
    server.sql(database, `UPDATE broker_lease SET seen_at = now() - interval '2 minutes'`);
    const voided = await other.transact(async (reads) => ({
      change: { settleAbandoned: true, entries: [entry()] },
      result: await reads.abandonedSerials(),
    }));
    expect(voided).toMatchObject([{ first: 1n, last: 4n }]);
    const release = { credential: credential({ serial: first }), entries: [entry()] };
    expect(await codeOf(store.commit(release))).toBe('store.conflict');
    const block = { caFingerprint: ca, first, last: first };
    expect(await codeOf(store.commit({ voidedSerials: [block], entries: [entry()] }))).toBe('store.conflict');
    await store.commit({ returnedSerials: [{ caFingerprint: ca, first, last: serial(4) }], entries: [] });
    // It lives, under a lease that began anew.
    expect((await store.reserveSerials(ca, 1)).first).toBe(5n);
    expect(await other.abandonedSerials()).toEqual([]);
  });

  it('finds what was committed when the answer to COMMIT is lost', async () => {
    way.cutAfter('COMMIT');
    const done = await Promise.all([
      store.commit({ entries: [entry()] }),
      store.commit({ entries: [entry(), entry()] }),
    ]);
    expect(done.map(({ firstIndex }) => firstIndex)).toEqual([0n, 1n]);
    await expectWholeLog(store, 3);
  });

  it('does again what was not committed when the connection went away with COMMIT', async () => {
    way.cutBefore('COMMIT');
    expect((await store.commit({ entries: [entry()] })).firstIndex).toBe(0n);
    await expectWholeLog(store, 1);
  });

  it('knows what became of a reservation whose answer was lost', async () => {
    way.cutAfter('COMMIT');
    const lost = await store.reserveSerials(ca, 3);
    way.cutBefore('COMMIT');
    const next = await store.reserveSerials(ca, 2);
    expect([lost.first, lost.last, next.first, next.last]).toEqual([1n, 3n, 4n, 5n]);
  });

  it('keeps every acknowledged entry while its connections are ended at random', async () => {
    const ending = `DO $$ BEGIN FOR round IN 1..40 LOOP
      PERFORM pg_sleep(random() * 0.1), pg_stat_clear_snapshot();
      PERFORM pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'sallyport' AND datname = '${database}';
    END LOOP; END $$`;
    const state = { over: false };
    const acknowledged: bigint[] = [];
    let failed = 0;
    const work = Array.from({ length: 6 }, async () => {
      while (!state.over) {
        try {
          acknowledged.push((await store.commit({ entries: [entry()] })).firstIndex);
        } catch {
          failed += 1;
        }
      }
    });
    await server.run(database, ending);
    state.over = true;
    await Promise.all(work);
    const { size } = await store.logHead();
    expect(acknowledged.length).toBeGreaterThan(20);
    // Each index once, and no entry that was reported as failed.
    expect(new Set(acknowledged).size).toBe(acknowledged.length);
    expect(Number(size)).toBe(acknowledged.length);
    await expectWholeLog(store, acknowledged.length);
    expect(failed).toBeLessThan(200);
  });

  it('goes on by itself when the server was killed and comes back', async () => {
    await store.commit({ entries: [entry()] });
    const { first } = await store.reserveSerials(ca, 1);
    const underWay = Array.from({ length: 50 }, () => codeOf(store.commit({ entries: [entry()] })));
    await server.kill();
    const answers = await Promise.all(underWay);
    expect(['store.unavailable', 'store.unresolved', 'done']).toEqual(
      expect.arrayContaining([...new Set(answers)]),
    );
    expect(await codeOf(store.commit({ entries: [entry()] }))).toBe('store.unavailable');
    expect(await codeOf(store.logHead())).toBe('store.unavailable');
    await server.start();
    expect(
      await codeOf(store.commit({ credential: credential({ serial: first }), entries: [entry()] })),
    ).toBe('done');
    const { size } = await store.logHead();
    const done = answers.filter((answer) => answer === 'done').length;
    expect(Number(size)).toBeGreaterThanOrEqual(2 + done);
    await expectWholeLog(store, Number(size));
  }, 120_000);

  it('says so when a server hangs, and does not hang with it', async () => {
    way.silence();
    const began = performance.now();
    expect(await codeOf(store.commit({ entries: [entry()] }))).toBe('store.unavailable');
    expect(performance.now() - began).toBeLessThan(20_000);
    way.restore();
    expect(await codeOf(store.commit({ entries: [entry()] }))).toBe('done');
    await expectWholeLog(store, 1);
  });

  it('does not claim that nothing was recorded when it cannot look', async () => {
    way.cutAfter('COMMIT');
    const answer = codeOf(store.commit({ entries: [entry()] }));
    const other = await open();
    while ((await other.logHead()).size === 0n);
    way.close();
    expect(await answer).toBe('store.unresolved');
    await expectWholeLog(other, 1);
  });

  it('refuses a database that lies before what it saw: another server was behind, and took over', async () => {
    const other = await open();
    await store.commit({ entries: [entry()] });
    const rows = server.sql(
      database,
      `SELECT 'UPDATE log_head SET size = ' || size || ', root = ''' || root || ''', frontier = ''' || frontier || ''', checkpoint = ' || quote_literal(checkpoint) FROM log_head`,
    );
    await store.commit({ entries: [entry()] });
    server.sql(
      database,
      `DROP TRIGGER log_entry_never_changes ON log_entry; DELETE FROM log_entry WHERE idx = 1; ${rows}`,
    );
    expect(await codeOf(store.commit({ entries: [entry()] }))).toBe('store.damaged');
    // Who did not see it cannot know.
    expect(await codeOf(other.commit({ entries: [entry()] }))).toBe('done');
    expect(await codeOf(store.commit({ entries: [entry()] }))).toBe('store.damaged');
  });

  it('erases words also from under a broker that is indexing them at that moment', async () => {
    await store.commit({ entries: [entry({ personal: { reason: 'a private matter' } })] });
    // What `indexNextEntries` of another broker does, stopped in the middle.
    const indexing = new Client({ ...addressOf(server, database), ssl: false });
    await indexing.connect();
    await indexing.query(
      `BEGIN; SELECT pg_advisory_xact_lock(${indexLock}); INSERT INTO log_reason VALUES (0, 'a private matter') ON CONFLICT DO NOTHING; INSERT INTO log_search VALUES (0, 0) ON CONFLICT DO NOTHING`,
    );
    const erased = store.commit({ erase: { openings: [{ index: 0n, drop: ['reason'] }] }, entries: [] });
    const waits = `SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted`;
    while (server.sql(database, waits) === '0') await delay(5);
    await indexing.query('COMMIT');
    await indexing.end();
    await erased;
    expect(server.sql(database, 'SELECT count(*) FROM log_reason')).toBe('0');
  });

  it('refuses a head that another key signed', async () => {
    const other = await open();
    await other.commit({ entries: [entry()] });
    server.sql(
      database,
      `UPDATE log_head SET checkpoint = translate(checkpoint, 'ABCDEFGHIJKLM', 'BCDEFGHIJKLMA')`,
    );
    expect(await codeOf(store.commit({ entries: [entry()] }))).toBe('store.damaged');
  });

  it.each([
    ['with the authority of its certificate', (ca: string) => ca, '127.0.0.1', 'done'],
    ['with another authority', () => tls.rootCertificates[0] ?? '', '127.0.0.1', 'store.unavailable'],
    ['under a name that is not in it', (ca: string) => ca, 'localhost', 'store.unavailable'],
  ])('is reached over TLS only %s', async (_how, ca, host, outcome) => {
    const address = { ...addressOf(server, database), host, tls: { ca: ca(server.ca) } };
    const opening = openPostgresStore({ address, appender, emptyHead });
    expect(await codeOf(opening)).toBe(outcome);
    if (outcome !== 'done') return;
    await (await opening).commit({ entries: [entry()] });
    const encrypted = `SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE datname = '${database}' AND client_port IS NOT NULL AND usename = 'sallyport' AND application_name = 'sallyport' AND ssl`;
    expect(server.sql(database, encrypted)).toBe('t');
    await (await opening).close();
  });

  it.each([
    'UPDATE log_entry SET entry = entry',
    'DELETE FROM log_entry',
    'TRUNCATE log_entry',
    'DELETE FROM log_head',
    'TRUNCATE log_opening',
    "INSERT INTO schema_version VALUES (2, 'x')",
    'DROP TABLE session',
    'ALTER TABLE log_entry DISABLE TRIGGER ALL',
    'CREATE TABLE mine (id int)',
  ])('does not let the role of a broker say %s', async (statement) => {
    await store.commit({ entries: [entry()] });
    expect(() => server.sql(database, `SET ROLE sallyport; ${statement}`)).toThrow(
      /permission denied|must be owner/,
    );
    await expectWholeLog(store, 1);
  });
});
