import type { SQLInputValue } from 'node:sqlite';
import type { Change, Guard, Publication } from '../../broker/index.ts';
import { conflict } from './faults.ts';
import { applyHosts } from './hosts.ts';
import { applyProbedPorts } from './probed-ports.ts';
import { applyReportedLogins } from './reported-logins.ts';
import { applyDepartures } from './departures.ts';
import { applyResponses } from './responses.ts';
import { applySerials, checkHeld, type ReservedBefore } from './serial-blocks.ts';
import type { Statements } from './statements.ts';
import { applyTls, eraseTls } from './tls.ts';

/** Writes the rows of one change, in the order of its fields, within the transaction that is open. */
export type ApplyChange = (change: Change) => void;

interface Writing {
  readonly statement: Statements;
  readonly before: ReservedBefore;
  /** @returns how many rows it touched. */
  readonly run: (sql: string, ...values: SQLInputValue[]) => number;
}

/** @throws CodedError `store.conflict` from the returned function when a guard or a claim fails: nothing may be committed then. */
export function createApplyChange(statement: Statements, before: ReservedBefore): ApplyChange {
  const writing: Writing = {
    statement,
    before,
    run: (sql, ...values) => Number(statement(sql).run(...values).changes),
  };
  return (change) => {
    if (change.guard !== undefined) checkGuard(statement, change.guard);
    applyPeople(writing, change);
    applyCredential(writing, change);
    applyRevocation(writing, change);
    if (change.tls !== undefined) applyTls(writing.run, change.tls);
    if (change.publication !== undefined) applyPublication(writing, change.publication);
    if (change.hosts !== undefined) applyHosts(statement, before, change.hosts);
    applySerials(statement, before, change);
    if (change.erase !== undefined) {
      erase(writing, change.erase);
      eraseTls(writing.run, change.erase);
    }
    if (change.cosigned !== undefined) keepCosigned(writing, change.cosigned);
    if (change.moveSink !== undefined) moveSink(writing, change.moveSink);
    if (change.probed !== undefined) applyProbedPorts(writing.run, change.probed);
    if (change.reportedLogins !== undefined) applyReportedLogins(writing.run, change.reportedLogins);
    applyDepartures(writing.run, change);
    if (change.responses !== undefined) applyResponses(writing.run, change.responses);
  };
}

function applyPeople({ run }: Writing, change: Change): void {
  const { seenPerson: seen, newSession: session, expel, lock } = change;
  const bumpEpoch = (personId: string): number =>
    run('UPDATE person SET epoch = epoch + 1 WHERE person_id = ?', personId);
  if (seen !== undefined) {
    run(
      `INSERT INTO person (person_id, directory, login, first_seen_ms) VALUES (?, ?, ?, ?)
       ON CONFLICT (person_id) DO UPDATE SET login = excluded.login WHERE login <> excluded.login`,
      seen.personId,
      seen.directory,
      seen.login,
      seen.atMs,
    );
  }
  for (const row of change.throttle ?? []) {
    run(
      'INSERT INTO throttle VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET state = excluded.state, forget_ms = excluded.forget_ms',
      row.key,
      JSON.stringify(row),
      row.forgetMs,
    );
  }
  if (session !== undefined) {
    run('DELETE FROM session WHERE expires_ms <= ?', session.createdMs);
    run('DELETE FROM throttle WHERE forget_ms <= ?', session.createdMs);
    run(
      'INSERT INTO session VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
      session.tokenHash,
      session.id,
      session.personId,
      session.login,
      session.directory,
      session.keyThumbprint,
      session.createdMs,
      session.expiresMs,
    );
  }
  if (change.endSession !== undefined) run('DELETE FROM session WHERE token_hash = ?', change.endSession);
  if (expel !== undefined) {
    for (const personId of expel.people) {
      run('DELETE FROM session WHERE person_id = ?', personId);
      run('UPDATE person SET expelled_ms = ? WHERE person_id = ?', expel.atMs, personId);
      bumpEpoch(personId);
    }
  }
  if (lock !== undefined) {
    run(
      'UPDATE person SET locked_ms = ?, lock_reason = ? WHERE person_id = ?',
      lock.atMs,
      lock.reason,
      lock.personId,
    );
    bumpEpoch(lock.personId);
  }
  if (change.unlock !== undefined)
    run('UPDATE person SET locked_ms = NULL, lock_reason = NULL WHERE person_id = ?', change.unlock);
  if (change.voidDecisions === true) run('UPDATE person SET epoch = epoch + 1');
  else for (const personId of change.voidDecisions ?? []) bumpEpoch(personId);
}

