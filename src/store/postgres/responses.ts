import type { ResponseReads, ResponsesChange } from '../../broker/index.ts';
import { responseValues, toResponseRequest } from '../response-rows.ts';
import type { Row } from '../rows.ts';
import type { Send } from './apply-change.ts';
import { conflict } from './faults.ts';

export function sendResponses(send: Send, { requested = [], moved }: ResponsesChange): void {
  for (const request of requested)
    send(
      'INSERT INTO response_request VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)',
      responseValues(request),
    );
  if (moved === undefined) return;
  const { id, from, approvalsBefore, to, approvals, atMs } = moved;
  send(
    `UPDATE response_request SET state = $1, approvals = $2, changed_ms = $3
     WHERE id = $4 AND state = $5 AND json_array_length(approvals::json) = $6 RETURNING 1`,
    [to, JSON.stringify(approvals), atMs, id, from, approvalsBefore],
    ({ rows }) => {
      if (rows.length === 0) throw conflict(`Somebody else decided about ${id} meanwhile.`);
    },
  );
}

export function createResponseReads(
  all: (sql: string, ...values: readonly unknown[]) => Promise<readonly Row[]>,
): ResponseReads {
  return {
    async responseRequest(id) {
      const [row] = await all('SELECT * FROM response_request WHERE id = $1', id);
      return row && toResponseRequest(row);
    },
    async responseRequests(sinceMs, limit) {
      const sql =
        'SELECT * FROM response_request WHERE created_ms >= $1 ORDER BY created_ms DESC, id LIMIT $2';
      return (await all(sql, sinceMs, limit)).map(toResponseRequest);
    },
  };
}
