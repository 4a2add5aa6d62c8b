import type { SQLInputValue } from 'node:sqlite';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { CredentialTarget, Reads, RevokedKeyId } from '../../broker/index.ts';
import type { ThrottleRow } from '../../identity/index.ts';
import type { KeyId, Serial } from '../../kernel/index.ts';
import { createDepartureReads } from './departures.ts';
import { createHostReads } from './hosts.ts';
import { createLogSearch } from './log-search.ts';
import {
  blob,
  toCredential,
  toPersonState,
  toPublication,
  toRevokedKey,
  toStoredEntry,
  type Row,
} from '../rows.ts';
import { createPointReads } from './point-reads.ts';
import { createProbedPortReads } from './probed-ports.ts';
import { createReportedLoginReads } from './reported-logins.ts';
import { createResponseReads } from './responses.ts';
import { abandonedBlocks, type ReservedBefore } from './serial-blocks.ts';
import type { Statements } from './statements.ts';
import { createTlsReads } from './tls.ts';

const credentialColumns = `c.*, ca.fingerprint AS ca_fp FROM credential c JOIN ca ON ca.id = c.ca_id`;
const entryColumns = 'e.idx, e.leaf_hash, e.entry, o.openings';
const entriesPerPage = 256;
const serialsPerPage = 1000;

/** What is built behind the rows, before a question that needs it. */
export interface CatchUp {
  /** Near enough to the end of the log for the rest to be looked at one by one. */
  log(): Promise<void>;
  /** To the last credential. */
  credentials(): Promise<void>;
}

