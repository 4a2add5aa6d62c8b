import type { Change, Credential, SerialBlock } from '../../broker/index.ts';
import type { Serial } from '../../kernel/index.ts';
import { releasedSerials } from '../released-serials.ts';
import { gaps } from '../serial-gaps.ts';
import type { Send } from './apply-change.ts';
import type { Run } from './connections.ts';
import { conflict } from './faults.ts';
import { big, type Row } from '../rows.ts';

/** So long without a sign of life, and a broker counts as dead: what it reserved is declared void, by whoever notices first. */
const leaseSeconds = 60;
/** Time of the database, of the beginning of the transaction: the same in each of its statements. */
export const isLive = `seen_at > now() - interval '${leaseSeconds} seconds'`;
const isOwnerless = `NOT EXISTS (SELECT 1 FROM broker_lease l WHERE l.owner = b.owner AND l.${isLive})`;

/** A sign of life. Once the lease has ended a new one begins, but the blocks are gone: what lay in them cannot be released. */
export async function renewLease(run: Run, owner: string): Promise<void> {
  await run(
    'INSERT INTO broker_lease VALUES ($1, now()) ON CONFLICT (owner) DO UPDATE SET seen_at = excluded.seen_at',
    [owner],
  );
}

/** The last sign: what the owner still holds is abandoned from now on. */
export async function endLease(run: Run, owner: string): Promise<void> {
  await run('DELETE FROM broker_lease WHERE owner = $1', [owner]);
}

/** Within the transaction that is open. */
export async function reserve(
  run: Run,
  owner: string,
  { caFingerprint, count }: { readonly caFingerprint: string; readonly count: number },
): Promise<SerialBlock> {
  const [, { rows }] = await Promise.all([
    renewLease(run, owner),
    run(
      `WITH moved AS (
         INSERT INTO ca (fingerprint, next_serial) VALUES ($1, 1 + $2::bigint)
         ON CONFLICT (fingerprint) DO UPDATE SET next_serial = ca.next_serial + $2 RETURNING id, next_serial
       )
       INSERT INTO serial_block SELECT id, next_serial - $2, next_serial - 1, $3 FROM moved RETURNING first, last`,
      [caFingerprint, count, owner],
    ),
  ]);
  const row = rows[0] as Row;
  return { caFingerprint, first: big(row, 'first') as Serial, last: big(row, 'last') as Serial };
}

/**
 * Blocks of brokers that are gone, each narrowed to the serials that were never released.
 * @param lock within a transaction that will settle them: no broker may come back to life before it is over
 */
export async function abandonedBlocks(run: Run, lock: boolean): Promise<readonly SerialBlock[]> {
  if (lock) await run(`SELECT 1 FROM broker_lease WHERE NOT ${isLive} FOR UPDATE`);
  const { rows } = await run(
    `SELECT b.first, b.last, ca.fingerprint,
       ARRAY(SELECT serial FROM ${releasedSerials} c WHERE c.ca_id = b.ca_id AND c.serial BETWEEN b.first AND b.last ORDER BY serial)::text[] AS taken
     FROM serial_block b JOIN ca ON ca.id = b.ca_id WHERE ${isOwnerless} ORDER BY b.ca_id, b.first`,
  );
  return rows.flatMap((row) => {
    const caFingerprint = row['fingerprint'] as string;
    const taken = (row['taken'] as readonly string[]).map(BigInt);
    return gaps(big(row, 'first'), big(row, 'last'), taken).map(([first, last]) => ({
      caFingerprint,
      first: first as Serial,
      last: last as Serial,
    }));
  });
}

/** Only in a block of this broker: one that only slept must not release what others have declared void. */
export function insertCredential(send: Send, owner: string, credential: Credential): void {
  send(
    `INSERT INTO credential (ca_id, serial, key_id, person_id, login, profile, key_type, key_fp, principals, folded_principals,
       valid_after, valid_before, issued_ms)
     SELECT ca.id, $2::bigint, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13
     FROM ca WHERE fingerprint = $1 AND EXISTS (
       SELECT 1 FROM serial_block b WHERE b.ca_id = ca.id AND b.owner = $14 AND b.first <= $2 AND b.last >= $2
     )`,
    [
      credential.caFingerprint,
      credential.serial,
      credential.keyId,
      credential.personId,
      credential.login,
      credential.profile,
      credential.keyType,
      credential.keyFingerprint,
      credential.principals,
      [...new Set(credential.principals.map((name) => name.toLowerCase()))],
      credential.validAfter,
      credential.validBefore,
      credential.issuedMs,
      owner,
    ],
    ({ count }) => {
      if (count === 0) throw lost(credential);
    },
  );
}

export function applySerials(send: Send, owner: string, change: Change): void {
  for (const block of change.returnedSerials ?? []) {
    // Whoever reserves waits for the row of the CA, so that nobody reserves in between.
    send(
      `WITH returned AS (
         UPDATE ca SET next_serial = $2::bigint WHERE fingerprint = $1 AND next_serial = $3::bigint + 1 AND EXISTS (
           SELECT 1 FROM serial_block b WHERE b.ca_id = ca.id AND b.owner = $4 AND b.first <= $2 AND b.last >= $3
         ) RETURNING id
       ), ${takeOut('b.ca_id IN (SELECT id FROM returned)')}`,
      [block.caFingerprint, block.first, block.last, owner],
    );
  }
  for (const block of change.voidedSerials ?? []) {
    send(
      `SELECT EXISTS (
         SELECT 1 FROM serial_block b JOIN ca ON ca.id = b.ca_id
         WHERE ca.fingerprint = $1 AND b.owner = $4 AND b.first <= $2 AND b.last >= $3
       ) AND NOT EXISTS (
         SELECT 1 FROM ${releasedSerials} c JOIN ca ON ca.id = c.ca_id WHERE ca.fingerprint = $1 AND c.serial BETWEEN $2 AND $3
       ) AS held`,
      [block.caFingerprint, block.first, block.last, owner],
      ({ rows }) => {
        if (rows[0]?.['held'] !== true) throw lost({ ...block, serial: block.first });
      },
    );
  }
  if (change.settleAbandoned === true) {
    send(`DELETE FROM serial_block b WHERE ${isOwnerless}`, []);
    send(`DELETE FROM broker_lease WHERE NOT ${isLive}`, []);
  }
  for (const block of [...(change.voidedSerials ?? []), ...(change.settledSerials ?? [])])
    send(`WITH ${takeOut('TRUE')}`, [block.caFingerprint, block.first, block.last]);
}

/** Takes $2..$3 out of the blocks of CA $1; what is left of a block on either side stays. */
function takeOut(condition: string): string {
  return `gone AS (
      DELETE FROM serial_block b USING ca
      WHERE ca.id = b.ca_id AND ca.fingerprint = $1 AND b.first <= $3::bigint AND b.last >= $2::bigint AND ${condition} RETURNING b.*
    )
    INSERT INTO serial_block
    SELECT ca_id, first, $2::bigint - 1, owner FROM gone WHERE first < $2::bigint
    UNION ALL SELECT ca_id, $3::bigint + 1, last, owner FROM gone WHERE last > $3::bigint`;
}

function lost({ caFingerprint, serial }: Pick<Credential, 'caFingerprint' | 'serial'>): Error {
  return conflict(`Serial ${serial} of ${caFingerprint} is not this broker’s to use.`);
}
