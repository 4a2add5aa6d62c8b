import { createHash } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import type { LogAppender, LogHead } from '../accounting/index.ts';
import { CodedError } from '../kernel/index.ts';
import type { PostgresAddress } from './postgres/address.ts';
import { Connections, type Run } from './postgres/connections.ts';
import { asCoded, damaged } from './postgres/faults.ts';
import { checkStored, sendTileHashes } from './postgres/log-rows.ts';
import { migratePostgres } from './postgres/migrate.ts';
import { notEmpty } from './postgres/postgres-store.ts';
import { beginProofMemory } from './postgres/shared-memory.ts';
import { openDatabases } from './sqlite/database.ts';
import { blob, type Row } from './rows.ts';

const rowsPerPage = 2000;

/** The tables as they are in both, with the types of their columns there. Searches and other indexes are filled in anew. */
const tables: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  person: {
    person_id: 'text',
    directory: 'text',
    login: 'text',
    first_seen_ms: 'bigint',
    epoch: 'int',
    expelled_ms: 'bigint',
    locked_ms: 'bigint',
    lock_reason: 'text',
  },
  principal: { name: 'text', person_id: 'text', since_ms: 'bigint' },
  session: {
    token_hash: 'bytea',
    id: 'text',
    person_id: 'text',
    login: 'text',
    directory: 'text',
    key_thumbprint: 'text',
    created_ms: 'bigint',
    expires_ms: 'bigint',
  },
  throttle: { key: 'text', state: 'text', forget_ms: 'bigint' },
  ca: { id: 'int', fingerprint: 'text', next_serial: 'bigint' },
  // Of a broker that is gone: the first one to start declares void what was never released.
  serial_block: { ca_id: 'int', first: 'bigint', last: 'bigint', owner: 'text' },
  revoked_key: { fingerprint: 'text', revoked_ms: 'bigint', reason: 'text' },
  revoked_key_id: { ca_fp: 'text', key_id: 'text', valid_before: 'bigint' },
  publication: {
    kind: 'text',
    version: 'bigint',
    published_ms: 'bigint',
    bytes: 'bytea',
    signature: 'text',
    sha256: 'text',
    revocations: 'bigint',
  },
  sink_position: { sink: 'text', next_idx: 'bigint' },
  cosigned_checkpoint: { id: 'int', size: 'bigint', note: 'text' },
  followed_directory: { directory: 'text', cursor: 'text', moved_ms: 'bigint' },
  departure_review: {
    id: 'text',
    directory: 'text',
    opened_ms: 'bigint',
    state: 'text',
    decided_ms: 'bigint',
    facts: 'text',
  },
  revoked_range: { ca_id: 'int', first: 'bigint', last: 'bigint', until: 'bigint' },
  probed_port: {
    host: 'text',
    port: 'int',
    service: 'text',
    application: 'text',
    state: 'text',
    not_after_ms: 'bigint',
    findings: 'text',
    probed_ms: 'bigint',
  },
  report_position: { host_id: 'text', boot: 'text', next_seq: 'bigint', reported_ms: 'bigint' },
  waiting_login: {
    host_id: 'text',
    boot: 'text',
    seq: 'bigint',
    at_ms: 'bigint',
    line: 'text',
    due_ms: 'bigint',
  },
  response_request: {
    id: 'text',
    host_id: 'text',
    host_name: 'text',
    quarantine: 'text',
    verdict: 'text',
    entry_idx: 'bigint',
    state: 'text',
    created_ms: 'bigint',
    changed_ms: 'bigint',
    approvals: 'text',
  },
  x509_ca: { fingerprint: 'text', name: 'text', since_ms: 'bigint', certificate: 'text' },
  x509_credential: {
    id: 'bigint',
    serial: 'text',
    ca_fp: 'text',
    kind: 'text',
    person_id: 'text',
    subject_id: 'text',
    login: 'text',
    profile: 'text',
    common_name: 'text',
    names: 'text',
    key_type: 'text',
    key_fp: 'text',
    not_before: 'bigint',
    not_after: 'bigint',
    issued_ms: 'bigint',
    renews: 'text',
    revoked_ms: 'bigint',
    revoked_reason: 'text',
    revoked_code: 'text',
    act: 'bigint',
    served_by: 'text',
  },
  crl: {
    ca_fp: 'text',
    number: 'bigint',
    published_ms: 'bigint',
    next_update_ms: 'bigint',
    acts: 'bigint',
    base_number: 'bigint',
    base_acts: 'bigint',
    base_ms: 'bigint',
    next_base_number: 'bigint',
    next_base_acts: 'bigint',
    next_base_ms: 'bigint',
    delta_list: 'bytea',
    full_list: 'bytea',
  },
  log_opening: { idx: 'bigint', openings: 'text' },
  host: {
    id: 'text',
    host_group: 'text',
    state: 'text',
    names: 'texts',
    addresses: 'texts',
    identity_key: 'text',
    identity_fp: 'text',
    host_keys: 'texts',
    platform: 'text',
    machine: 'text',
    token_id: 'text',
    created_ms: 'bigint',
    changed_ms: 'bigint',
    conflict: 'text',
    conflict_with: 'text',
  },
  host_claim: { what: 'text', host_id: 'text' },
  host_contact: {
    host_id: 'text',
    step: 'bigint',
    contact_ms: 'bigint',
    installed: 'bigint',
    installed_ms: 'bigint',
    checks: 'texts',
    sshd: 'text',
    last_login_ms: 'bigint',
  },
  host_token: {
    id: 'text',
    hash: 'bytea',
    host_group: 'text',
    names: 'texts',
    addresses: 'texts',
    max_uses: 'int',
    used: 'int',
    created_ms: 'bigint',
    expires_ms: 'bigint',
    created_by: 'text',
    dropped_ms: 'bigint',
  },
  host_certificate: {
    ca_id: 'int',
    serial: 'bigint',
    key_id: 'text',
    host_id: 'text',
    key_type: 'text',
    key_fp: 'text',
    principals: 'texts',
    valid_after: 'bigint',
    valid_before: 'bigint',
    issued_ms: 'bigint',
    revoked_ms: 'bigint',
    revoked_reason: 'text',
  },
  trust_digest: { id: 'int', digest: 'text' },
  credential: {
    ca_id: 'int',
    serial: 'bigint',
    key_id: 'text',
    person_id: 'text',
    login: 'text',
    profile: 'text',
    key_type: 'text',
    key_fp: 'text',
    principals: 'texts',
    valid_after: 'bigint',
    valid_before: 'bigint',
    issued_ms: 'bigint',
    revoked_ms: 'bigint',
    revoked_reason: 'text',
  },
};
/** What stands for a column that SQLite keeps in another form. */
const derived: Readonly<Record<string, string>> = { 'serial_block.owner': "'copied'" };

