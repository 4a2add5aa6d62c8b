import type { SQLInputValue } from 'node:sqlite';
import type { ReportedLoginReads, ReportedLogins } from '../../broker/index.ts';
import { conflict } from './faults.ts';
import { toReportPosition, toWaitingLogin } from '../reported-login-rows.ts';
import type { Row } from '../rows.ts';

/** @throws CodedError `store.conflict` */
export function applyReportedLogins(
  run: (sql: string, ...values: SQLInputValue[]) => number,
  { progress, waiting = [], judged = [] }: ReportedLogins,
): void {
  if (progress !== undefined) {
    const { hostId, boot, from, next, atMs } = progress;
    run('INSERT INTO report_position VALUES (?, ?, 1, 0) ON CONFLICT DO NOTHING', hostId, boot);
    const moved = run(
      'UPDATE report_position SET next_seq = ?, reported_ms = ? WHERE host_id = ? AND boot = ? AND next_seq = ?',
      next,
      atMs,
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
      const [row] = all('SELECT * FROM report_position WHERE host_id = ? AND boot = ?', hostId, boot);
      return row === undefined ? { next: 1n, reportedMs: 0 } : toReportPosition(row);
    },
    async reportingHosts(sinceMs) {
      const sql = 'SELECT count(DISTINCT host_id) AS hosts FROM report_position WHERE reported_ms >= ?';
      return Number(all(sql, sinceMs)[0]?.['hosts']);
    },
    async waitingLogins(dueMs, limit) {
      const sql = 'SELECT * FROM waiting_login WHERE due_ms <= ? ORDER BY due_ms, host_id, boot, seq LIMIT ?';
      return all(sql, dueMs, limit).map(toWaitingLogin);
    },
  };
}
