import type { HostCertificate, HostMove, HostReads, HostsChange, HostState } from '../../broker/index.ts';
import type { HostId } from '../../kernel/index.ts';
import { toHost, toHostCertificate, toHostToken } from '../host-rows.ts';
import { big, type Row } from '../rows.ts';
import type { Send } from './apply-change.ts';
import { conflict } from './faults.ts';

/** Sends the part of a change that is about hosts, within the transaction that is open. */
export function applyHosts(send: Send, owner: string, change: HostsChange): void {
  applyTokens(send, change);
  if (change.forgetPendingBefore !== undefined)
    send("DELETE FROM host WHERE state = 'pending' AND created_ms < $1", [change.forgetPendingBefore]);
  if (change.newHost !== undefined) insertHost(send, change.newHost);
  for (const move of change.moves ?? []) moveHost(send, move);
  for (const certificate of change.certificates ?? []) insertCertificate(send, owner, certificate);
  if (change.revokeCertificates !== undefined) {
    const { hosts, atMs, reason } = change.revokeCertificates;
    send(
      'UPDATE host_certificate SET revoked_ms = $2, revoked_reason = $3 WHERE host_id = ANY($1) AND revoked_ms IS NULL',
      [hosts, atMs, reason],
    );
    send('UPDATE revocation_count SET acts = acts + 1', []);
  }
  if (change.contact !== undefined) recordContact(send, change.contact);
  if (change.trustDigest !== undefined)
    send('INSERT INTO trust_digest VALUES (1, $1) ON CONFLICT (id) DO UPDATE SET digest = excluded.digest', [
      change.trustDigest,
    ]);
}

function applyTokens(send: Send, { newToken: token, useToken, dropToken }: HostsChange): void {
  if (token !== undefined) {
    send('INSERT INTO host_token VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, NULL)', [
      token.id,
      token.hash,
      token.group,
      token.names,
      token.addresses,
      token.maxUses,
      token.used,
      token.createdMs,
      token.expiresMs,
      token.createdBy,
    ]);
  }
  if (useToken !== undefined) {
    send(
      'UPDATE host_token SET used = used + 1 WHERE id = $1 AND used < max_uses AND dropped_ms IS NULL AND expires_ms > $2',
      [useToken.id, useToken.atMs],
      refuseNone('The token is not good any more.'),
    );
  }
  if (dropToken !== undefined) {
    send(
      'UPDATE host_token SET dropped_ms = $2 WHERE id = $1 AND dropped_ms IS NULL',
      [dropToken.id, dropToken.atMs],
      refuseNone('The token is dropped already.'),
    );
  }
}

function insertHost(send: Send, { host, claims }: NonNullable<HostsChange['newHost']>): void {
  send(
    `INSERT INTO host VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) ON CONFLICT DO NOTHING`,
    [
      host.id,
      host.group,
      host.state,
      host.names,
      host.addresses,
      host.identityKey,
      host.identityFingerprint,
      host.hostKeys,
      host.platform,
      host.machine,
      host.tokenId,
      host.createdMs,
      host.changedMs,
      host.conflict,
      host.conflictWith,
    ],
    refuseNone('A host with this identity is known already.'),
  );
  if (host.state === 'enrolled') claim(send, host.id, claims);
  else if (host.state === 'conflict') insertClaims(send, host.id, claims);
}

function insertClaims(send: Send, id: HostId, claims: readonly string[]): void {
  // Sorted: two that claim the same do not wait for each other in a circle.
  send('INSERT INTO host_claim SELECT what, $2 FROM unnest($1::text[]) AS what ON CONFLICT DO NOTHING', [
    claims.toSorted(),
    id,
  ]);
}

function claim(send: Send, id: HostId, claims: readonly string[]): void {
  insertClaims(send, id, claims);
  send(
    'SELECT what FROM host_claim WHERE what = ANY($1::text[]) AND host_id <> $2 LIMIT 1',
    [claims, id],
    ({ rows: [taken] }) => {
      if (taken !== undefined) throw conflict(`Another host holds ${String(taken['what'])}.`);
    },
  );
}