export interface CopyOptions {
  /** Of the SQLite database. */
  readonly folder: string;
  /** Of the role that will own the tables. */
  readonly address: PostgresAddress;
  readonly appender: LogAppender;
  readonly emptyHead: LogHead;
}

/**
 * Copies everything into an empty PostgreSQL database, in one transaction; the tree is grown anew from the leaves. No broker can run on
 * the folder meanwhile, and nothing in it is changed.
 * @returns the head of the log, the same there and here. @throws CodedError `store.in_use`, `store.not_empty`, `store.foreign_log`,
 * `store.damaged` when the root is not the one that was signed, and as `openDatabases`, `migratePostgres`
 */
export async function copyToPostgres(options: CopyOptions): Promise<Pick<LogHead, 'size' | 'root'>> {
  const from = openDatabases(options.folder, 'open');
  try {
    await migratePostgres(options.address, true);
    const connections = new Connections(options.address, 'unbounded');
    try {
      return await copyWithin(connections, from.reader, options);
    } catch (error) {
      throw asCoded(error, 'The database cannot be copied');
    } finally {
      await connections.close();
    }
  } finally {
    from.close();
  }
}

async function copyWithin(
  connections: Connections,
  from: DatabaseSync,
  { address, appender, emptyHead }: CopyOptions,
): Promise<LogHead> {
  const session = await connections.begin();
  const { run } = session;
  let isOver = false;
  try {
    await run('BEGIN');
    // Whoever else would begin a log here waits, and then finds one.
    await run('LOCK TABLE log_head IN ACCESS EXCLUSIVE MODE');
    const { rows } = await run(
      'SELECT EXISTS (SELECT 1 FROM log_head) OR EXISTS (SELECT 1 FROM ca) AS taken',
    );
    if (rows[0]?.['taken'] === true) throw notEmpty(address);
    const head = await copyLog(run, from, { appender, emptyHead });
    for (const [table, columns] of Object.entries(tables)) await copyTable(run, from, table, columns);
    await run(
      "SELECT setval(pg_get_serial_sequence('ca', 'id'), (SELECT coalesce(max(id), 0) + 1 FROM ca), false)",
    );
    await run(
      "SELECT setval(pg_get_serial_sequence('x509_credential', 'id'), (SELECT coalesce(max(id), 0) + 1 FROM x509_credential), false)",
    );
    for (const table of ['revocation_count', 'x509_revocation_count']) {
      const acts = from.prepare(`SELECT acts FROM ${table}`).get()?.['acts'];
      await run(`UPDATE ${table} SET acts = $1`, [acts]);
    }
    await beginProofMemory(run);
    await run('COMMIT');
    isOver = true;
    return head;
  } finally {
    session.release(isOver);
  }
}

