import type { ResponseRequest, ResponseState } from '../broker/index.ts';
import type { PersonId } from '../kernel/index.ts';
import type { Row } from './rows.ts';

/** A row of `response_request`, the same from both backends. */
export function toResponseRequest(row: Row): ResponseRequest {
  return {
    id: row['id'] as string,
    hostId: row['host_id'] as string,
    hostName: row['host_name'] as string,
    quarantine: row['quarantine'] as string,
    verdict: row['verdict'] as string,
    entryIndex: row['entry_idx'] as bigint,
    state: row['state'] as ResponseState,
    createdMs: Number(row['created_ms']),
    changedMs: Number(row['changed_ms']),
    approvals: JSON.parse(row['approvals'] as string) as PersonId[],
  };
}

/** The values of a row in the order of its columns. */
export function responseValues(request: ResponseRequest): (string | number | bigint)[] {
  const { id, hostId, hostName, quarantine, verdict, entryIndex, state, createdMs, changedMs, approvals } =
    request;
  return [
    id,
    hostId,
    hostName,
    quarantine,
    verdict,
    entryIndex,
    state,
    createdMs,
    changedMs,
    JSON.stringify(approvals),
  ];
}
