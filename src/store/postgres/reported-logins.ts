import type { ReportedLoginReads, ReportedLogins } from '../../broker/index.ts';
import type { Send } from './apply-change.ts';
import { conflict } from './faults.ts';
import { toReportPosition, toWaitingLogin } from '../reported-login-rows.ts';
import type { Row } from '../rows.ts';

export function sendReportedLogins(
  send: Send,
  { progress, waiting = [], judged = [] }: ReportedLogins,
): void {
  if (progress !== undefined) {
    const { hostId, boot, from, next, atMs } = progress;
    send('INSERT INTO report_position VALUES ($1, $2, 1, 0) ON CONFLICT DO NOTHING', [hostId, boot]);
    send(
      'UPDATE report_position SET next_seq = $3, reported_ms = $5 WHERE host_id = $1 AND boot = $2 AND next_seq = $4 RETURNING 1',
      [hostId, boot, next, from, atMs],
      ({ rows }) => {
        if (rows.length === 0)
          throw conflict(`The reports of host ${hostId} do not stand at ${from} any more.`);
      },
    );
  }
  if (waiting.length > 0) {
    send(
      'INSERT INTO waiting_login SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::bigint[])',
      [
        waiting.map(({ hostId }) => hostId),
        waiting.map(({ boot }) => boot),
        waiting.map(({ seq }) => seq),
        waiting.map(({ atMs }) => atMs),
        waiting.map(({ line }) => line),
        waiting.map(({ dueMs }) => dueMs),
      ],
    );
  }
  if (judged.length > 0) {
    send(
      `DELETE FROM waiting_login USING unnest($1::text[], $2::text[], $3::bigint[]) AS judged (host_id, boot, seq)
       WHERE (waiting_login.host_id, waiting_login.boot, waiting_login.seq) = (judged.host_id, judged.boot, judged.seq) RETURNING 1`,
      [judged.map(({ hostId }) => hostId), judged.map(({ boot }) => boot), judged.map(({ seq }) => seq)],
      ({ rows }) => {
        if (rows.length !== judged.length) throw conflict('A login was judged meanwhile.');
      },
    );
  }
}

export function createReportedLoginReads(
  all: (sql: string, ...values: readonly unknown[]) => Promise<readonly Row[]>,
): ReportedLoginReads {
  return {
    async reportPosition(hostId, boot) {
      const [row] = await all('SELECT * FROM report_position WHERE host_id = $1 AND boot = $2', hostId, boot);
      return row === undefined ? { next: 1n, reportedMs: 0 } : toReportPosition(row);
    },
    async reportingHosts(sinceMs) {
      const sql = 'SELECT count(DISTINCT host_id) AS hosts FROM report_position WHERE reported_ms >= $1';
      return Number((await all(sql, sinceMs))[0]?.['hosts']);
    },
    async waitingLogins(dueMs, limit) {
      const rows = await all(
        'SELECT * FROM waiting_login WHERE due_ms <= $1 ORDER BY due_ms, host_id, boot, seq LIMIT $2',
        dueMs,
        limit,
      );
      return rows.map(toWaitingLogin);
    },
  };
}
