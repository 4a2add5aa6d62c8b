import type { Change, Guard, Publication } from '../../broker/index.ts';
import type { Answer, Run } from './connections.ts';
import { indexLock } from './log-search.ts';
import { conflict } from './faults.ts';
import { sendProbedPorts } from './probed-ports.ts';
import { sendReportedLogins } from './reported-logins.ts';
import { applyDepartures } from './departures.ts';
import { applyHosts } from './hosts.ts';
import { sendResponses } from './responses.ts';
import { applySerials, insertCredential } from './serial-blocks.ts';
import { applyTls, eraseTls } from './tls.ts';

/**
 * Sends the rows of one change, in the order of its fields, within the transaction that is open; nothing waits for an answer.
 * @returns what each statement came to: CodedError `store.conflict` when a guard or a claim fails. Nothing may be committed then.
 */
export function applyChange(run: Run, owner: string, change: Change): Promise<unknown>[] {
  const sent: Promise<unknown>[] = [];
  const send: Send = (sql, values, check) => {
    const answer = run(sql, values);
    sent.push(check === undefined ? answer : answer.then(check));
  };
  if (change.guard !== undefined) checkGuard(send, change.guard);
  applyPeople(send, change);
  applySessions(send, change);
  if (change.credential !== undefined) insertCredential(send, owner, change.credential);
  applyClaims(send, change);
  applyRevocation(send, change);
  if (change.tls !== undefined) applyTls(send, change.tls);
  if (change.publication !== undefined) applyPublication(send, change.publication);
  if (change.hosts !== undefined) applyHosts(send, owner, change.hosts);
  applySerials(send, owner, change);
  if (change.erase !== undefined) {
    erase(send, change.erase);
    eraseTls(send, change.erase);
  }
  if (change.cosigned !== undefined) keepCosigned(send, change.cosigned);
  if (change.moveSink !== undefined) moveSink(send, change.moveSink);
  if (change.probed !== undefined) sendProbedPorts(send, change.probed);
  if (change.reportedLogins !== undefined) sendReportedLogins(send, change.reportedLogins);
  applyDepartures(send, change);
  if (change.responses !== undefined) sendResponses(send, change.responses);
  return sent;
}

/** `check` throws when the answer must not be. */
export type Send = (sql: string, values: readonly unknown[], check?: (answer: Answer) => void) => void;

const bumpEpoch = 'UPDATE person SET epoch = epoch + 1 WHERE person_id = $1';

function applyPeople(send: Send, { seenPerson: seen, lock, unlock, expel, voidDecisions }: Change): void {
  if (seen !== undefined) {
    send(
      `INSERT INTO person (person_id, directory, login, first_seen_ms) VALUES ($1, $2, $3, $4)
       ON CONFLICT (person_id) DO UPDATE SET login = excluded.login WHERE person.login <> excluded.login`,
      [seen.personId, seen.directory, seen.login, seen.atMs],
    );
  }
  if (expel !== undefined) {
    send('DELETE FROM session WHERE person_id = ANY($1)', [expel.people]);
    send('UPDATE person SET expelled_ms = $2, epoch = epoch + 1 WHERE person_id = ANY($1)', [
      expel.people,
      expel.atMs,
    ]);
  }
  if (lock !== undefined) {
    send('UPDATE person SET locked_ms = $2, lock_reason = $3 WHERE person_id = $1', [
      lock.personId,
      lock.atMs,
      lock.reason,
    ]);
    send(bumpEpoch, [lock.personId]);
  }
  if (unlock !== undefined)
    send('UPDATE person SET locked_ms = NULL, lock_reason = NULL WHERE person_id = $1', [unlock]);
  if (voidDecisions === true) send('UPDATE person SET epoch = epoch + 1', []);
  else if (voidDecisions !== undefined)
    send('UPDATE person SET epoch = epoch + 1 WHERE person_id = ANY($1)', [voidDecisions]);
}