/** The questions of the broker over one connection. */
export function createReads(statement: Statements, before: ReservedBefore, catchUp: CatchUp): Reads {
  const point = createPointReads(statement);
  const all = (sql: string, ...values: SQLInputValue[]): Row[] => statement(sql).all(...values);
  const one = (sql: string, ...values: SQLInputValue[]): Row | undefined => statement(sql).get(...values);
  const searchLog = createLogSearch(all, entryColumns);

  return {
    ...createReportedLoginReads(all),
    ...createProbedPortReads(all),
    ...createHostReads(all, one),
    ...createResponseReads(all),
    ...createTlsReads(statement),
    session: async (tokenHash) => point.session(tokenHash),
    person: async (personId) => point.person(personId),
    principalOwners: async (principals) => point.principalOwners(principals),
    revokedKey: async (fingerprint) => point.revokedKey(fingerprint),
    ...createDepartureReads(all),
    async sessionsOf(personId, nowMs) {
      return Number(
        one('SELECT count(*) AS n FROM session WHERE person_id = ? AND expires_ms > ?', personId, nowMs)?.[
          'n'
        ],
      );
    },
    async personsByLogin(login) {
      return all('SELECT * FROM person WHERE login = ? COLLATE NOCASE', login).map(toPersonState);
    },
    async liveCredentials(target, nowMs) {
      await catchUp.credentials();
      const { where, values } = targetClause(target);
      const sql = `SELECT ${credentialColumns} WHERE ${where} AND c.revoked_ms IS NULL AND c.valid_before > ? ORDER BY c.ca_id, c.serial`;
      return all(sql, ...values, Math.floor(nowMs / 1000)).map(toCredential);
    },
    async authoritiesInUse(notExpiredBeforeSeconds) {
      // The newest serials expire last: one of a CA in use is met at once.
      const sql = `SELECT fingerprint FROM ca WHERE (
        SELECT 1 FROM credential c WHERE c.ca_id = ca.id AND c.valid_before >= ? ORDER BY c.serial DESC LIMIT 1
      ) IS NOT NULL ORDER BY id`;
      return all(sql, notExpiredBeforeSeconds).map((row) => row['fingerprint'] as string);
    },
    async everIssued(target) {
      await catchUp.credentials();
      const { where, values } = targetClause(target);
      return (
        one(`SELECT 1 FROM credential c JOIN ca ON ca.id = c.ca_id WHERE ${where} LIMIT 1`, ...values) !==
        undefined
      );
    },
    async credential(caFingerprint, serial) {
      const row = one(
        `SELECT ${credentialColumns} WHERE ca.fingerprint = ? AND c.serial = ?`,
        caFingerprint,
        bounded(serial),
      );
      return row && toCredential(row);
    },
    async credentials(query) {
      const conditions = ['TRUE'];
      const values: SQLInputValue[] = [];
      if (query.before !== undefined) {
        conditions.push('c.serial < ?');
        values.push(bounded(query.before));
      }
      if (query.personId !== undefined) {
        await catchUp.credentials();
        const { where, values: named } = targetClause({ kind: 'person', personId: query.personId });
        conditions.push(where);
        values.push(...named);
      }
      if (query.principal !== undefined) {
        await catchUp.credentials();
        const { where, values: named } = byIndex(`principal:${query.principal.toLowerCase()}`);
        conditions.push(where);
        values.push(...named);
      }
      if (query.usableAtMs !== undefined) {
        const atMs = query.usableAtMs;
        const atSeconds = Math.floor(atMs / 1000);
        conditions.push(
          'c.issued_ms <= ? AND c.valid_after <= ? AND c.valid_before > ? AND (c.revoked_ms IS NULL OR c.revoked_ms > ?)',
        );
        values.push(atMs, atSeconds, atSeconds, atMs);
      }
      if (query.live) {
        conditions.push('c.revoked_ms IS NULL AND c.valid_before > ?');
        values.push(Math.floor(query.nowMs / 1000));
      }
      const sql = `SELECT ${credentialColumns} WHERE ${conditions.join(' AND ')} ORDER BY c.serial DESC LIMIT ?`;
      return all(sql, ...values, query.limit).map(toCredential);
    },
    async revokedSerials(caFingerprint, notExpiredBeforeSeconds) {
      // In the order of the index, which has no expired ones on the way.
      const sql = `SELECT c.serial, c.valid_before, c.id FROM credential c
        WHERE c.ca_id = (SELECT id FROM ca WHERE fingerprint = ?) AND c.revoked_ms IS NOT NULL
        AND (c.valid_before, c.id) > (?, ?) ORDER BY c.valid_before, c.id LIMIT ${serialsPerPage}`;
      const pages: BigUint64Array[] = [];
      let [validBefore, id] = [notExpiredBeforeSeconds, 0n];
      // Page by page, and others have their turn in between: a million at once would hold up everybody.
      for (;;) {
        const rows = all(sql, caFingerprint, validBefore, id);
        pages.push(BigUint64Array.from(rows, (row) => row['serial'] as bigint));
        const last = rows.at(-1);
        if (last === undefined || rows.length < serialsPerPage) return joined(pages);
        [validBefore, id] = [last['valid_before'] as bigint, last['id'] as bigint];
        await nextTurn();
      }
    },
    async revokedRanges(caFingerprint, notExpiredBeforeSeconds) {
      const rows = all(
        `SELECT r.first, r.last FROM revoked_range r JOIN ca ON ca.id = r.ca_id
         WHERE ca.fingerprint = ? AND r.until >= ? ORDER BY r.first, r.last`,
        caFingerprint,
        notExpiredBeforeSeconds,
      );
      return rows.map((row) => ({ first: row['first'] as Serial, last: row['last'] as Serial }));
    },
    async revokedKeys() {
      return all('SELECT * FROM revoked_key ORDER BY fingerprint').map(toRevokedKey);
    },
    async revokedKeyIds(notExpiredBeforeSeconds) {
      const sql = 'SELECT * FROM revoked_key_id WHERE valid_before >= ? ORDER BY ca_fp, key_id';
      return all(sql, notExpiredBeforeSeconds).map((row): RevokedKeyId => ({
        keyId: row['key_id'] as KeyId,
        caFingerprint: row['ca_fp'] as string,
        validBefore: row['valid_before'] as bigint,
      }));
    },
    async revocationCount() {
      return Number(one('SELECT acts FROM revocation_count')?.['acts']);
    },
    async publication(kind) {
      const row = one('SELECT * FROM publication WHERE kind = ?', kind);
      return row && toPublication(row);
    },
    async publicationVersion(kind) {
      return one('SELECT version FROM publication WHERE kind = ?', kind)?.['version'] as bigint | undefined;
    },
    abandonedSerials: async () => abandonedBlocks(statement, before),
    async throttleRows() {
      return all('SELECT state FROM throttle').map(
        (row) => JSON.parse(row['state'] as string) as ThrottleRow,
      );
    },
    async logHead() {
      const row = one('SELECT * FROM log_head WHERE id = 1');
      if (row === undefined) throw new Error('the log head is missing');
      return {
        size: row['size'] as bigint,
        root: blob(row, 'root'),
        checkpoint: row['checkpoint'] as string,
        origin: row['origin'] as string,
      };
    },
    async *logEntries(from, to) {
      // Page by page: a reader that stops half-way holds no statement open.
      for (let next = from; next < to;) {
        const sql = `SELECT ${entryColumns} FROM log_entry e LEFT JOIN log_opening o ON o.idx = e.idx
          WHERE e.idx >= ? AND e.idx < ? ORDER BY e.idx LIMIT ${entriesPerPage}`;
        const page = all(sql, bounded(next), bounded(to)).map(toStoredEntry);
        yield* page;
        if (page.length < entriesPerPage) return;
        next += BigInt(entriesPerPage);
      }
    },
    readTile(level, index, width) {
      const first = index * 256n;
      const sql =
        level === 0
          ? 'SELECT leaf_hash AS hash FROM log_entry WHERE idx >= ? AND idx < ? ORDER BY idx'
          : 'SELECT hash FROM log_tile_hash WHERE idx >= ? AND idx < ? AND level = ? ORDER BY idx';
      const above = level === 0 ? [] : [level];
      return Buffer.concat(
        all(sql, bounded(first), bounded(first + BigInt(width)), ...above).map((row) => blob(row, 'hash')),
      );
    },
    async sinkPositions() {
      const rows = all('SELECT * FROM sink_position');
      return new Map(rows.map((row) => [row['sink'] as string, row['next_idx'] as bigint]));
    },
    async cosignedCheckpoint() {
      const row = one('SELECT * FROM cosigned_checkpoint');
      return row && { size: row['size'] as bigint, note: row['note'] as string };
    },
    async searchLog(query) {
      await catchUp.log();
      const { before } = query;
      const asked = before === undefined ? query : { ...query, before: bounded(before) };
      return (await searchLog(asked)).map(toStoredEntry);
    },
  };
}

