import type { SharedMemory } from '../../broker/index.ts';
import type { ThrottleRow } from '../../identity/index.ts';
import { timeBounds, type Connections, type Run } from './connections.ts';
import { createLeases } from './departures.ts';
import { asCoded } from './faults.ts';
import { Gathered } from './gathered.ts';
import { createQuotaMemory } from './hourly-quota.ts';
import { big, blob } from '../rows.ts';

const dbSecond = 'floor(extract(epoch from clock_timestamp()))::bigint';
/** Brokers' clocks may be that far behind the database's. */
const marginSeconds = 120;

/** What the brokers on this database remember together. */
export function createSharedMemory(connections: Connections): SharedMemory {
  const proofs = new Gathered((asked: readonly Proof[]) => recordProofs(connections.ask, asked));
  return {
    ...createLeases(connections.ask),
    ...createQuotaMemory(connections.ask),
    recordProof: (proof) => proofs.ask(proof),
    async changeThrottle(keys, work) {
      const session = await connections.begin().catch((error: unknown) => {
        throw asCoded(error, 'The database did not answer');
      });
      let isOver = false;
      try {
        const { run } = session;
        // Always in the same order: nobody waits for one while holding what the other waits for.
        const sorted = [...keys].sort();
        const [, , { rows: found }] = await Promise.all([
          run(`BEGIN; ${timeBounds}`),
          // Also for rows that are not there yet, which cannot be locked.
          run('SELECT pg_advisory_xact_lock(lock) FROM unnest($1::bigint[]) AS lock', [sorted.map(lockOf)]),
          run('SELECT key, state FROM throttle WHERE key = ANY($1)', [sorted]),
        ]);
        const stored = found.map(
          (row) => [row['key'] as string, JSON.parse(row['state'] as string) as ThrottleRow] as const,
        );
        const { rows, result } = work(new Map(stored));
        const [, ended] = await Promise.all([
          run(
            `INSERT INTO throttle SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[])
             ON CONFLICT (key) DO UPDATE SET state = excluded.state, forget_ms = excluded.forget_ms`,
            [
              rows.map(({ key }) => key),
              rows.map((row) => JSON.stringify(row)),
              rows.map(({ forgetMs }) => forgetMs),
            ],
          ),
          run('COMMIT'),
        ]);
        if (ended.command !== 'COMMIT') throw new Error('the transaction was taken back');
        isOver = true;
        return result;
      } catch (error) {
        throw asCoded(error, 'The database did not answer');
      } finally {
        session.release(isOver);
      }
    },
  };
}

/** A throttle key ends in a hash; its beginning is as good as any number. */
function lockOf(key: string): bigint {
  const hex = key.slice(key.indexOf(':') + 1, key.indexOf(':') + 17);
  return BigInt.asIntN(64, BigInt(`0x${hex}`));
}

type Proof = Parameters<SharedMemory['recordProof']>[0];
type Recorded = Awaited<ReturnType<SharedMemory['recordProof']>>;

/** Records first, then looks how far the memory reaches: a crash of the server in between has emptied both. */
async function recordProofs(ask: Run, asked: readonly Proof[]): Promise<readonly Recorded[]> {
  try {
    const inserted = await ask(
      'INSERT INTO used_proof SELECT * FROM unnest($1::bytea[], $2::bigint[]) ON CONFLICT DO NOTHING RETURNING name',
      [asked.map(({ name }) => name), asked.map(({ untilSecond }) => untilSecond)],
    );
    const born = await bornSecond(ask);
    const fresh = new Set(inserted.rows.map((row) => blob(row, 'name').toString('latin1')));
    return asked.map(({ name, madeSecond }) => {
      // Deleted as it is answered: the second of two that came together is used.
      if (!fresh.delete(name.toString('latin1'))) return 'used';
      return madeSecond < born ? 'forgotten' : 'new';
    });
  } catch (error) {
    throw asCoded(error, 'The database did not answer');
  }
}

/** From the next second on: one that was used in this one may be forgotten. */
export async function beginProofMemory(ask: Run): Promise<void> {
  await ask(`INSERT INTO proof_memory VALUES (1, ${dbSecond} + 1) ON CONFLICT DO NOTHING`);
}

/** Since when the memory is whole. */
async function bornSecond(ask: Run): Promise<number> {
  const sql = 'SELECT born_s FROM proof_memory';
  const known = (await ask(sql)).rows[0];
  if (known !== undefined) return Number(big(known, 'born_s'));
  await beginProofMemory(ask);
  const [row] = (await ask(sql)).rows;
  if (row === undefined) throw new Error('the memory of used proofs went away');
  return Number(big(row, 'born_s'));
}

/** Forgets proofs that could no longer be used anyway. */
export async function forgetOldProofs(ask: Run): Promise<void> {
  await ask(`DELETE FROM used_proof WHERE until_s < ${dbSecond} - ${marginSeconds}`);
}
