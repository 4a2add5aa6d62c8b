import type { SQLInputValue } from 'node:sqlite';
import type { ResponseReads, ResponsesChange } from '../../broker/index.ts';
import { responseValues, toResponseRequest } from '../response-rows.ts';
import type { Row } from '../rows.ts';
import { conflict } from './faults.ts';

/** @throws CodedError `store.conflict` */
export function applyResponses(
  run: (sql: string, ...values: SQLInputValue[]) => number,
  { requested = [], moved }: ResponsesChange,
): void {
  for (const request of requested)
    run('INSERT INTO response_request VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)', ...responseValues(request));
  if (moved === undefined) return;
  const { id, from, approvalsBefore, to, approvals, atMs } = moved;
  const changed = run(
    `UPDATE response_request SET state = ?, approvals = ?, changed_ms = ?
     WHERE id = ? AND state = ? AND json_array_length(approvals) = ?`,
    to,
    JSON.stringify(approvals),
    atMs,
    id,
    from,
    approvalsBefore,
  );
  if (changed === 0) throw conflict(`Somebody else decided about ${id} meanwhile.`);
}

export function createResponseReads(all: (sql: string, ...values: SQLInputValue[]) => Row[]): ResponseReads {
  return {
    async responseRequest(id) {
      const [row] = all('SELECT * FROM response_request WHERE id = ?', id);
      return row && toResponseRequest(row);
    },
    async responseRequests(sinceMs, limit) {
      const sql = 'SELECT * FROM response_request WHERE created_ms >= ? ORDER BY created_ms DESC, id LIMIT ?';
      return all(sql, sinceMs, limit).map(toResponseRequest);
    },
  };
}
