import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createLogAppender, emptyLogHead } from '../../src/accounting/index.ts';
import type { SharedMemory, Store } from '../../src/broker/index.ts';
import { createSharedThrottle } from '../../src/identity/index.ts';
import { systemRandom } from '../../src/kernel/index.ts';
import { createPostgresDatabase, openPostgresStore } from '../../src/store/index.ts';
import {
  ca,
  codeOf,
  credential,
  entry,
  merkleTreeHash,
  newLogSigner,
  origin,
  seen,
  start,
} from '../contract/store-fixture.ts';
import { freePort } from '../support/free-port.ts';
import { describeWithPeers, findPeer } from '../support/peers.ts';
import {
  addressOf,
  asPostgres,
  broker,
  doneWith,
  grants,
  newDatabase,
  owner,
  sharedPostgres,
} from '../support/postgres.ts';
import { untilListening } from '../support/slapd.ts';

// Fewer connections to the server than the brokers have to the pooler: what outlives a transaction shows.
const poolSize = 2;

describeWithPeers(
  ['postgres', 'psql', 'pgbouncer'],
  'two brokers through PgBouncer in transaction mode',
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'sallyport-pgbouncer-'));
    let pooler: ChildProcess;
    let database: string;
    let stores: readonly Store[] = [];
    beforeAll(async () => {
      const server = await sharedPostgres();
      database = newDatabase(server);
      const signer = newLogSigner();
      const appender = createLogAppender({ signer, origin, random: systemRandom });
      const emptyHead = emptyLogHead(origin);
      await createPostgresDatabase({ address: addressOf(server, database, owner), appender, emptyHead });
      server.sql(database, grants());
      const port = await freePort();
      chmodSync(folder, 0o755);
      writeFileSync(join(folder, 'users'), `"${broker}" ""\n`);
      writeFileSync(
        join(folder, 'pgbouncer.ini'),
        `[databases]\n* = host=127.0.0.1 port=${server.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = ${port}
unix_socket_dir =\nauth_type = trust\nauth_file = ${join(folder, 'users')}\npool_mode = transaction\ndefault_pool_size = ${poolSize}\n`,
      );
      const command = [
        ...asPostgres(),
        findPeer('pgbouncer') ?? 'pgbouncer',
        '-q',
        join(folder, 'pgbouncer.ini'),
      ];
      pooler = spawn(command[0] ?? '', command.slice(1), { stdio: 'ignore' });
      await untilListening('127.0.0.1', port, pooler);
      const open = (): Promise<Store> =>
        openPostgresStore({ address: addressOf({ port }, database), appender, emptyHead });
      stores = [await open(), await open()];
    });
    afterAll(async () => {
      for (const store of stores) await store.close();
      const gone = once(pooler, 'exit');
      pooler.kill('SIGTERM');
      await gone;
      doneWith(database);
      rmSync(folder, { recursive: true, force: true });
    });

    it('keep one tree, dense serials, guards and searches', async () => {
      const work = Array.from({ length: 60 }, async (_, at) => {
        const store = stores[at % 2] as Store;
        const { first } = await store.reserveSerials(ca, 1);
        await store.commit({
          seenPerson: seen(),
          credential: credential({ serial: first }),
          entries: [entry()],
        });
        await store.person(credential().personId);
        return first;
      });
      const serials = (await Promise.all(work)).map(Number).sort((a, b) => a - b);
      expect(serials).toEqual(serials.map((_, at) => at + 1));
      const counted = Array.from({ length: 20 }, (_, at) =>
        (stores[at % 2] as Store).transact(async (reads) => {
          const count = Number((await reads.person(credential().personId))?.login.replace('anna', '0'));
          return {
            change: { seenPerson: seen(undefined, String(count + 1)), entries: [entry()] },
            result: count,
          };
        }),
      );
      expect((await Promise.all(counted)).sort((a, b) => a - b)).toEqual(counted.map((_, at) => at));
      const [first, second] = stores as [Store, Store];
      const conflict = { guard: { sessionHash: Buffer.alloc(32) }, entries: [entry()] };
      expect(await codeOf(second.commit(conflict))).toBe('store.conflict');
      expect(await first.searchLog({ type: 'log.heartbeat', limit: 100 })).toHaveLength(80);
      const leaves: Buffer[] = [];
      for await (const { bytes } of second.logEntries(0n, 1000n)) leaves.push(bytes);
      const { size, root } = await first.logHead();
      expect([Number(size), merkleTreeHash(leaves).equals(root)]).toEqual([80, true]);
    });

    it('share their throttle and used proofs', async () => {
      const shared = stores.flatMap((store) => store.shared ?? []) as [SharedMemory, SharedMemory];
      const proof = {
        name: Buffer.alloc(17, 7),
        madeSecond: Math.ceil(Date.now() / 1000) + 2,
        untilSecond: Math.ceil(Date.now() / 1000) + 60,
      };
      const recorded = await Promise.all([...shared, ...shared].map((memory) => memory.recordProof(proof)));
      expect(recorded.filter((outcome) => outcome === 'new')).toHaveLength(1);
      expect(recorded.filter((outcome) => outcome === 'used')).toHaveLength(3);
      const throttles = shared.map((table) => createSharedThrottle({ clock: { nowMs: () => start }, table }));
      const attempt = { login: 'anna', address: '192.0.2.1' };
      const attempts = [...throttles, ...throttles, ...throttles, ...throttles];
      const outcomes = await Promise.all(attempts.map((throttle) => throttle.admit(attempt)));
      expect(outcomes.filter((admission) => admission.outcome === 'admitted')).toHaveLength(3);
    });
  },
);