function applyCredential(writing: Writing, { credential, claim, releasePrincipal }: Change): void {
  const { statement, run, before } = writing;
  if (credential !== undefined) {
    const { caFingerprint, serial } = credential;
    checkHeld(statement, before, { caFingerprint, first: serial, last: serial });
    run(
      `INSERT INTO credential (ca_id, serial, key_id, person_id, login, profile, key_type, key_fp, principals, valid_after, valid_before, issued_ms)
       VALUES ((SELECT id FROM ca WHERE fingerprint = ?), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      credential.caFingerprint,
      credential.serial,
      credential.keyId,
      credential.personId,
      credential.login,
      credential.profile,
      credential.keyType,
      credential.keyFingerprint,
      JSON.stringify(credential.principals),
      credential.validAfter,
      credential.validBefore,
      credential.issuedMs,
    );
  }
  if (claim !== undefined) {
    const { personId, atMs } = claim;
    for (const name of claim.principals) {
      const owner = statement('SELECT person_id FROM principal WHERE name = ?').get(name)?.['person_id'];
      if (owner === undefined) run('INSERT INTO principal VALUES (?, ?, ?)', name, personId, atMs);
      else if (owner !== personId) throw conflict(`The principal ${name} came to belong to somebody else.`);
    }
  }
  if (releasePrincipal !== undefined) run('DELETE FROM principal WHERE name = ?', releasePrincipal);
}

function applyRevocation({ run }: Writing, { revoke, revokeKey, revokeKeyIds }: Change): void {
  if (revoke !== undefined) {
    const { credentials, atMs, reason } = revoke;
    for (const { caFingerprint, serial } of credentials) {
      run(
        `UPDATE credential SET revoked_ms = ?, revoked_reason = ?
         WHERE ca_id = (SELECT id FROM ca WHERE fingerprint = ?) AND serial = ? AND revoked_ms IS NULL`,
        atMs,
        reason,
        caFingerprint,
        serial,
      );
    }
  }
  if (revokeKey !== undefined) {
    run(
      'INSERT INTO revoked_key VALUES (?, ?, ?) ON CONFLICT (fingerprint) DO NOTHING',
      revokeKey.fingerprint,
      revokeKey.revokedMs,
      revokeKey.reason,
    );
  }
  for (const { caFingerprint, keyId, validBefore } of revokeKeyIds ?? []) {
    run(
      `INSERT INTO revoked_key_id VALUES (?, ?, ?)
       ON CONFLICT (ca_fp, key_id) DO UPDATE SET valid_before = max(valid_before, excluded.valid_before)`,
      caFingerprint,
      keyId,
      validBefore,
    );
  }
  if (revoke !== undefined || revokeKey !== undefined || revokeKeyIds !== undefined)
    run('UPDATE revocation_count SET acts = acts + 1');
}

function applyPublication({ run }: Writing, publication: Publication): void {
  const written = run(
    `INSERT INTO publication VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (kind) DO UPDATE SET
     version = excluded.version, published_ms = excluded.published_ms, bytes = excluded.bytes,
     signature = excluded.signature, sha256 = excluded.sha256, revocations = excluded.revocations
     WHERE excluded.version > publication.version`,
    publication.kind,
    publication.version,
    publication.publishedMs,
    publication.bytes,
    publication.signature,
    publication.sha256,
    publication.revocations,
  );
  if (written === 0) throw conflict(`A list as new as version ${publication.version} is out already.`);
}

function erase({ run }: Writing, change: NonNullable<Change['erase']>): void {
  const { openings, logins = [], revokedReasons = [], person } = change;
  for (const { index, drop } of openings) {
    for (const path of drop)
      run(
        "UPDATE log_opening SET openings = json_remove(openings, '$.' || json_quote(?)) WHERE idx = ?",
        path,
        index,
      );
    run("DELETE FROM log_opening WHERE idx = ? AND openings = '{}'", index);
    if (drop.includes('reason')) run('DELETE FROM log_reason WHERE idx = ?', index);
  }
  const one = 'ca_id = (SELECT id FROM ca WHERE fingerprint = ?) AND serial = ?';
  for (const { caFingerprint, serial } of logins)
    run(`UPDATE credential SET login = 'erased' WHERE ${one}`, caFingerprint, serial);
  const forgetReason = "revoked_reason = CASE WHEN revoked_reason IS NULL THEN NULL ELSE 'erased' END";
  for (const { caFingerprint, serial } of revokedReasons)
    run(`UPDATE credential SET ${forgetReason} WHERE ${one}`, caFingerprint, serial);
  if (person === undefined) return;
  run(`UPDATE credential SET login = 'erased', ${forgetReason} WHERE person_id = ?`, person);
  run(
    "UPDATE person SET login = 'erased', lock_reason = CASE WHEN lock_reason IS NULL THEN NULL ELSE 'erased' END WHERE person_id = ?",
    person,
  );
  run('DELETE FROM session WHERE person_id = ?', person);
}

/** The first line of a note, by which a log that was begun anew is told from the one before. */
function origin(table: string): string {
  return `substr(${table}.note, 1, instr(${table}.note, char(10)))`;
}

function keepCosigned({ run }: Writing, { size, note }: NonNullable<Change['cosigned']>): void {
  run(
    `INSERT INTO cosigned_checkpoint VALUES (1, ?, ?) ON CONFLICT (id) DO UPDATE SET size = excluded.size, note = excluded.note
     WHERE excluded.size >= cosigned_checkpoint.size OR ${origin('excluded')} <> ${origin('cosigned_checkpoint')}`,
    size,
    note,
  );
}

function moveSink({ run }: Writing, { sink, from, next }: NonNullable<Change['moveSink']>): void {
  run('INSERT INTO sink_position VALUES (?, 0) ON CONFLICT DO NOTHING', sink);
  const moved = run(
    'UPDATE sink_position SET next_idx = ? WHERE sink = ? AND next_idx = ?',
    next,
    sink,
    from,
  );
  if (moved === 0) throw conflict(`The sink ${sink} does not stand at entry ${from} any more.`);
}

/** All that a guard asks, in one look. */
const guardQuery = `SELECT
  (SELECT epoch FROM person WHERE person_id = ?1 AND locked_ms IS NULL) AS epoch,
  EXISTS (SELECT 1 FROM session WHERE token_hash = ?2) AS has_session,
  EXISTS (SELECT 1 FROM revoked_key WHERE fingerprint = ?3) AS is_revoked`;

function checkGuard(statement: Statements, { person, sessionHash, keyFingerprint }: Guard): void {
  const row = statement(guardQuery).get(
    person?.personId ?? null,
    sessionHash ?? null,
    keyFingerprint ?? null,
  );
  if (person !== undefined && row?.['epoch'] !== BigInt(person.epoch)) {
    throw conflict('The person was revoked or locked while the request was under way.');
  }
  if (sessionHash !== undefined && row?.['has_session'] !== 1n) {
    throw conflict('The session was ended while the request was under way.');
  }
  if (keyFingerprint !== undefined && row?.['is_revoked'] !== 0n) {
    throw conflict('The key was revoked while the request was under way.');
  }
}
