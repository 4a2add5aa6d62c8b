import type { CredentialTarget, LogQuery, Reads, RevokedKeyId } from '../../broker/index.ts';
import type { ThrottleRow } from '../../identity/index.ts';
import type { KeyId, PersonId, Serial } from '../../kernel/index.ts';
import type { Run } from './connections.ts';
import { createDepartureReads } from './departures.ts';
import { createHostReads } from './hosts.ts';
import { searchLog } from './log-search.ts';
import {
  big,
  blob,
  toCredential,
  toPersonState,
  toPublication,
  toRevokedKey,
  toSession,
  toStoredEntry,
  type Row,
} from '../rows.ts';
import { createProbedPortReads } from './probed-ports.ts';
import { createReportedLoginReads } from './reported-logins.ts';
import { createResponseReads } from './responses.ts';
import { abandonedBlocks } from './serial-blocks.ts';
import { createTlsReads } from './tls.ts';

const credentialColumns = 'c.*, ca.fingerprint AS ca_fp FROM credential c JOIN ca ON ca.id = c.ca_id';
const entryColumns = 'e.idx, e.leaf_hash, e.entry, o.openings';
const entriesPerPage = 256;

export interface ReadOptions {
  /** Brings the search so near to the end of the log that the rest can be looked at one by one. */
  readonly catchUp: () => Promise<void>;
  /** Within the transaction of a change: what is found abandoned stays so until it is over. */
  readonly inTransaction: boolean;
}

