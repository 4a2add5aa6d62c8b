/** A login that a host reported and that is not judged yet. */
export interface WaitingLogin {
  readonly hostId: string;
  /** Which start of the host, in the host's own words: numbers begin anew with each. */
  readonly boot: string;
  /** The host's own count of what it reports, from 1. */
  readonly seq: bigint;
  /** By the host's clock. */
  readonly atMs: number;
  /** What sshd wrote. It names people: gone as soon as the login is judged. */
  readonly line: string;
  /** From when on it is judged for good. Until then a certificate that explains it may still be on its way into the log. */
  readonly dueMs: number;
}

/** How far a host's reports are in: everything below `next` is durable. Refused unless the host stands at `from`, 1 at first. */
export interface ReportProgress {
  readonly hostId: string;
  readonly boot: string;
  readonly from: bigint;
  /** The same as `from` when there was nothing to report. */
  readonly next: bigint;
  readonly atMs: number;
}

/** Where a host's reports stand. */
export interface ReportPosition {
  /** The number that it is to report next, 1 when it never did. */
  readonly next: bigint;
  /** When it last said anything, nothing new included; 0 when it never did. */
  readonly reportedMs: number;
}

/** What a change does with reported logins. */
export interface ReportedLogins {
  readonly progress?: ReportProgress;
  readonly waiting?: readonly WaitingLogin[];
  /** Judged by the entries of this very change. Refused when one is not there any more: another broker judged it. */
  readonly judged?: readonly Pick<WaitingLogin, 'hostId' | 'boot' | 'seq'>[];
}

/** Questions about them. */
export interface ReportedLoginReads {
  reportPosition(hostId: string, boot: string): Promise<ReportPosition>;
  /** How many hosts have reported at that moment or since. */
  reportingHosts(sinceMs: number): Promise<number>;
  /** Those due at that moment or before, the longest waiting first. */
  waitingLogins(dueMs: number, limit: number): Promise<readonly WaitingLogin[]>;
}
