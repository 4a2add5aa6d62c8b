import type { EntryDraft } from '../../accounting/index.ts';
import type { BegunAnew, NewLog } from '../../broker/index.ts';
import { CodedError, type Serial } from '../../kernel/index.ts';
import { toHostCertificate } from '../host-rows.ts';
import { big, toCredential, type Row } from '../rows.ts';
import { toTlsCredential } from '../tls-columns.ts';
import { Connections, type Run } from './connections.ts';
import type { PostgresAddress } from './address.ts';
import { asCoded } from './faults.ts';
import { insertHead, sendAppended } from './log-rows.ts';
import { isLive } from './serial-blocks.ts';
import { beginProofMemory } from './shared-memory.ts';

const entriesPerAppend = 1000;
/** As long as an expired certificate stays in a list. */
const marginSeconds = 24n * 3600n;
const logTables =
  'log_entry, log_opening, log_tile_hash, log_search, log_term, log_reason, log_head, sink_position, cosigned_checkpoint';

/** The name of the log in the database. @throws CodedError `store.missing`, `store.unavailable` */
export async function storedPostgresOrigin(address: PostgresAddress): Promise<string> {
  const connections = new Connections(address);
  try {
    const { rows } = await connections.ask('SELECT origin FROM log_head WHERE id = 1');
    const origin = rows[0]?.['origin'];
    if (typeof origin === 'string') return origin;
    throw new CodedError('store.missing', 'The database has no log.', {
      next: 'Check the address of the database.',
    });
  } catch (error) {
    throw asCoded(error, 'The database cannot be read');
  } finally {
    await connections.close();
  }
}

/**
 * Ends the log that is there and begins the new one, in one transaction; as the role that owns the tables, because what keeps the log
 * append-only steps aside meanwhile. No broker may be at work on the database.
 * @param owner of the lease that whoever asks has itself
 * @throws CodedError `store.conflict`, `store.in_use`, `store.not_owner`, `store.unavailable`
 */
export async function beginPostgresAnew(address: PostgresAddress, owner: string, log: NewLog): Promise<void> {
  const connections = new Connections(address, 'unbounded');
  try {
    const session = await connections.begin();
    let isOver = false;
    try {
      await session.run('BEGIN');
      await beginAnew(session.run, owner, log);
      await session.run('COMMIT');
      isOver = true;
    } finally {
      session.release(isOver);
    }
  } catch (error) {
    throw asCoded(error, 'The database refused to begin anew');
  } finally {
    await connections.close();
  }
}

async function beginAnew(run: Run, owner: string, log: NewLog): Promise<void> {
  // Whoever would append waits from here on, and then finds another log than the one it knows.
  await run('LOCK TABLE log_head IN ACCESS EXCLUSIVE MODE');
  await refuseOthers(run, owner);
  const { rows } = await run('SELECT checkpoint FROM log_head WHERE id = 1');
  if (rows[0]?.['checkpoint'] !== log.endsAt) {
    throw new CodedError('store.conflict', 'The log in the database is not the one that was archived.', {
      next: 'Nothing was changed. Make sure that nobody else works on this database, and try again.',
    });
  }
  const began: BegunAnew = {
    revoked: await revokeAll(run, log),
    revokedHosts: await revokeHosts(run, log),
    revokedTls: await revokeTls(run, log),
    sessionsEnded: await endSessions(run, log),
    authorities: await skipSerials(run, log),
    listVersion: await skipVersions(run, log),
  };
  await run('ALTER TABLE log_entry DISABLE TRIGGER USER');
  await run(`TRUNCATE ${logTables}`);
  await run('ALTER TABLE log_entry ENABLE TRIGGER USER');
  // An old copy does not know which proofs were used since: it takes none that was made before now.
  await run('DELETE FROM proof_memory');
  await beginProofMemory(run);
  await insertHead(run, log.appender, log.emptyHead);
  let head = log.emptyHead;
  for (const drafts of inBatches(log.entries(began))) {
    const appended = log.appender.append(head, drafts);
    await Promise.all(sendAppended(run, appended));
    head = appended.head;
  }
}

async function refuseOthers(run: Run, owner: string): Promise<void> {
  const { rows } = await run(
    `SELECT pg_get_userbyid(relowner) AS owner, pg_has_role(relowner, 'USAGE') AS is_owner,
       EXISTS (SELECT 1 FROM broker_lease WHERE owner <> $1 AND ${isLive}) AS is_used
     FROM pg_class WHERE oid = 'log_entry'::regclass`,
    [owner],
  );
  const { owner: role, is_owner: isOwner, is_used: isUsed } = rows[0] as Row;
  if (isUsed === true) {
    throw new CodedError('store.in_use', 'A broker works on this database, or did less than a minute ago.', {
      next: 'Stop every broker, wait a minute, and say it again.',
    });
  }
  if (isOwner !== true) {
    throw new CodedError('store.not_owner', 'Only the role that owns the tables can begin the log anew.', {
      next: `Name ${String(role)} in the configuration’s \`database\` for this one act, and the broker’s role again afterwards.`,
    });
  }
}