function applySessions(send: Send, { throttle = [], newSession: session, endSession }: Change): void {
  // In the order of the keys, as whoever else writes them does: nobody waits for one while holding what the other waits for.
  const rows = [...throttle].sort((a, b) => (a.key < b.key ? -1 : 1));
  for (const row of rows) {
    send(
      `INSERT INTO throttle VALUES ($1, $2, $3)
       ON CONFLICT (key) DO UPDATE SET state = excluded.state, forget_ms = excluded.forget_ms`,
      [row.key, JSON.stringify(row), row.forgetMs],
    );
  }
  if (session !== undefined) {
    send('DELETE FROM session WHERE expires_ms <= $1', [session.createdMs]);
    send(
      'DELETE FROM throttle WHERE key IN (SELECT key FROM throttle WHERE forget_ms <= $1 FOR UPDATE SKIP LOCKED)',
      [session.createdMs],
    );
    send('INSERT INTO session VALUES ($1, $2, $3, $4, $5, $6, $7, $8)', [
      session.tokenHash,
      session.id,
      session.personId,
      session.login,
      session.directory,
      session.keyThumbprint,
      session.createdMs,
      session.expiresMs,
    ]);
  }
  if (endSession !== undefined) send('DELETE FROM session WHERE token_hash = $1', [endSession]);
}

function applyClaims(send: Send, { claim, releasePrincipal }: Change): void {
  if (claim !== undefined && claim.principals.length > 0) {
    const { principals, personId, atMs } = claim;
    send(
      `INSERT INTO principal SELECT name, $2, $3::bigint FROM unnest($1::text[]) AS name ON CONFLICT (lower(name)) DO NOTHING`,
      [principals, personId, atMs],
    );
    send(
      `SELECT name FROM principal WHERE person_id <> $2
       AND lower(name) IN (SELECT lower(asked COLLATE "C") FROM unnest($1::text[]) AS asked) LIMIT 1`,
      [principals, personId],
      ({ rows: [taken] }) => {
        if (taken !== undefined)
          throw conflict(`The principal ${String(taken['name'])} came to belong to somebody else.`);
      },
    );
  }
  if (releasePrincipal !== undefined)
    send('DELETE FROM principal WHERE lower(name) = lower($1 COLLATE "C")', [releasePrincipal]);
}

function applyRevocation(send: Send, { revoke, revokeKey, revokeKeyIds }: Change): void {
  if (revoke !== undefined && revoke.credentials.length > 0) {
    const { credentials, atMs, reason } = revoke;
    send(
      `UPDATE credential c SET revoked_ms = $3, revoked_reason = $4
       FROM unnest($1::text[], $2::bigint[]) AS hit (ca_fp, serial) JOIN ca ON ca.fingerprint = hit.ca_fp
       WHERE c.ca_id = ca.id AND c.serial = hit.serial AND c.revoked_ms IS NULL`,
      [
        credentials.map(({ caFingerprint }) => caFingerprint),
        credentials.map(({ serial }) => serial),
        atMs,
        reason,
      ],
    );
  }
  if (revokeKey !== undefined) {
    send('INSERT INTO revoked_key VALUES ($1, $2, $3) ON CONFLICT (fingerprint) DO NOTHING', [
      revokeKey.fingerprint,
      revokeKey.revokedMs,
      revokeKey.reason,
    ]);
  }
  if (revokeKeyIds !== undefined && revokeKeyIds.length > 0) {
    // One row for each name: a statement may not touch a row twice.
    send(
      `INSERT INTO revoked_key_id SELECT ca_fp, key_id, max(valid_before)
       FROM unnest($1::text[], $2::text[], $3::bigint[]) AS given (ca_fp, key_id, valid_before) GROUP BY ca_fp, key_id
       ON CONFLICT (ca_fp, key_id) DO UPDATE SET valid_before = greatest(revoked_key_id.valid_before, excluded.valid_before)`,
      [
        revokeKeyIds.map(({ caFingerprint }) => caFingerprint),
        revokeKeyIds.map(({ keyId }) => keyId),
        revokeKeyIds.map(({ validBefore }) => validBefore),
      ],
    );
  }
  if (revoke !== undefined || revokeKey !== undefined || revokeKeyIds !== undefined)
    send('UPDATE revocation_count SET acts = acts + 1', []);
}

function applyPublication(send: Send, publication: Publication): void {
  send(
    `INSERT INTO publication VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (kind) DO UPDATE SET
     version = excluded.version, published_ms = excluded.published_ms, bytes = excluded.bytes,
     signature = excluded.signature, sha256 = excluded.sha256, revocations = excluded.revocations
     WHERE excluded.version > publication.version`,
    [
      publication.kind,
      publication.version,
      publication.publishedMs,
      publication.bytes,
      publication.signature,
      publication.sha256,
      publication.revocations,
    ],
    ({ count }) => {
      if (count === 0) throw conflict(`A list as new as version ${publication.version} is out already.`);
    },
  );
}

