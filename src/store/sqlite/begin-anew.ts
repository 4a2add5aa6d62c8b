import type { DatabaseSync } from 'node:sqlite';
import type { Appended, EntryDraft } from '../../accounting/index.ts';
import type { BegunAnew, NewLog } from '../../broker/index.ts';
import { CodedError, type Serial } from '../../kernel/index.ts';
import { toHostCertificate } from '../host-rows.ts';
import { toCredential, type Row } from '../rows.ts';
import { toTlsCredential } from '../tls-columns.ts';
import type { Statements } from './statements.ts';

const entriesPerAppend = 1000;
/** As long as an expired certificate stays in a list. */
const marginSeconds = 24n * 3600n;

/**
 * Within the transaction that is open: ends the log that is there and begins the new one; `writeLog` writes what was appended.
 * @throws CodedError `store.conflict`
 */
export function beginAnew(
  database: DatabaseSync,
  statement: Statements,
  log: NewLog,
  writeLog: (appended: Appended) => void,
): void {
  const stored = statement('SELECT checkpoint FROM log_head WHERE id = 1').get()?.['checkpoint'];
  if (stored !== log.endsAt) {
    throw new CodedError('store.conflict', 'The log in the database is not the one that was archived.', {
      next: 'Nothing was changed. Make sure that nobody else works on this data folder, and try again.',
    });
  }
  const revoked = revokeAll(statement, log);
  const revokedHosts = revokeHosts(statement, log);
  const began: BegunAnew = {
    revoked,
    revokedHosts,
    revokedTls: revokeTls(statement, log),
    sessionsEnded: endSessions(statement, log),
    authorities: skipSerials(statement, log),
    listVersion: skipVersions(statement, log),
  };
  emptyLog(database);
  let head = log.emptyHead;
  for (const drafts of inBatches(log.entries(began))) {
    const appended = log.appender.append(head, drafts);
    writeLog(appended);
    head = appended.head;
  }
}

function revokeAll(statement: Statements, { atMs, reason }: NewLog): BegunAnew['revoked'] {
  const after = BigInt(Math.floor(atMs / 1000)) - marginSeconds;
  const live = 'revoked_ms IS NULL AND valid_before >= ?';
  const rows = statement(
    `SELECT c.*, ca.fingerprint AS ca_fp FROM credential c JOIN ca ON ca.id = c.ca_id WHERE ${live} ORDER BY c.ca_id, c.serial`,
  ).all(after) as Row[];
  statement(`UPDATE credential SET revoked_ms = ?, revoked_reason = ? WHERE ${live}`).run(
    atMs,
    reason,
    after,
  );
  statement('UPDATE revocation_count SET acts = acts + 1').run();
  return rows.map(toCredential);
}

/** Hosts stay what they are, and get new certificates. Tokens go: one that the copy takes for new may be used up. */
function revokeHosts(statement: Statements, { atMs, reason }: NewLog): BegunAnew['revokedHosts'] {
  const after = BigInt(Math.floor(atMs / 1000)) - marginSeconds;
  const rows = statement(
    `SELECT c.*, ca.fingerprint AS ca_fp, h.host_group FROM host_certificate c JOIN ca ON ca.id = c.ca_id JOIN host h ON h.id = c.host_id
     WHERE c.revoked_ms IS NULL AND c.valid_before >= ? ORDER BY c.ca_id, c.serial`,
  ).all(after) as Row[];
  statement('UPDATE host_certificate SET revoked_ms = ?, revoked_reason = ? WHERE revoked_ms IS NULL').run(
    atMs,
    reason,
  );
  statement('UPDATE host_token SET dropped_ms = ? WHERE dropped_ms IS NULL').run(atMs);
  return rows.map((row) => ({ ...toHostCertificate(row), group: row['host_group'] as string }));
}

function revokeTls(statement: Statements, { atMs, reason, keepServers }: NewLog): BegunAnew['revokedTls'] {
  const after = BigInt(Math.floor(atMs / 1000)) - marginSeconds;
  // What is nobody's own is a server's.
  const live = `revoked_ms IS NULL AND not_after >= ? ${keepServers ? 'AND subject_id IS NOT NULL' : ''}`;
  const rows = statement(`SELECT * FROM x509_credential WHERE ${live} ORDER BY id`).all(after);
  statement('UPDATE x509_revocation_count SET acts = acts + 1').run();
  statement(
    `UPDATE x509_credential SET revoked_ms = ?, revoked_reason = ?, revoked_code = 'unspecified',
       act = (SELECT acts FROM x509_revocation_count) WHERE ${live}`,
  ).run(atMs, reason, after);
  return rows.map(toTlsCredential);
}

function endSessions(statement: Statements, { atMs }: NewLog): number {
  statement('UPDATE person SET epoch = epoch + 1, expelled_ms = ?').run(atMs);
  return Number(statement('DELETE FROM session').run().changes);
}

function skipSerials(
  statement: Statements,
  { caFingerprint, hostCa, skip, floor, untilSeconds }: NewLog,
): BegunAnew['authorities'] {
  for (const fingerprint of [caFingerprint, hostCa.caFingerprint])
    statement('INSERT INTO ca (fingerprint, next_serial) VALUES (?, 1) ON CONFLICT DO NOTHING').run(
      fingerprint,
    );
  statement('DELETE FROM serial_block').run();
  statement('UPDATE ca SET next_serial = max(next_serial + ?, ?)').run(skip, floor);
  // From 1 on: what was issued after the copy may also bear numbers that the copy knows, if both went on by themselves.
  statement('DELETE FROM revoked_range').run();
  statement(
    'INSERT INTO revoked_range SELECT id, 1, next_serial - 1, CASE WHEN fingerprint = ? THEN ? ELSE ? END FROM ca',
  ).run(hostCa.caFingerprint, hostCa.untilSeconds, untilSeconds);
  const rows = statement('SELECT fingerprint, next_serial FROM ca ORDER BY id').all() as Row[];
  return rows.map((row) => ({
    caFingerprint: row['fingerprint'] as string,
    next: row['next_serial'] as Serial,
  }));
}

/** What is left of the last list does not fit its version any more: the start finds that, and publishes. */
function skipVersions(statement: Statements, { skip, floor }: NewLog): bigint {
  statement(
    `INSERT INTO publication VALUES ('krl', max(?1, ?2), 0, x'', '', '', 0)
     ON CONFLICT (kind) DO UPDATE SET version = max(version + ?1, ?2)`,
  ).run(skip, floor);
  // The same for CRLs; without a list that counts these acts, the start publishes one.
  statement('UPDATE crl SET number = max(number + ?, ?), acts = -1').run(skip, floor);
  return statement("SELECT version FROM publication WHERE kind = 'krl'").get()?.['version'] as bigint;
}

/** The triggers that keep the log append-only step aside, and are back, as they were, before the transaction ends. */
function emptyLog(database: DatabaseSync): void {
  const triggers = database
    .prepare("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'log_entry'")
    .all() as { name: string; sql: string }[];
  for (const { name } of triggers) database.exec(`DROP TRIGGER ${name}`);
  for (const table of [
    'log_entry',
    'cosigned_checkpoint',
    'log_opening',
    'log_tile_hash',
    'log_search',
    'log_term',
    'log_reason',
    'log_head',
    'sink_position',
  ])
    database.exec(`DELETE FROM ${table}`);
  for (const { sql } of triggers) database.exec(sql);
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