async function revokeAll(run: Run, { atMs, reason }: NewLog): Promise<BegunAnew['revoked']> {
  const after = BigInt(Math.floor(atMs / 1000)) - marginSeconds;
  const { rows } = await run(
    `SELECT c.*, ca.fingerprint AS ca_fp FROM credential c JOIN ca ON ca.id = c.ca_id
     WHERE c.revoked_ms IS NULL AND c.valid_before >= $1 ORDER BY c.ca_id, c.serial`,
    [after],
  );
  await run(
    'UPDATE credential SET revoked_ms = $1, revoked_reason = $2 WHERE revoked_ms IS NULL AND valid_before >= $3',
    [atMs, reason, after],
  );
  await run('UPDATE revocation_count SET acts = acts + 1');
  return rows.map(toCredential);
}

/** Hosts stay what they are, and get new certificates. Tokens go: one that the copy takes for new may be used up. */
async function revokeHosts(run: Run, { atMs, reason }: NewLog): Promise<BegunAnew['revokedHosts']> {
  const after = BigInt(Math.floor(atMs / 1000)) - marginSeconds;
  const { rows } = await run(
    `SELECT c.*, ca.fingerprint AS ca_fp, h.host_group FROM host_certificate c JOIN ca ON ca.id = c.ca_id JOIN host h ON h.id = c.host_id
     WHERE c.revoked_ms IS NULL AND c.valid_before >= $1 ORDER BY c.ca_id, c.serial`,
    [after],
  );
  await run('UPDATE host_certificate SET revoked_ms = $1, revoked_reason = $2 WHERE revoked_ms IS NULL', [
    atMs,
    reason,
  ]);
  await run('UPDATE host_token SET dropped_ms = $1 WHERE dropped_ms IS NULL', [atMs]);
  return rows.map((row) => ({ ...toHostCertificate(row), group: row['host_group'] as string }));
}

async function revokeTls(run: Run, { atMs, reason, keepServers }: NewLog): Promise<BegunAnew['revokedTls']> {
  const after = BigInt(Math.floor(atMs / 1000)) - marginSeconds;
  await run('UPDATE x509_revocation_count SET acts = acts + 1');
  // What is nobody's own is a server's.
  const { rows } = await run(
    `UPDATE x509_credential SET revoked_ms = $1, revoked_reason = $2, revoked_code = 'unspecified',
       act = (SELECT acts FROM x509_revocation_count)
     WHERE revoked_ms IS NULL AND not_after >= $3 AND (subject_id IS NOT NULL OR NOT $4::boolean) RETURNING *`,
    [atMs, reason, after, keepServers],
  );
  return rows.map(toTlsCredential).toSorted((a, b) => Number(a.row - b.row));
}

async function endSessions(run: Run, { atMs }: NewLog): Promise<number> {
  await run('UPDATE person SET epoch = epoch + 1, expelled_ms = $1', [atMs]);
  return (await run('DELETE FROM session')).count;
}

async function skipSerials(
  run: Run,
  { caFingerprint, hostCa, skip, floor, untilSeconds }: NewLog,
): Promise<BegunAnew['authorities']> {
  for (const fingerprint of [caFingerprint, hostCa.caFingerprint])
    await run('INSERT INTO ca (fingerprint, next_serial) VALUES ($1, 1) ON CONFLICT DO NOTHING', [
      fingerprint,
    ]);
  await run('DELETE FROM serial_block');
  await run('UPDATE ca SET next_serial = greatest(next_serial + $1::bigint, $2::bigint)', [skip, floor]);
  // From 1 on: what was issued after the copy may also bear numbers that the copy knows, if both went on by themselves.
  await run('DELETE FROM revoked_range');
  await run(
    `INSERT INTO revoked_range
     SELECT id, 1, next_serial - 1, CASE WHEN fingerprint = $1 THEN $2::bigint ELSE $3::bigint END FROM ca`,
    [hostCa.caFingerprint, hostCa.untilSeconds, untilSeconds],
  );
  const { rows } = await run('SELECT fingerprint, next_serial FROM ca ORDER BY id');
  return rows.map((row) => ({
    caFingerprint: row['fingerprint'] as string,
    next: row['next_serial'] as Serial,
  }));
}

/** What is left of the last list does not fit its version any more: the start finds that, and publishes. */
async function skipVersions(run: Run, { skip, floor }: NewLog): Promise<bigint> {
  const { rows } = await run(
    `INSERT INTO publication VALUES ('krl', greatest($1::bigint, $2::bigint), 0, '', '', '', 0)
     ON CONFLICT (kind) DO UPDATE SET version = greatest(publication.version + $1::bigint, $2::bigint) RETURNING version`,
    [skip, floor],
  );
  return big(rows[0] as Row, 'version');
}

function* inBatches(drafts: Iterable<EntryDraft>): Iterable<readonly EntryDraft[]> {
  let batch: EntryDraft[] = [];
  for (const draft of drafts) {
    batch.push(draft);
    if (batch.length < entriesPerAppend) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}
