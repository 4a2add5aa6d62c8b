import type { SQLInputValue } from 'node:sqlite';
import type { Change, RevokedTls, TlsChange, TlsReads, TlsTarget } from '../../broker/index.ts';
import { CodedError } from '../../kernel/index.ts';
import { credentialValues, crlValues, toCrl, toKnownAuthority, toTlsCredential } from '../tls-columns.ts';
import { blob } from '../rows.ts';
import type { Statements } from './statements.ts';

type Run = (sql: string, ...values: SQLInputValue[]) => number;

/** Writes the rows about X.509 of one change. @throws CodedError `store.conflict` */
export function applyTls(run: Run, change: TlsChange): void {
  const { authorities = [], credential, revoke, crl } = change;
  for (const { caFingerprint, name, certificate, atMs } of authorities)
    run(
      `INSERT INTO x509_ca (fingerprint, name, since_ms, certificate) VALUES (?, ?, ?, ?)
       ON CONFLICT (fingerprint) DO UPDATE SET certificate = excluded.certificate`,
      caFingerprint,
      name,
      atMs,
      certificate,
    );
  if (credential !== undefined) insert(run, 'x509_credential', credentialValues(credential), '');
  if (revoke !== undefined) {
    run('UPDATE x509_revocation_count SET acts = acts + 1');
    for (const serial of revoke.serials)
      run(
        `UPDATE x509_credential SET revoked_ms = ?, revoked_reason = ?, revoked_code = ?, act = (SELECT acts FROM x509_revocation_count)
         WHERE serial = ? AND revoked_ms IS NULL`,
        revoke.atMs,
        revoke.reason,
        revoke.code,
        serial,
      );
  }
  if (crl === undefined) return;
  const values = crlValues(crl);
  const set = Object.keys(values).map((column) => `${column} = excluded.${column}`);
  const suffix = `ON CONFLICT (ca_fp) DO UPDATE SET ${set.join(', ')} WHERE excluded.number > crl.number`;
  if (insert(run, 'crl', values, suffix) === 0) {
    throw new CodedError('store.conflict', `A CRL as new as number ${crl.number} is out already.`, {
      next: 'Ask again; if the refusal stays, ask your administrator.',
    });
  }
}

function insert(
  run: Run,
  table: string,
  values: Readonly<Record<string, SQLInputValue>>,
  suffix: string,
): number {
  const columns = Object.keys(values);
  const places = columns.map(() => '?').join(', ');
  return run(
    `INSERT INTO ${table} (${columns.join(', ')}) VALUES (${places}) ${suffix}`,
    ...Object.values(values),
  );
}

/** What is erased of X.509 certificates with a person, or with the entries that said it. */
export function eraseTls(run: Run, erase: NonNullable<Change['erase']>): void {
  const forgetReason = "revoked_reason = CASE WHEN revoked_reason IS NULL THEN NULL ELSE 'erased' END";
  for (const serial of erase.tlsLogins ?? [])
    run("UPDATE x509_credential SET login = 'erased' WHERE serial = ?", serial);
  for (const serial of erase.tlsRevokedReasons ?? [])
    run(`UPDATE x509_credential SET ${forgetReason} WHERE serial = ?`, serial);
  if (erase.person === undefined) return;
  run("UPDATE x509_credential SET login = 'erased' WHERE person_id = ?", erase.person);
  run(`UPDATE x509_credential SET ${forgetReason} WHERE person_id = ?1 OR subject_id = ?1`, erase.person);
}

/** The questions about X.509 over one connection. */
export function createTlsReads(statement: Statements): TlsReads {
  return {
    async tlsCredential(serial) {
      const row = statement('SELECT * FROM x509_credential WHERE serial = ?').get(serial);
      return row && toTlsCredential(row);
    },
    async liveTls(target, nowMs) {
      const { where, values } = targetClause(target);
      const sql = `SELECT * FROM x509_credential WHERE ${where} AND revoked_ms IS NULL AND not_after >= ? ORDER BY id`;
      return statement(sql)
        .all(...values, Math.floor(nowMs / 1000))
        .map(toTlsCredential);
    },
    async everIssuedTls(target) {
      const { where, values } = targetClause(target);
      return statement(`SELECT 1 FROM x509_credential WHERE ${where} LIMIT 1`).get(...values) !== undefined;
    },
    async tlsCredentials({ personId, live, endsBefore, before, limit, nowMs }) {
      const conditions = ['TRUE'];
      const values: SQLInputValue[] = [];
      const when = (condition: string, ...given: SQLInputValue[]): void => {
        conditions.push(condition);
        values.push(...given);
      };
      if (personId !== undefined) when('(person_id = ? OR subject_id = ?)', personId, personId);
      if (live) when('revoked_ms IS NULL AND not_after >= ?', Math.floor(nowMs / 1000));
      if (endsBefore !== undefined) when('not_after < ?', endsBefore);
      if (before !== undefined) when('id < ?', before);
      const sql = `SELECT * FROM x509_credential WHERE ${conditions.join(' AND ')} ORDER BY id DESC LIMIT ?`;
      return statement(sql)
        .all(...values, limit)
        .map(toTlsCredential);
    },
    async revokedTls(caFingerprint, afterAct, notExpiredBefore) {
      const sql = `SELECT serial, revoked_ms, revoked_code, act FROM x509_credential
        WHERE ca_fp = ? AND act > ? AND not_after >= ? ORDER BY act, id`;
      return statement(sql)
        .all(caFingerprint, afterAct, notExpiredBefore)
        .map((row) => ({
          serial: row['serial'] as RevokedTls['serial'],
          revokedMs: Number(row['revoked_ms']),
          reason: row['revoked_code'] as RevokedTls['reason'],
          act: Number(row['act']),
        }));
    },
    async tlsRevocationCount() {
      return Number(statement('SELECT acts FROM x509_revocation_count').get()?.['acts']);
    },
    async crlPublication(caFingerprint) {
      const row = statement('SELECT * FROM crl WHERE ca_fp = ?').get(caFingerprint);
      return row && toCrl(row, (column) => blob(row, column));
    },
    async crlNumber(caFingerprint) {
      return statement('SELECT number FROM crl WHERE ca_fp = ?').get(caFingerprint)?.['number'] as
        bigint | undefined;
    },
    async tlsAuthorities() {
      return statement('SELECT fingerprint, certificate FROM x509_ca').all().map(toKnownAuthority);
    },
  };
}

function targetClause(target: TlsTarget): { where: string; values: SQLInputValue[] } {
  switch (target.kind) {
    case 'person':
      return { where: 'subject_id = ?', values: [target.personId] };
    case 'serial':
      return { where: 'serial = ?', values: [target.serial] };
    case 'key':
      return { where: 'key_fp = ?', values: [target.fingerprint] };
    case 'before':
      return { where: 'issued_ms < ?', values: [target.beforeMs] };
  }
}
