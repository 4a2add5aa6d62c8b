import type { SQLInputValue } from 'node:sqlite';
import type { HostCertificate, HostMove, HostReads, HostsChange, HostState } from '../../broker/index.ts';
import type { HostId } from '../../kernel/index.ts';
import { toHost, toHostCertificate, toHostToken } from '../host-rows.ts';
import type { Row } from '../rows.ts';
import { conflict } from './faults.ts';
import { checkHeld, type ReservedBefore } from './serial-blocks.ts';
import type { Statements } from './statements.ts';

type Run = (sql: string, ...values: SQLInputValue[]) => number;

/** The part of a change that is about hosts, within the transaction that is open. @throws CodedError `store.conflict` */
export function applyHosts(statement: Statements, before: ReservedBefore, change: HostsChange): void {
  const run: Run = (sql, ...values) => Number(statement(sql).run(...values).changes);
  applyTokens(run, change);
  if (change.forgetPendingBefore !== undefined)
    run("DELETE FROM host WHERE state = 'pending' AND created_ms < ?", change.forgetPendingBefore);
  if (change.newHost !== undefined) insertHost(statement, run, change.newHost);
  for (const move of change.moves ?? []) moveHost(statement, run, move);
  for (const certificate of change.certificates ?? []) {
    const { caFingerprint, serial } = certificate;
    checkHeld(statement, before, { caFingerprint, first: serial, last: serial });
    insertCertificate(run, certificate);
  }
  if (change.revokeCertificates !== undefined) revokeCertificates(run, change.revokeCertificates);
  if (change.contact !== undefined) recordContact(run, change.contact);
  if (change.trustDigest !== undefined)
    run('INSERT OR REPLACE INTO trust_digest VALUES (1, ?)', change.trustDigest);
}

function applyTokens(run: Run, { newToken: token, useToken, dropToken }: HostsChange): void {
  if (token !== undefined) {
    run(
      'INSERT INTO host_token VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)',
      token.id,
      token.hash,
      token.group,
      JSON.stringify(token.names),
      JSON.stringify(token.addresses),
      token.maxUses,
      token.used,
      token.createdMs,
      token.expiresMs,
      token.createdBy,
    );
  }
  if (useToken !== undefined) {
    const used = run(
      'UPDATE host_token SET used = used + 1 WHERE id = ? AND used < max_uses AND dropped_ms IS NULL AND expires_ms > ?',
      useToken.id,
      useToken.atMs,
    );
    if (used === 0) throw conflict('The token is not good any more.');
  }
  if (dropToken !== undefined) {
    const { id, atMs } = dropToken;
    const dropped = run('UPDATE host_token SET dropped_ms = ? WHERE id = ? AND dropped_ms IS NULL', atMs, id);
    if (dropped === 0) throw conflict('The token is dropped already.');
  }
}