function erase(send: Send, change: NonNullable<Change['erase']>): void {
  const { openings, logins = [], revokedReasons = [], person } = change;
  // Whoever indexes these entries right now read words that go now: theirs come first, to be taken out as well.
  send('SELECT pg_advisory_xact_lock($1)', [indexLock]);
  const dropped = openings.flatMap(({ index, drop }) => drop.map((path) => ({ index, path })));
  send(
    `UPDATE log_opening o SET openings = coalesce((
       SELECT json_object_agg(held.key, held.value) FROM json_each(o.openings::json) held WHERE NOT held.key = ANY(dropped.paths)
     )::text, '{}')
     FROM (
       SELECT idx, array_agg(path) AS paths FROM unnest($1::bigint[], $2::text[]) AS given (idx, path) GROUP BY idx
     ) dropped WHERE o.idx = dropped.idx`,
    [dropped.map(({ index }) => index), dropped.map(({ path }) => path)],
  );
  send("DELETE FROM log_opening WHERE idx = ANY($1::bigint[]) AND openings = '{}'", [
    openings.map(({ index }) => index),
  ]);
  const wordless = openings.filter(({ drop }) => drop.includes('reason'));
  send('DELETE FROM log_reason WHERE idx = ANY($1::bigint[])', [wordless.map(({ index }) => index)]);
  const forgetReason = "revoked_reason = CASE WHEN revoked_reason IS NULL THEN NULL ELSE 'erased' END";
  for (const [set, rows] of [
    ["login = 'erased'", logins],
    [forgetReason, revokedReasons],
  ] as const) {
    send(
      `UPDATE credential c SET ${set} FROM unnest($1::text[], $2::bigint[]) AS hit (ca_fp, serial)
       JOIN ca ON ca.fingerprint = hit.ca_fp WHERE c.ca_id = ca.id AND c.serial = hit.serial`,
      [rows.map(({ caFingerprint }) => caFingerprint), rows.map(({ serial }) => serial)],
    );
  }
  if (person === undefined) return;
  send(`UPDATE credential SET login = 'erased', ${forgetReason} WHERE person_id = $1`, [person]);
  send(
    `UPDATE person SET login = 'erased', lock_reason = CASE WHEN lock_reason IS NULL THEN NULL ELSE 'erased' END WHERE person_id = $1`,
    [person],
  );
  send('DELETE FROM session WHERE person_id = $1', [person]);
}

function keepCosigned(send: Send, { size, note }: NonNullable<Change['cosigned']>): void {
  send(
    `INSERT INTO cosigned_checkpoint VALUES (1, $1, $2) ON CONFLICT (id) DO UPDATE SET size = excluded.size, note = excluded.note
     -- A log that was begun anew has another name in its first line.
     WHERE excluded.size >= cosigned_checkpoint.size
       OR split_part(excluded.note, E'\\n', 1) <> split_part(cosigned_checkpoint.note, E'\\n', 1)`,
    [size, note],
  );
}

function moveSink(send: Send, { sink, from, next }: NonNullable<Change['moveSink']>): void {
  send('INSERT INTO sink_position VALUES ($1, 0) ON CONFLICT DO NOTHING', [sink]);
  send(
    'UPDATE sink_position SET next_idx = $3 WHERE sink = $1 AND next_idx = $2',
    [sink, from, next],
    ({ count }) => {
      if (count === 0) throw conflict(`The sink ${sink} does not stand at entry ${from} any more.`);
    },
  );
}

/** All that a guard asks, in one look. */
const guardQuery = `SELECT
  (SELECT epoch FROM person WHERE person_id = $1 AND locked_ms IS NULL) AS epoch,
  EXISTS (SELECT 1 FROM session WHERE token_hash = $2) AS has_session,
  EXISTS (SELECT 1 FROM revoked_key WHERE fingerprint = $3) AS is_revoked`;

function checkGuard(send: Send, { person, sessionHash, keyFingerprint }: Guard): void {
  send(guardQuery, [person?.personId, sessionHash, keyFingerprint], ({ rows: [row] }) => {
    if (person !== undefined && row?.['epoch'] !== person.epoch)
      throw conflict('The person was revoked or locked while the request was under way.');
    if (sessionHash !== undefined && row?.['has_session'] !== true)
      throw conflict('The session was ended while the request was under way.');
    if (keyFingerprint !== undefined && row?.['is_revoked'] !== false)
      throw conflict('The key was revoked while the request was under way.');
  });
}