function moveHost(send: Send, move: HostMove): void {
  const { id, from, to, atMs, group, names, addresses, machine, hostKeys, claims } = move;
  send(
    `UPDATE host SET state = $2, changed_ms = $3, host_group = coalesce($4, host_group), names = coalesce($5::text[], names),
       addresses = coalesce($6::text[], addresses), machine = coalesce($7, machine), host_keys = coalesce($11::text[], host_keys),
       conflict = $8, conflict_with = $9
     WHERE id = $1 AND state = ANY($10)`,
    [id, to, atMs, group, names, addresses, machine, move.conflict?.why, move.conflict?.with, from, hostKeys],
    refuseNone(`The host ${id} is in another state by now.`),
  );
  if (move.forgetStep === true) send('UPDATE host_contact SET step = -1 WHERE host_id = $1', [id]);
  if (claims === undefined && to !== 'retired') return;
  send('DELETE FROM host_claim WHERE host_id = $1', [id]);
  if (to !== 'retired') claim(send, id, claims ?? []);
}

function insertCertificate(send: Send, owner: string, certificate: HostCertificate): void {
  send(
    `INSERT INTO host_certificate
     SELECT ca.id, $2::bigint, $3, $4, $5, $6, $7, $8, $9, $10, NULL, NULL
     FROM ca WHERE fingerprint = $1 AND EXISTS (
       SELECT 1 FROM serial_block b WHERE b.ca_id = ca.id AND b.owner = $11 AND b.first <= $2 AND b.last >= $2
     )`,
    [
      certificate.caFingerprint,
      certificate.serial,
      certificate.keyId,
      certificate.hostId,
      certificate.keyType,
      certificate.keyFingerprint,
      certificate.principals,
      certificate.validAfter,
      certificate.validBefore,
      certificate.issuedMs,
      owner,
    ],
    refuseNone(`Serial ${certificate.serial} of ${certificate.caFingerprint} is not this broker’s to use.`),
  );
}

function recordContact(send: Send, contact: NonNullable<HostsChange['contact']>): void {
  const { host, machine, step, contactMs, installed, checks, sshd, lastLoginMs } = contact;
  send(
    `WITH known AS (SELECT machine FROM host WHERE id = $1 AND state = 'enrolled' AND machine IN ('', $2)), learned AS (
       UPDATE host SET machine = $2 WHERE id = $1 AND machine = '' AND state = 'enrolled'
     ) SELECT 1 FROM known`,
    [host, machine],
    refuseNone('The host is not enrolled, or this is another machine.'),
  );
  send(
    `INSERT INTO host_contact AS c VALUES ($1, $2, $3, $4, $3, $5, $6, $7) ON CONFLICT (host_id) DO UPDATE SET
       step = excluded.step, contact_ms = excluded.contact_ms, installed = excluded.installed, checks = excluded.checks, sshd = excluded.sshd,
       installed_ms = CASE WHEN c.installed = excluded.installed THEN c.installed_ms ELSE excluded.installed_ms END,
       last_login_ms = coalesce(excluded.last_login_ms, c.last_login_ms)
     WHERE c.step < excluded.step`,
    [host, step, contactMs, installed, checks, sshd, lastLoginMs],
    refuseNone('The host has said a later step already.'),
  );
}

function refuseNone(why: string): (answer: { readonly count: number }) => void {
  return ({ count }) => {
    if (count === 0) throw conflict(why);
  };
}

const hostColumns = `h.*, c.step, c.contact_ms, c.installed, c.installed_ms, c.checks, c.sshd, c.last_login_ms
  FROM host h LEFT JOIN host_contact c ON c.host_id = h.id`;
const certificateColumns = 'c.*, ca.fingerprint AS ca_fp FROM host_certificate c JOIN ca ON ca.id = c.ca_id';