function insertHost(
  statement: Statements,
  run: Run,
  { host, claims }: NonNullable<HostsChange['newHost']>,
): void {
  const written = run(
    `INSERT INTO host VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
    host.id,
    host.group,
    host.state,
    JSON.stringify(host.names),
    JSON.stringify(host.addresses),
    host.identityKey,
    host.identityFingerprint,
    JSON.stringify(host.hostKeys),
    host.platform,
    host.machine,
    host.tokenId ?? null,
    host.createdMs,
    host.changedMs,
    host.conflict ?? null,
    host.conflictWith ?? null,
  );
  if (written === 0) throw conflict('A host with this identity is known already.');
  if (host.state === 'enrolled') claim(statement, run, host.id, claims);
  else if (host.state === 'conflict')
    for (const what of claims)
      run('INSERT INTO host_claim VALUES (?, ?) ON CONFLICT DO NOTHING', what, host.id);
}

function claim(statement: Statements, run: Run, id: HostId, claims: readonly string[]): void {
  for (const what of claims) {
    run('INSERT INTO host_claim VALUES (?, ?) ON CONFLICT DO NOTHING', what, id);
    const owner = statement('SELECT host_id FROM host_claim WHERE what = ?').get(what)?.['host_id'];
    if (owner !== id) throw conflict(`Another host holds ${what}.`);
  }
}

function moveHost(statement: Statements, run: Run, move: HostMove): void {
  const { id, from, to, atMs, group, names, addresses, machine, hostKeys, claims } = move;
  const moved = run(
    `UPDATE host SET state = ?, changed_ms = ?, host_group = coalesce(?, host_group), names = coalesce(?, names),
       addresses = coalesce(?, addresses), machine = coalesce(?, machine), host_keys = coalesce(?, host_keys),
       conflict = ?, conflict_with = ?
     WHERE id = ? AND state IN (SELECT value FROM json_each(?))`,
    to,
    atMs,
    group ?? null,
    names === undefined ? null : JSON.stringify(names),
    addresses === undefined ? null : JSON.stringify(addresses),
    machine ?? null,
    hostKeys === undefined ? null : JSON.stringify(hostKeys),
    move.conflict?.why ?? null,
    move.conflict?.with ?? null,
    id,
    JSON.stringify(from),
  );
  if (moved === 0) throw conflict(`The host ${id} is in another state by now.`);
  if (move.forgetStep === true) run('UPDATE host_contact SET step = -1 WHERE host_id = ?', id);
  if (claims === undefined && to !== 'retired') return;
  run('DELETE FROM host_claim WHERE host_id = ?', id);
  if (to !== 'retired') claim(statement, run, id, claims ?? []);
}

function insertCertificate(run: Run, certificate: HostCertificate): void {
  run(
    `INSERT INTO host_certificate VALUES ((SELECT id FROM ca WHERE fingerprint = ?), ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL)`,
    certificate.caFingerprint,
    certificate.serial,
    certificate.keyId,
    certificate.hostId,
    certificate.keyType,
    certificate.keyFingerprint,
    JSON.stringify(certificate.principals),
    certificate.validAfter,
    certificate.validBefore,
    certificate.issuedMs,
  );
}

function revokeCertificates(
  run: Run,
  { hosts, atMs, reason }: NonNullable<HostsChange['revokeCertificates']>,
): void {
  for (const host of hosts)
    run(
      'UPDATE host_certificate SET revoked_ms = ?, revoked_reason = ? WHERE host_id = ? AND revoked_ms IS NULL',
      atMs,
      reason,
      host,
    );
  run('UPDATE revocation_count SET acts = acts + 1');
}

function recordContact(run: Run, contact: NonNullable<HostsChange['contact']>): void {
  const { host, machine, step, contactMs, installed, checks, sshd, lastLoginMs } = contact;
  const known = run(
    "UPDATE host SET machine = ?2 WHERE id = ?1 AND state = 'enrolled' AND machine IN ('', ?2)",
    host,
    machine,
  );
  if (known === 0) throw conflict('The host is not enrolled, or this is another machine.');
  const recorded = run(
    `INSERT INTO host_contact VALUES (?1, ?2, ?3, ?4, ?3, ?5, ?6, ?7) ON CONFLICT (host_id) DO UPDATE SET
       step = ?2, contact_ms = ?3, installed_ms = CASE WHEN installed = ?4 THEN installed_ms ELSE ?3 END, installed = ?4, checks = ?5,
       sshd = ?6, last_login_ms = coalesce(?7, last_login_ms)
     WHERE step < ?2`,
    host,
    step,
    contactMs,
    installed,
    JSON.stringify(checks),
    sshd,
    lastLoginMs ?? null,
  );
  if (recorded === 0) throw conflict('The host has said a later step already.');
}

const hostColumns = `h.*, c.step, c.contact_ms, c.installed, c.installed_ms, c.checks, c.sshd, c.last_login_ms
  FROM host h LEFT JOIN host_contact c ON c.host_id = h.id`;
const certificateColumns = 'c.*, ca.fingerprint AS ca_fp FROM host_certificate c JOIN ca ON ca.id = c.ca_id';

/** The questions about hosts over one connection. */
export function createHostReads(
  all: (sql: string, ...values: SQLInputValue[]) => Row[],
  one: (sql: string, ...values: SQLInputValue[]) => Row | undefined,
): HostReads {
  return {
    async host(id) {
      const row = one(`SELECT ${hostColumns} WHERE h.id = ?`, id);
      return row && toHost(row);
    },
    async hostsById(ids) {
      const sql = `SELECT ${hostColumns} WHERE h.id IN (SELECT value FROM json_each(?))`;
      return new Map(all(sql, JSON.stringify(ids)).map((row) => [row['id'] as HostId, toHost(row)]));
    },
    async hostByIdentity(identityFingerprint) {
      const row = one(`SELECT ${hostColumns} WHERE h.identity_fp = ?`, identityFingerprint);
      return row && toHost(row);
    },
    async hostClaims(claims) {
      const sql = 'SELECT what, host_id FROM host_claim WHERE what IN (SELECT value FROM json_each(?))';
      const rows = all(sql, JSON.stringify(claims));
      return new Map(rows.map((row) => [row['what'] as string, row['host_id'] as HostId]));
    },
    async hosts({ state, group, after, limit }) {
      const sql = `SELECT ${hostColumns} WHERE h.id > ?1 AND (?2 IS NULL OR h.state = ?2) AND (?3 IS NULL OR h.host_group = ?3)
        ORDER BY h.id LIMIT ?4`;
      return all(sql, after ?? '', state ?? null, group ?? null, limit).map(toHost);
    },
    async hostCounts() {
      const rows = all('SELECT state, host_group, count(*) AS n FROM host GROUP BY state, host_group');
      return rows.map((row) => ({
        state: row['state'] as HostState,
        group: row['host_group'] as string,
        count: Number(row['n']),
      }));
    },
    async hostLag(group, version, staleBeforeMs) {
      const row = one(
        `SELECT sum(coalesce(c.installed, 0) < ?2) AS behind, sum(coalesce(c.installed, 0) = 0 OR c.installed_ms < ?3) AS stale
         FROM host h LEFT JOIN host_contact c ON c.host_id = h.id WHERE h.state = 'enrolled' AND h.host_group = ?1`,
        group,
        version,
        staleBeforeMs,
      );
      return { behind: Number(row?.['behind'] ?? 0), stale: Number(row?.['stale'] ?? 0) };
    },
    async hostTokenByHash(hash) {
      const row = one('SELECT * FROM host_token WHERE hash = ?', hash);
      return row && toHostToken(row);
    },
    async hostToken(id) {
      const row = one('SELECT * FROM host_token WHERE id = ?', id);
      return row && toHostToken(row);
    },
    async hostTokens(limit) {
      return all('SELECT * FROM host_token ORDER BY created_ms DESC, id LIMIT ?', limit).map(toHostToken);
    },
    async liveHostCertificates(host, nowMs) {
      const sql = `SELECT ${certificateColumns} WHERE c.host_id = ? AND c.revoked_ms IS NULL AND c.valid_before > ?
        ORDER BY c.ca_id, c.serial`;
      return all(sql, host, Math.floor(nowMs / 1000)).map(toHostCertificate);
    },
    async revokedHostSerials(caFingerprint, notExpiredBeforeSeconds) {
      const sql = `SELECT c.serial FROM host_certificate c JOIN ca ON ca.id = c.ca_id
        WHERE ca.fingerprint = ? AND c.revoked_ms IS NOT NULL AND c.valid_before >= ? ORDER BY c.serial`;
      return BigUint64Array.from(
        all(sql, caFingerprint, notExpiredBeforeSeconds),
        (row) => row['serial'] as bigint,
      );
    },
    async hostAuthoritiesInUse(notExpiredBeforeSeconds) {
      const sql = `SELECT fingerprint FROM ca WHERE EXISTS (
        SELECT 1 FROM host_certificate c WHERE c.ca_id = ca.id AND c.valid_before >= ?
      ) ORDER BY id`;
      return all(sql, notExpiredBeforeSeconds).map((row) => row['fingerprint'] as string);
    },
    async trustDigest() {
      return one('SELECT digest FROM trust_digest')?.['digest'] as string | undefined;
    },
  };
}
