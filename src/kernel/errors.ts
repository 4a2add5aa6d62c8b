/** Details that may be shown to anyone and written to any log: never a secret, never a whole token. */
export type SafeDetails = Readonly<Record<string, string | number | boolean | readonly string[]>>;

export interface CodedErrorOptions {
  /** What the person can do about it, as one sentence. */
  readonly next?: string;
  readonly details?: SafeDetails;
  readonly cause?: unknown;
}

/**
 * A fault with a stable code of the form `room.reason`. The message names the cause in words a person can read; `next`
 * names the next step. Codes are a contract: tests, clients and the HTTP table rely on them, messages may change.
 */
export class CodedError extends Error {
  readonly code: string;
  readonly next: string | undefined;
  readonly details: SafeDetails;

  constructor(code: `${string}.${string}`, message: string, options: CodedErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'CodedError';
    this.code = code;
    this.next = options.next;
    this.details = options.details ?? {};
  }
}

/** True for any CodedError, or only for one with this very code. */
export function isCodedError(error: unknown, code?: string): error is CodedError {
  return error instanceof CodedError && (code === undefined || error.code === code);
}

/** True for what the operating system refused; `code` says why (`ENOENT`, `ENOSPC`, …). */
export function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error && 'code' in error;
}