async function copyLog(
  run: Run,
  from: DatabaseSync,
  { appender, emptyHead }: Pick<CopyOptions, 'appender' | 'emptyHead'>,
): Promise<LogHead> {
  const row = from.prepare('SELECT * FROM log_head WHERE id = 1').get();
  if (row === undefined) throw damaged('it has no head');
  if (row['origin'] !== emptyHead.origin) {
    throw new CodedError(
      'store.foreign_log',
      `This database holds the log “${String(row['origin'])}”, not “${emptyHead.origin}”.`,
      { next: 'Check the data folder and the log origin in the configuration.' },
    );
  }
  let grown = appender.grow(emptyHead, []);
  for (const page of pages(from, 'SELECT idx, leaf_hash, entry FROM log_entry ORDER BY idx')) {
    const leaves = page.map(leafOf);
    grown = appender.grow(grown.head, leaves);
    await Promise.all([
      run('INSERT INTO log_entry SELECT * FROM unnest($1::bigint[], $2::bytea[], $3::bytea[])', [
        page.map((leaf) => leaf['idx']),
        leaves,
        page.map((leaf) => blob(leaf, 'entry')),
      ]),
      ...sendTileHashes(run, grown.tileHashes),
    ]);
  }
  const { head } = grown;
  if (!head.root.equals(blob(row, 'root'))) throw damaged('its entries do not give the root that was signed');
  const checkpoint = row['checkpoint'] as string;
  checkStored(appender, { head, checkpoint });
  await run('INSERT INTO log_head VALUES (1, $1, $2, $3, $4, $5)', [
    head.origin,
    head.size,
    head.root,
    Buffer.concat(head.frontier),
    checkpoint,
  ]);
  return head;
}

/** RFC 6962 section 2.1, made anew: the stored hash alone would let a changed entry pass. @throws CodedError `store.damaged` */
function leafOf(row: Row): Buffer {
  const made = createHash('sha256').update(Buffer.of(0)).update(blob(row, 'entry')).digest();
  if (!made.equals(blob(row, 'leaf_hash'))) throw damaged(`its entry ${String(row['idx'])} was changed`);
  return made;
}

async function copyTable(
  run: Run,
  from: DatabaseSync,
  table: string,
  columns: Readonly<Record<string, string>>,
): Promise<void> {
  const names = Object.keys(columns);
  // An array does not come through unnest: it travels as the JSON that SQLite keeps.
  const isList = (name: string): boolean => columns[name] === 'texts';
  const selected = names.map((name) => `${derived[`${table}.${name}`] ?? name} AS ${name}`);
  const arrays = Object.values(columns).map(
    (type, at) => `$${at + 1}::${type === 'texts' ? 'text' : type}[]`,
  );
  const taken = names.map((name) => (isList(name) ? listed('x', name) : name));
  const given = `unnest(${arrays.join(', ')}) AS given (${names.join(', ')})`;
  const into =
    table === 'credential'
      ? `INSERT INTO credential (${names.join(', ')}, folded_principals)
         SELECT ${taken.join(', ')}, ${listed('lower(x)', 'principals')} FROM ${given}`
      : `INSERT INTO ${table} (${names.join(', ')}) OVERRIDING SYSTEM VALUE SELECT ${taken.join(', ')} FROM ${given}`;
  for (const page of pages(from, `SELECT ${selected.join(', ')} FROM ${table}`)) {
    const value = (row: Row, name: string): unknown =>
      row[name] instanceof Uint8Array ? blob(row, name) : row[name];
    await run(
      into,
      names.map((name) => page.map((row) => value(row, name))),
    );
  }
}

/** A JSON list of texts as an array. */
function listed(each: string, name: string): string {
  return `ARRAY(SELECT ${each} FROM jsonb_array_elements_text(${name}::jsonb) WITH ORDINALITY AS one (x, nth) ORDER BY nth)`;
}

function* pages(from: DatabaseSync, sql: string): Iterable<readonly Row[]> {
  const statement = from.prepare(sql);
  statement.setReadBigInts(true);
  let page: Row[] = [];
  for (const row of statement.iterate()) {
    page.push(row);
    if (page.length < rowsPerPage) continue;
    yield page;
    page = [];
  }
  if (page.length > 0) yield page;
}
