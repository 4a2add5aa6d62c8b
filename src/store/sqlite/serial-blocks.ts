import type { Change, Credential, SerialBlock } from '../../broker/index.ts';
import { CodedError, type Serial } from '../../kernel/index.ts';
import { releasedSerials } from '../released-serials.ts';
import { gaps } from '../serial-gaps.ts';
import type { Row } from '../rows.ts';
import type { Statements } from './statements.ts';

/**
 * Which blocks are of this process: it alone has the database, so whatever was reserved before it came is of one that is gone.
 * A CA that is not in the map was not there then.
 */
export type ReservedBefore = ReadonlyMap<string, bigint>;

/** To be asked once, before anything is reserved. */
export function reservedBefore(statement: Statements): ReservedBefore {
  const rows = statement('SELECT fingerprint, next_serial FROM ca').all() as Row[];
  return new Map(rows.map((row) => [row['fingerprint'] as string, row['next_serial'] as bigint]));
}

/** Reserves within the transaction that is open. */
export function reserve(statement: Statements, caFingerprint: string, count: number): SerialBlock {
  statement('INSERT INTO ca (fingerprint, next_serial) VALUES (?, 1) ON CONFLICT DO NOTHING').run(
    caFingerprint,
  );
  const row = statement('SELECT id, next_serial FROM ca WHERE fingerprint = ?').get(caFingerprint) as Row;
  const first = row['next_serial'] as bigint;
  const next = first + BigInt(count);
  statement('UPDATE ca SET next_serial = ? WHERE id = ?').run(next, row['id'] as bigint);
  statement('INSERT INTO serial_block VALUES (?, ?, ?)').run(row['id'] as bigint, first, next - 1n);
  return { caFingerprint, first: first as Serial, last: (next - 1n) as Serial };
}

/** What earlier processes left behind, each block narrowed to the serials that were never released. */
export function abandonedBlocks(statement: Statements, before: ReservedBefore): readonly SerialBlock[] {
  const blocks = statement(
    'SELECT b.ca_id, b.first, b.last, ca.fingerprint FROM serial_block b JOIN ca ON ca.id = b.ca_id ORDER BY b.ca_id, b.first',
  ).all() as Row[];
  return blocks.flatMap((block) => {
    const caFingerprint = block['fingerprint'] as string;
    const [blockFirst, blockLast] = [block['first'] as bigint, block['last'] as bigint];
    if (blockFirst >= (before.get(caFingerprint) ?? 1n)) return [];
    const issued = statement(
      `SELECT serial FROM ${releasedSerials} WHERE ca_id = ? AND serial BETWEEN ? AND ? ORDER BY serial`,
    ).all(block['ca_id'] as bigint, blockFirst, blockLast) as Row[];
    const taken = issued.map((row) => row['serial'] as bigint);
    return gaps(blockFirst, blockLast, taken).map(([first, last]) => ({
      caFingerprint,
      first: first as Serial,
      last: last as Serial,
    }));
  });
}

/** @throws CodedError `store.conflict` unless this process holds the block that the serials lie in */
export function checkHeld(
  statement: Statements,
  before: ReservedBefore,
  { caFingerprint, first, last }: SerialBlock,
): void {
  const held = statement(
    `SELECT 1 FROM serial_block b JOIN ca ON ca.id = b.ca_id
     WHERE ca.fingerprint = ? AND b.first <= ? AND b.last >= ? AND b.first >= ?`,
  ).get(caFingerprint, first, last, before.get(caFingerprint) ?? 1n);
  if (held === undefined) throw lost({ caFingerprint, serial: first });
}

/** The part of a change that is about serials, within the transaction that is open. */
export function applySerials(statement: Statements, before: ReservedBefore, change: Change): void {
  for (const block of change.returnedSerials ?? []) {
    const { changes } = statement(
      'UPDATE ca SET next_serial = ? WHERE fingerprint = ? AND next_serial = ?',
    ).run(block.first, block.caFingerprint, block.last + 1n);
    if (Number(changes) === 1) settle(statement, block);
  }
  for (const block of change.voidedSerials ?? []) {
    checkHeld(statement, before, block);
    const released = statement(
      `SELECT 1 FROM ${releasedSerials} c JOIN ca ON ca.id = c.ca_id WHERE ca.fingerprint = ? AND c.serial BETWEEN ? AND ?`,
    ).get(block.caFingerprint, block.first, block.last);
    if (released !== undefined) throw lost({ ...block, serial: block.first });
    settle(statement, block);
  }
  if (change.settleAbandoned === true) {
    for (const [fingerprint, next] of before) {
      statement(
        'DELETE FROM serial_block WHERE first < ? AND ca_id = (SELECT id FROM ca WHERE fingerprint = ?)',
      ).run(next, fingerprint);
    }
  }
  for (const block of change.settledSerials ?? []) settle(statement, block);
}

/** Takes first..last out of the blocks that are reserved; what is left of a block on either side stays. */
function settle(statement: Statements, { caFingerprint, first, last }: SerialBlock): void {
  const overlapping = statement(
    `SELECT b.ca_id, b.first, b.last FROM serial_block b JOIN ca ON ca.id = b.ca_id
     WHERE ca.fingerprint = ? AND b.first <= ? AND b.last >= ?`,
  ).all(caFingerprint, last, first) as { ca_id: bigint; first: bigint; last: bigint }[];
  const insert = statement('INSERT INTO serial_block VALUES (?, ?, ?)');
  for (const block of overlapping) {
    statement('DELETE FROM serial_block WHERE ca_id = ? AND first = ?').run(block.ca_id, block.first);
    if (block.first < first) insert.run(block.ca_id, block.first, first - 1n);
    if (last < block.last) insert.run(block.ca_id, last + 1n, block.last);
  }
}

function lost({ caFingerprint, serial }: Pick<Credential, 'caFingerprint' | 'serial'>): CodedError {
  return new CodedError(
    'store.conflict',
    `Serial ${serial} of ${caFingerprint} is not this broker’s to use.`,
    {
      next: 'Ask again; if the refusal stays, ask your administrator.',
    },
  );
}
