import type { Change, RevokedTls, TlsChange, TlsReads, TlsTarget } from '../../broker/index.ts';
import { credentialValues, crlValues, toCrl, toKnownAuthority, toTlsCredential } from '../tls-columns.ts';
import type { Send } from './apply-change.ts';
import type { Run } from './connections.ts';
import { conflict } from './faults.ts';
import { big, blob } from '../rows.ts';

/** Sends the rows about X.509 of one change; nothing waits for an answer. */
export function applyTls(send: Send, change: TlsChange): void {
  const { authorities = [], credential, revoke, crl } = change;
  for (const { caFingerprint, name, certificate, atMs } of authorities)
    send(
      `INSERT INTO x509_ca (fingerprint, name, since_ms, certificate) VALUES ($1, $2, $3, $4)
       ON CONFLICT (fingerprint) DO UPDATE SET certificate = excluded.certificate`,
      [caFingerprint, name, atMs, certificate],
    );
  if (credential !== undefined) send(...insert('x509_credential', credentialValues(credential), ''));
  if (revoke !== undefined) {
    send('UPDATE x509_revocation_count SET acts = acts + 1', []);
    send(
      `UPDATE x509_credential SET revoked_ms = $2, revoked_reason = $3, revoked_code = $4,
         act = (SELECT acts FROM x509_revocation_count)
       WHERE serial = ANY($1::text[]) AND revoked_ms IS NULL`,
      [revoke.serials, revoke.atMs, revoke.reason, revoke.code],
    );
  }
  if (crl === undefined) return;
  const values = crlValues(crl);
  const set = Object.keys(values).map((column) => `${column} = excluded.${column}`);
  const suffix = `ON CONFLICT (ca_fp) DO UPDATE SET ${set.join(', ')} WHERE excluded.number > crl.number`;
  send(...insert('crl', values, suffix), ({ count }) => {
    if (count === 0) throw conflict(`A CRL as new as number ${crl.number} is out already.`);
  });
}

function insert(
  table: string,
  values: Readonly<Record<string, unknown>>,
  suffix: string,
): [sql: string, values: readonly unknown[]] {
  const columns = Object.keys(values);
  const places = columns.map((_, nth) => `$${nth + 1}`).join(', ');
  return [`INSERT INTO ${table} (${columns.join(', ')}) VALUES (${places}) ${suffix}`, Object.values(values)];
}

/** What is erased of X.509 certificates with a person, or with the entries that said it. */
export function eraseTls(send: Send, erase: NonNullable<Change['erase']>): void {
  const forgetReason = "revoked_reason = CASE WHEN revoked_reason IS NULL THEN NULL ELSE 'erased' END";
  send("UPDATE x509_credential SET login = 'erased' WHERE serial = ANY($1::text[])", [erase.tlsLogins ?? []]);
  send(`UPDATE x509_credential SET ${forgetReason} WHERE serial = ANY($1::text[])`, [
    erase.tlsRevokedReasons ?? [],
  ]);
  if (erase.person === undefined) return;
  send("UPDATE x509_credential SET login = 'erased' WHERE person_id = $1", [erase.person]);
  send(`UPDATE x509_credential SET ${forgetReason} WHERE person_id = $1 OR subject_id = $1`, [erase.person]);
}

/** The questions about X.509, asked by `run`. */
export function createTlsReads(run: Run): TlsReads {
  const all = async (sql: string, values: readonly unknown[]) => (await run(sql, values)).rows;
  return {
    async tlsCredential(serial) {
      const [row] = await all('SELECT * FROM x509_credential WHERE serial = $1', [serial]);
      return row && toTlsCredential(row);
    },
    async liveTls(target, nowMs) {
      const [where, value] = targetClause(target);
      const sql = `SELECT * FROM x509_credential WHERE ${where} AND revoked_ms IS NULL AND not_after >= $2 ORDER BY id`;
      return (await all(sql, [value, Math.floor(nowMs / 1000)])).map(toTlsCredential);
    },
    async everIssuedTls(target) {
      const [where, value] = targetClause(target);
      return (await all(`SELECT 1 FROM x509_credential WHERE ${where} LIMIT 1`, [value])).length > 0;
    },
    async tlsCredentials({ personId, live, endsBefore, before, limit, nowMs }) {
      const conditions = ['TRUE'];
      const values: unknown[] = [];
      const bind = (value: unknown): string => `$${values.push(value)}`;
      if (personId !== undefined) {
        const person = bind(personId);
        conditions.push(`(person_id = ${person} OR subject_id = ${person})`);
      }
      if (live) conditions.push(`revoked_ms IS NULL AND not_after >= ${bind(Math.floor(nowMs / 1000))}`);
      if (endsBefore !== undefined) conditions.push(`not_after < ${bind(endsBefore)}`);
      if (before !== undefined) conditions.push(`id < ${bind(before)}`);
      const sql = `SELECT * FROM x509_credential WHERE ${conditions.join(' AND ')} ORDER BY id DESC LIMIT ${bind(limit)}`;
      return (await all(sql, values)).map(toTlsCredential);
    },
    async revokedTls(caFingerprint, afterAct, notExpiredBefore) {
      const sql = `SELECT serial, revoked_ms, revoked_code, act FROM x509_credential
        WHERE ca_fp = $1 AND act > $2 AND not_after >= $3 ORDER BY act, id`;
      return (await all(sql, [caFingerprint, afterAct, notExpiredBefore])).map((row) => ({
        serial: row['serial'] as RevokedTls['serial'],
        revokedMs: Number(row['revoked_ms']),
        reason: row['revoked_code'] as RevokedTls['reason'],
        act: Number(row['act']),
      }));
    },
    async tlsRevocationCount() {
      return Number((await all('SELECT acts FROM x509_revocation_count', []))[0]?.['acts']);
    },
    async crlPublication(caFingerprint) {
      const [row] = await all('SELECT * FROM crl WHERE ca_fp = $1', [caFingerprint]);
      return row && toCrl(row, (column) => blob(row, column));
    },
    async crlNumber(caFingerprint) {
      const [row] = await all('SELECT number FROM crl WHERE ca_fp = $1', [caFingerprint]);
      return row && big(row, 'number');
    },
    async tlsAuthorities() {
      return (await all('SELECT fingerprint, certificate FROM x509_ca', [])).map(toKnownAuthority);
    },
  };
}

function targetClause(target: TlsTarget): [where: string, value: unknown] {
  switch (target.kind) {
    case 'person':
      return ['subject_id = $1', target.personId];
    case 'serial':
      return ['serial = $1', target.serial];
    case 'key':
      return ['key_fp = $1', target.fingerprint];
    case 'before':
      return ['issued_ms < $1', target.beforeMs];
  }
}