/** The questions about hosts. */
export function createHostReads(
  all: (sql: string, ...values: readonly unknown[]) => Promise<readonly Row[]>,
  one: (sql: string, ...values: readonly unknown[]) => Promise<Row | undefined>,
): HostReads {
  return {
    async host(id) {
      const row = await one(`SELECT ${hostColumns} WHERE h.id = $1`, id);
      return row && toHost(row);
    },
    async hostsById(ids) {
      const rows = await all(`SELECT ${hostColumns} WHERE h.id = ANY($1)`, ids);
      return new Map(rows.map((row) => [row['id'] as HostId, toHost(row)]));
    },
    async hostByIdentity(identityFingerprint) {
      const row = await one(`SELECT ${hostColumns} WHERE h.identity_fp = $1`, identityFingerprint);
      return row && toHost(row);
    },
    async hostClaims(claims) {
      const rows = await all('SELECT what, host_id FROM host_claim WHERE what = ANY($1::text[])', claims);
      return new Map(rows.map((row) => [row['what'] as string, row['host_id'] as HostId]));
    },
    async hosts({ state, group, after, limit }) {
      const sql = `SELECT ${hostColumns} WHERE h.id > $1 AND ($2::text IS NULL OR h.state = $2) AND ($3::text IS NULL OR h.host_group = $3)
        ORDER BY h.id LIMIT $4`;
      return (await all(sql, after ?? '', state, group, limit)).map(toHost);
    },
    async hostCounts() {
      const rows = await all('SELECT state, host_group, count(*) AS n FROM host GROUP BY state, host_group');
      return rows.map((row) => ({
        state: row['state'] as HostState,
        group: row['host_group'] as string,
        count: Number(row['n']),
      }));
    },
    async hostLag(group, version, staleBeforeMs) {
      const row = await one(
        `SELECT count(*) FILTER (WHERE coalesce(c.installed, 0) < $2) AS behind,
           count(*) FILTER (WHERE coalesce(c.installed, 0) = 0 OR c.installed_ms < $3) AS stale
         FROM host h LEFT JOIN host_contact c ON c.host_id = h.id WHERE h.state = 'enrolled' AND h.host_group = $1`,
        group,
        version,
        staleBeforeMs,
      );
      return { behind: Number(row?.['behind']), stale: Number(row?.['stale']) };
    },
    async hostTokenByHash(hash) {
      const row = await one('SELECT * FROM host_token WHERE hash = $1', hash);
      return row && toHostToken(row);
    },
    async hostToken(id) {
      const row = await one('SELECT * FROM host_token WHERE id = $1', id);
      return row && toHostToken(row);
    },
    async hostTokens(limit) {
      const sql = 'SELECT * FROM host_token ORDER BY created_ms DESC, id LIMIT $1';
      return (await all(sql, limit)).map(toHostToken);
    },
    async liveHostCertificates(host, nowMs) {
      const sql = `SELECT ${certificateColumns} WHERE c.host_id = $1 AND c.revoked_ms IS NULL AND c.valid_before > $2
        ORDER BY c.ca_id, c.serial`;
      return (await all(sql, host, Math.floor(nowMs / 1000))).map(toHostCertificate);
    },
    async revokedHostSerials(caFingerprint, notExpiredBeforeSeconds) {
      const rows = await all(
        `SELECT c.serial FROM host_certificate c JOIN ca ON ca.id = c.ca_id
         WHERE ca.fingerprint = $1 AND c.revoked_ms IS NOT NULL AND c.valid_before >= $2 ORDER BY c.serial`,
        caFingerprint,
        notExpiredBeforeSeconds,
      );
      return BigUint64Array.from(rows, (row) => big(row, 'serial'));
    },
    async hostAuthoritiesInUse(notExpiredBeforeSeconds) {
      const sql = `SELECT fingerprint FROM ca WHERE EXISTS (
        SELECT 1 FROM host_certificate c WHERE c.ca_id = ca.id AND c.valid_before >= $1
      ) ORDER BY id`;
      return (await all(sql, notExpiredBeforeSeconds)).map((row) => row['fingerprint'] as string);
    },
    async trustDigest() {
      return (await one('SELECT digest FROM trust_digest'))?.['digest'] as string | undefined;
    },
  };
}
