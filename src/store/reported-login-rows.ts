import type { ReportPosition, WaitingLogin } from '../broker/index.ts';
import { big, type Row } from './rows.ts';

/** A row of `report_position`, the same from both backends. */
export function toReportPosition(row: Row): ReportPosition {
  return { next: big(row, 'next_seq'), reportedMs: Number(row['reported_ms']) };
}

/** A row of `waiting_login`. */
export function toWaitingLogin(row: Row): WaitingLogin {
  return {
    hostId: row['host_id'] as string,
    boot: row['boot'] as string,
    seq: big(row, 'seq'),
    atMs: Number(row['at_ms']),
    line: row['line'] as string,
    dueMs: Number(row['due_ms']),
  };
}
