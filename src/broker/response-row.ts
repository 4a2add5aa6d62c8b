import type { PersonId } from '../kernel/index.ts';

/**
 * `rehearsed`: nothing was done, the rule is not live. `held`: too many hosts were flagged at once, somebody must look. `waiting`: two
 * administrators must approve. `executing`: approved and under way; after a crash it stays so, as nobody knows how far it came.
 */
export type ResponseState =
  'rehearsed' | 'held' | 'waiting' | 'executing' | 'executed' | 'failed' | 'rejected';

/** That a host be taken off the net, asked for by a rule because of what the host itself reported. */
export interface ResponseRequest {
  /** `q-` and 16 hex digits. */
  readonly id: string;
  readonly hostId: string;
  readonly hostName: string;
  /** Name of the configured quarantine. */
  readonly quarantine: string;
  readonly verdict: string;
  /** Index of the entry of the login in the log. */
  readonly entryIndex: bigint;
  readonly state: ResponseState;
  readonly createdMs: number;
  readonly changedMs: number;
  /** Administrators who approved, each once. */
  readonly approvals: readonly PersonId[];
}

/** What a change does with responses. */
export interface ResponsesChange {
  readonly requested?: readonly ResponseRequest[];
  /** Refused when it is not as it was read any more. */
  readonly moved?: {
    readonly id: string;
    readonly from: ResponseState;
    readonly approvalsBefore: number;
    readonly to: ResponseState;
    readonly approvals: readonly PersonId[];
    readonly atMs: number;
  };
}

export interface ResponseReads {
  responseRequest(id: string): Promise<ResponseRequest | undefined>;
  /** The newest first: those created at that moment or later. */
  responseRequests(sinceMs: number, limit: number): Promise<readonly ResponseRequest[]>;
}