function joined(pages: readonly BigUint64Array[]): BigUint64Array {
  const all = new BigUint64Array(pages.reduce((sum, page) => sum + page.length, 0));
  let at = 0;
  for (const page of pages) {
    all.set(page, at);
    at += page.length;
  }
  return all;
}

const maxInteger = (1n << 63n) - 1n;

/** SQLite's integers are signed; nothing that is stored lies beyond. */
function bounded(value: bigint): bigint {
  return value > maxInteger ? maxInteger : value;
}

function byIndex(what: string): { where: string; values: SQLInputValue[] } {
  return { where: 'c.id IN (SELECT credential_id FROM credential_by WHERE what = ?)', values: [what] };
}

function targetClause(target: CredentialTarget): { where: string; values: SQLInputValue[] } {
  switch (target.kind) {
    case 'person':
      return byIndex(`person:${target.personId}`);
    case 'serial':
      // Serials are counted from 1 and never come near the end of SQLite's integers: what lies beyond was not issued.
      if (target.serial > maxInteger) return { where: '0', values: [] };
      return { where: 'ca.fingerprint = ? AND c.serial = ?', values: [target.caFingerprint, target.serial] };
    case 'key':
      return byIndex(`key:${target.fingerprint}`);
    case 'key_id':
      return byIndex(`key_id:${target.keyId}`);
    case 'before':
      return { where: 'c.issued_ms < ?', values: [target.beforeMs] };
  }
}