/** The questions of the broker, asked by `run`. */
export function createReads(run: Run, { catchUp, inTransaction }: ReadOptions): Reads {
  const all = async (sql: string, ...values: readonly unknown[]): Promise<readonly Row[]> =>
    (await run(sql, values)).rows;
  const one = async (sql: string, ...values: readonly unknown[]): Promise<Row | undefined> =>
    (await run(sql, values)).rows[0];

  return {
    ...createReportedLoginReads(all),
    ...createProbedPortReads(all),
    ...createHostReads(all, one),
    ...createResponseReads(all),
    ...createTlsReads(run),
    async session(tokenHash) {
      const row = await one('SELECT * FROM session WHERE token_hash = $1', tokenHash);
      return row && toSession(row);
    },
    ...createDepartureReads(all),
    async sessionsOf(personId, nowMs) {
      const sql = 'SELECT count(*) AS n FROM session WHERE person_id = $1 AND expires_ms > $2';
      return Number((await one(sql, personId, nowMs))?.['n']);
    },
    async person(personId) {
      const row = await one('SELECT * FROM person WHERE person_id = $1', personId);
      return row && toPersonState(row);
    },
    async personsByLogin(login) {
      const sql = 'SELECT * FROM person WHERE lower(login) = lower($1 COLLATE "C")';
      return (await all(sql, login)).map(toPersonState);
    },
    async principalOwners(principals) {
      if (principals.length === 0) return new Map();
      const rows = await all(
        `SELECT asked, p.person_id FROM unnest($1::text[]) AS asked JOIN principal p ON lower(p.name) = lower(asked COLLATE "C")`,
        principals,
      );
      return new Map(rows.map((row) => [row['asked'] as string, row['person_id'] as PersonId]));
    },
    async revokedKey(fingerprint) {
      const row = await one('SELECT * FROM revoked_key WHERE fingerprint = $1', fingerprint);
      return row && toRevokedKey(row);
    },
    async liveCredentials(target, nowMs) {
      const { values, bind } = binder();
      const sql = `SELECT ${credentialColumns} WHERE ${targetClause(target, bind)}
        AND c.revoked_ms IS NULL AND c.valid_before > ${bind(Math.floor(nowMs / 1000))} ORDER BY c.ca_id, c.serial`;
      return (await all(sql, ...values)).map(toCredential);
    },
    async everIssued(target) {
      const { values, bind } = binder();
      const where = targetClause(target, bind);
      const sql = `SELECT 1 FROM credential c JOIN ca ON ca.id = c.ca_id WHERE ${where} LIMIT 1`;
      return (await one(sql, ...values)) !== undefined;
    },
    async credential(caFingerprint, serial) {
      const row = await one(
        `SELECT ${credentialColumns} WHERE ca.fingerprint = $1 AND c.serial = $2`,
        caFingerprint,
        bounded(serial),
      );
      return row && toCredential(row);
    },
    async credentials(query) {
      const conditions: string[] = ['TRUE'];
      const { values, bind } = binder();
      if (query.before !== undefined) conditions.push(`c.serial < ${bind(bounded(query.before))}`);
      if (query.personId !== undefined) conditions.push(`c.person_id = ${bind(query.personId)}`);
      if (query.principal !== undefined)
        conditions.push(`c.folded_principals @> ARRAY[${bind(query.principal.toLowerCase())}::text]`);
      if (query.usableAtMs !== undefined) {
        const atMs = `${bind(query.usableAtMs)}::bigint`;
        const atSeconds = `${bind(Math.floor(query.usableAtMs / 1000))}::bigint`;
        conditions.push(
          `c.issued_ms <= ${atMs} AND c.valid_after <= ${atSeconds} AND c.valid_before > ${atSeconds}`,
          `(c.revoked_ms IS NULL OR c.revoked_ms > ${atMs})`,
        );
      }
      if (query.live)
        conditions.push(`c.revoked_ms IS NULL AND c.valid_before > ${bind(Math.floor(query.nowMs / 1000))}`);
      const sql = `SELECT ${credentialColumns} WHERE ${conditions.join(' AND ')} 
        ORDER BY c.serial DESC, c.ca_id DESC LIMIT ${bind(query.limit)}`;
      return (await all(sql, ...values)).map(toCredential);
    },
    async authoritiesInUse(notExpiredBeforeSeconds) {
      // The newest serials expire last: one of a CA in use is met at once.
      const sql = `SELECT fingerprint FROM ca WHERE (
        SELECT true FROM credential c WHERE c.ca_id = ca.id AND c.valid_before >= $1 ORDER BY c.serial DESC LIMIT 1
      ) ORDER BY id`;
      return (await all(sql, notExpiredBeforeSeconds)).map((row) => row['fingerprint'] as string);
    },
    async revokedSerials(caFingerprint, notExpiredBeforeSeconds) {
      const rows = await all(
        `SELECT c.serial FROM credential c JOIN ca ON ca.id = c.ca_id
         WHERE ca.fingerprint = $1 AND c.revoked_ms IS NOT NULL AND c.valid_before >= $2 ORDER BY c.serial`,
        caFingerprint,
        notExpiredBeforeSeconds,
      );
      return BigUint64Array.from(rows, (row) => big(row, 'serial'));
    },
    // `beginAnew` alone writes any, and no store on PostgreSQL begins its log anew.
    async revokedRanges(caFingerprint, notExpiredBeforeSeconds) {
      const rows = await all(
        `SELECT r.first, r.last FROM revoked_range r JOIN ca ON ca.id = r.ca_id
         WHERE ca.fingerprint = $1 AND r.until >= $2 ORDER BY r.first, r.last`,
        caFingerprint,
        notExpiredBeforeSeconds,
      );
      return rows.map((row) => ({ first: row['first'] as Serial, last: row['last'] as Serial }));
    },
    async revokedKeys() {
      return (await all('SELECT * FROM revoked_key ORDER BY fingerprint')).map(toRevokedKey);
    },
    async revokedKeyIds(notExpiredBeforeSeconds) {
      const sql = 'SELECT * FROM revoked_key_id WHERE valid_before >= $1 ORDER BY ca_fp, key_id';
      return (await all(sql, notExpiredBeforeSeconds)).map((row): RevokedKeyId => ({
        keyId: row['key_id'] as KeyId,
        caFingerprint: row['ca_fp'] as string,
        validBefore: big(row, 'valid_before'),
      }));
    },
    async revocationCount() {
      return Number((await one('SELECT acts FROM revocation_count'))?.['acts']);
    },
    async publication(kind) {
      const row = await one('SELECT * FROM publication WHERE kind = $1', kind);
      return row && toPublication(row);
    },
    async publicationVersion(kind) {
      const row = await one('SELECT version FROM publication WHERE kind = $1', kind);
      return row && big(row, 'version');
    },
    async throttleRows() {
      const rows = await all('SELECT state FROM throttle');
      return rows.map((row) => JSON.parse(row['state'] as string) as ThrottleRow);
    },
    abandonedSerials: () => abandonedBlocks(run, inTransaction),
    async logHead() {
      const row = await one('SELECT * FROM log_head WHERE id = 1');
      if (row === undefined) throw new Error('the log head is missing');
      return {
        size: big(row, 'size'),
        root: blob(row, 'root'),
        checkpoint: row['checkpoint'] as string,
        origin: row['origin'] as string,
      };
    },
    async *logEntries(from, to) {
      // Page by page: a reader that stops half-way holds nothing open.
      for (let next = from; next < to;) {
        const sql = `SELECT ${entryColumns} FROM log_entry e LEFT JOIN log_opening o ON o.idx = e.idx
          WHERE e.idx >= $1 AND e.idx < $2 ORDER BY e.idx LIMIT ${entriesPerPage}`;
        const page = (await all(sql, bounded(next), bounded(to))).map(toStoredEntry);
        yield* page;
        if (page.length < entriesPerPage) return;
        next += BigInt(entriesPerPage);
      }
    },
    async readTile(level, index, width) {
      const first = index * 256n;
      const sql =
        level === 0
          ? 'SELECT leaf_hash AS hash FROM log_entry WHERE idx >= $1 AND idx < $2 ORDER BY idx'
          : 'SELECT hash FROM log_tile_hash WHERE idx >= $1 AND idx < $2 AND level = $3 ORDER BY idx';
      const above = level === 0 ? [] : [level];
      const rows = await all(sql, bounded(first), bounded(first + BigInt(width)), ...above);
      return Buffer.concat(rows.map((row) => blob(row, 'hash')));
    },
    async sinkPositions() {
      const rows = await all('SELECT * FROM sink_position');
      return new Map(rows.map((row) => [row['sink'] as string, big(row, 'next_idx')]));
    },
    async cosignedCheckpoint() {
      const [row] = await all('SELECT * FROM cosigned_checkpoint');
      return row && { size: big(row, 'size'), note: row['note'] as string };
    },
    async searchLog(query: LogQuery) {
      await catchUp();
      const { before } = query;
      const asked = before === undefined ? query : { ...query, before: bounded(before) };
      return (await searchLog(run, asked, entryColumns)).map(toStoredEntry);
    },
  };
}

const maxInteger = (1n << 63n) - 1n;

/** PostgreSQL's integers are signed; nothing that is stored lies beyond. */
function bounded(value: bigint): bigint {
  return value > maxInteger ? maxInteger : value;
}

/** Values of a statement that is being written: `bind` adds one and gives its place. */
function binder(): { readonly values: readonly unknown[]; readonly bind: (value: unknown) => string } {
  const values: unknown[] = [];
  return { values, bind: (value) => `$${values.push(value)}` };
}

function targetClause(target: CredentialTarget, bind: (value: unknown) => string): string {
  switch (target.kind) {
    case 'person':
      return `c.person_id = ${bind(target.personId)}`;
    case 'serial':
      // Serials are counted from 1 and never come near the end of 64 bits: what lies beyond was not issued.
      if (target.serial > maxInteger) return 'FALSE';
      return `ca.fingerprint = ${bind(target.caFingerprint)} AND c.serial = ${bind(target.serial)}`;
    case 'key':
      return `c.key_fp = ${bind(target.fingerprint)}`;
    case 'key_id':
      return `c.key_id = ${bind(target.keyId)}`;
    case 'before':
      return `c.issued_ms < ${bind(target.beforeMs)}`;
  }
}
