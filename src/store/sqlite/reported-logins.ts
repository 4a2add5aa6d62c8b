import type { SQLInputValue } from 'node:sqlite';
import type { ReportedLoginReads, ReportedLogins } from '../../broker/index.ts';
import { conflict } from './faults.ts';
import type { Row } from '../rows.ts';

/** @throws CodedError `store.conflict` */
export function applyReportedLogins(
  run: (sql: string, ...values: SQLInputValue[]) => number,
  { progress, waiting = [], judged = [] }: ReportedLogins,
): void {
  if (progress !== undefined) {
    const { hostId, boot, from, next } = progress;
    run('INSERT INTO report_position VALUES (?, ?, 1) ON CONFLICT DO NOTHING', hostId, boot);
    const moved = run(
      'UPDATE report_position SET next_seq = ? WHERE host_id = ? AND boot = ? AND next_seq = ?',
      next,
      hostId,
      boot,
      from,
    );
    if (moved === 0) throw conflict(`The reports of host ${hostId} do not stand at ${from} any more.`);
  }
  for (const { hostId, boot, seq, atMs, line, dueMs } of waiting)
    run('INSERT INTO waiting_login VALUES (?, ?, ?, ?, ?, ?)', hostId, boot, seq, atMs, line, dueMs);
  for (const { hostId, boot, seq } of judged) {
    const gone = run(
      'DELETE FROM waiting_login WHERE host_id = ? AND boot = ? AND seq = ?',
      hostId,
      boot,
      seq,
    );
    if (gone === 0) throw conflict(`The login ${seq} of host ${hostId} was judged meanwhile.`);
  }
}

export function createReportedLoginReads(
  all: (sql: string, ...values: SQLInputValue[]) => Row[],
): ReportedLoginReads {
  return {
    async reportPosition(hostId, boot) {
      const [row] = all('SELECT next_seq FROM report_position WHERE host_id = ? AND boot = ?', hostId, boot);
      return (row?.['next_seq'] as bigint | undefined) ?? 1n;
    },
    async waitingLogins(dueMs, limit) {
      const sql = 'SELECT * FROM waiting_login WHERE due_ms <= ? ORDER BY due_ms, host_id, boot, seq LIMIT ?';
      return all(sql, dueMs, limit).map((row) => ({
        hostId: row['host_id'] as string,
        boot: row['boot'] as string,
        seq: row['seq'] as bigint,
        atMs: Number(row['at_ms']),
        line: row['line'] as string,
        dueMs: Number(row['due_ms']),
      }));
    },
  };
}
