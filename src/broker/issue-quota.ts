import { CodedError, type Clock, type PersonId } from '../kernel/index.ts';

interface Bucket {
  tokens: number;
  filledMs: number;
  /** The refusal of this stretch is in the log already. */
  told: boolean;
}

export type QuotaAnswer =
  | { readonly outcome: 'granted' }
  | { readonly outcome: 'refused'; readonly error: CodedError; readonly first: boolean };

/**
 * Bounds how many certificates one person can ask for, granted or not: `perHour` at once, refilled over the hour. Without it an insider could
 * collect so many that cutting them off takes long, or fill the log with refusals. Kept in memory: a restart gives at most one more hour's worth.
 */
export class IssueQuota {
  readonly #perHour: number;
  readonly #clock: Clock;
  readonly #buckets = new Map<PersonId, Bucket>();

  constructor(options: { readonly perHour: number; readonly clock: Clock }) {
    this.#perHour = options.perHour;
    this.#clock = options.clock;
  }

  /** Takes one from the person's hour. `first` is true once for each stretch of refusals: that one belongs in the log. */
  take(personId: PersonId): QuotaAnswer {
    const nowMs = this.#clock.nowMs();
    const bucket = this.#filled(personId, nowMs);
    if (bucket.tokens >= 1) {
      bucket.tokens -= 1;
      bucket.told = false;
      return { outcome: 'granted' };
    }
    const first = !bucket.told;
    bucket.told = true;
    const retryAfterSeconds = Math.ceil(((1 - bucket.tokens) * 3600) / this.#perHour);
    const error = new CodedError(
      'policy.too_many_certificates',
      `You asked for ${this.#perHour} certificates within the hour, which is the limit of this broker.`,
      { next: `Use one you have, or try again in ${retryAfterSeconds} s.`, details: { retryAfterSeconds } },
    );
    return { outcome: 'refused', error, first };
  }

  #filled(personId: PersonId, nowMs: number): Bucket {
    const known = this.#buckets.get(personId);
    if (known === undefined) {
      if (this.#buckets.size >= 10_000) this.#forgetFull(nowMs);
      const bucket = { tokens: this.#perHour, filledMs: nowMs, told: false };
      this.#buckets.set(personId, bucket);
      return bucket;
    }
    // A clock that was set back fills nothing and empties nothing.
    const elapsedMs = Math.max(0, nowMs - known.filledMs);
    known.tokens = Math.min(this.#perHour, known.tokens + (elapsedMs * this.#perHour) / 3_600_000);
    known.filledMs = nowMs;
    return known;
  }

  /** Who has asked for nothing in an hour has a full hour again, with or without a bucket. */
  #forgetFull(nowMs: number): void {
    for (const [personId, { filledMs }] of this.#buckets) {
      if (nowMs - filledMs >= 3_600_000) this.#buckets.delete(personId);
    }
  }
}
