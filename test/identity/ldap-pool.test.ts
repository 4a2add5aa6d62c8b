import { describe, expect, it } from 'vitest';
import { ServerFault } from '../../src/identity/ldap/connection.ts';
import { ConnectionPool, QueueFull } from '../../src/identity/ldap/pool.ts';

class FakeConnection {
  alive = true;
  closed = 0;
  close(): void {
    this.alive = false;
    this.closed += 1;
  }
}

function poolOf(more: { maxConnections?: number; maxWaiting?: number; maxWaitMs?: number } = {}): {
  readonly pool: ConnectionPool<FakeConnection>;
  readonly opened: FakeConnection[];
} {
  const opened: FakeConnection[] = [];
  const pool = new ConnectionPool({
    open: () => {
      const connection = new FakeConnection();
      opened.push(connection);
      return Promise.resolve(connection);
    },
    maxConnections: 2,
    maxWaiting: 4,
    maxWaitMs: 5_000,
    ...more,
  });
  return { pool, opened };
}

/** A promise that is settled from outside. */
const gate = (): PromiseWithResolvers<void> => Promise.withResolvers<void>();

describe('a pool of connections', () => {
  it('opens one and uses it again', async () => {
    const { pool, opened } = poolOf();
    const used = [
      await pool.use((connection) => Promise.resolve(connection)),
      await pool.use((connection) => Promise.resolve(connection)),
    ];
    expect(opened).toHaveLength(1);
    expect(used[0]).toBe(used[1]);
    pool.clear('end');
    expect(opened[0]?.closed).toBe(1);
  });

  it('lends a connection to one at a time, and never opens more than it may', async () => {
    const { pool, opened } = poolOf();
    const busy = new Set<FakeConnection>();
    await Promise.all(
      Array.from({ length: 6 }, () =>
        pool.use(async (connection) => {
          expect(busy.has(connection)).toBe(false);
          busy.add(connection);
          await Promise.resolve();
          busy.delete(connection);
        }),
      ),
    );
    expect(opened).toHaveLength(2);
    pool.clear('end');
  });

  it('turns away whoever finds the queue full or waits too long', async () => {
    const { pool } = poolOf({ maxConnections: 1, maxWaiting: 1, maxWaitMs: 20 });
    const held = gate();
    const first = pool.use(() => held.promise);
    const second = pool.use(() => Promise.resolve());
    await expect(pool.use(() => Promise.resolve())).rejects.toBeInstanceOf(QueueFull);
    await expect(second).rejects.toBeInstanceOf(QueueFull);
    held.resolve();
    await first;
    await expect(pool.use(() => Promise.resolve('free again'))).resolves.toBe('free again');
    pool.clear('end');
  });

  it('repeats once on a new connection what failed on a stale one', async () => {
    const { pool, opened } = poolOf();
    await pool.use(() => Promise.resolve());
    const answer = await pool.use((connection) => {
      if (connection !== opened[0]) return Promise.resolve('fresh');
      connection.alive = false;
      return Promise.reject(new ServerFault('gone', true));
    });
    expect(answer).toBe('fresh');
    let attempts = 0;
    const failing = pool.use(() => {
      attempts += 1;
      return Promise.reject(new ServerFault('gone', true));
    });
    await expect(failing).rejects.toBeInstanceOf(ServerFault);
    expect(attempts).toBe(2);
    pool.clear('end');
  });

  it('does not repeat a request that timed out or was answered', async () => {
    const { pool } = poolOf();
    let attempts = 0;
    for (const error of [new ServerFault('silent', false), new Error('answered')]) {
      const failing = pool.use(() => {
        attempts += 1;
        return Promise.reject(error);
      });
      await expect(failing).rejects.toBe(error);
    }
    expect(attempts).toBe(2);
    pool.clear('end');
  });

  it('turns the queue away and keeps nothing from before when it is cleared', async () => {
    const { pool, opened } = poolOf({ maxConnections: 1 });
    const [held, lent] = [gate(), gate()];
    const first = pool.use(() => {
      lent.resolve();
      return held.promise;
    });
    const waiting = pool.use(() => Promise.resolve());
    await lent.promise;
    pool.clear('the server is down');
    await expect(waiting).rejects.toBeInstanceOf(ServerFault);
    held.resolve();
    await first;
    expect(opened[0]?.alive).toBe(false);
    await pool.use(() => Promise.resolve());
    expect(opened).toHaveLength(2);
    pool.clear('end');
  });

  it('gives the place back when a connection cannot be opened', async () => {
    let fail = true;
    const pool = new ConnectionPool<FakeConnection>({
      open: () =>
        fail ? Promise.reject(new ServerFault('refused', false)) : Promise.resolve(new FakeConnection()),
      maxConnections: 1,
      maxWaiting: 0,
      maxWaitMs: 100,
    });
    await expect(pool.use(() => Promise.resolve())).rejects.toBeInstanceOf(ServerFault);
    fail = false;
    await expect(pool.use(() => Promise.resolve('open'))).resolves.toBe('open');
    pool.clear('end');
  });
});
