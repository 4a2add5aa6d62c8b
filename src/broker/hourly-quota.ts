import { CodedError, sha256, type Clock } from '../kernel/index.ts';

interface Bucket {
  tokens: number;
  filledMs: number;
  /** The refusal of this stretch is in the log already. */
  told: boolean;
}

export type QuotaAnswer =
  | { readonly outcome: 'granted' }
  | { readonly outcome: 'refused'; readonly error: CodedError; readonly first: boolean };

/** Bounds how much one person can ask for within an hour. */
export interface Quota {
  /** Takes one from the hour of a person, or of whatever else the key names. `first` is true once for each stretch of refusals: that one belongs in the log. */
  take(key: string): QuotaAnswer | Promise<QuotaAnswer>;
}

/** What became of one that was taken from an hour that several brokers count. */
export interface SharedTake {
  readonly isGranted: boolean;
  /** How many were refused before this one, since one was granted. */
  readonly refusalsBefore: number;
  /** What is left of the hour. */
  readonly tokens: number;
}

/** Where several brokers count together. */
export interface QuotaMemory {
  /** Takes one, at once for all brokers. `key`: 32 bytes. @throws CodedError `store.unavailable` */
  takeFromHour(take: { readonly key: Buffer; readonly perHour: number }): Promise<SharedTake>;
}

export interface HourlyQuotaOptions {
  readonly perHour: number;
  readonly clock: Clock;
  /** What is counted, as the refusal says it: `certificates`. */
  readonly what: string;
  readonly code: `${string}.${string}`;
}

/**
 * Bounds how much one person can ask for: `perHour` at once, refilled over the hour. Without it an insider could collect so many
 * certificates that cutting them off takes long, or fill the log with what is refused to them. Kept in memory: a restart gives
 * at most one more hour's worth.
 */
export class HourlyQuota implements Quota {
  readonly #options: HourlyQuotaOptions;
  readonly #buckets = new Map<string, Bucket>();

  constructor(options: HourlyQuotaOptions) {
    this.#options = options;
  }

  /** @param count takes so many at once, or none */
  take(key: string, count = 1): QuotaAnswer {
    const nowMs = this.#options.clock.nowMs();
    const bucket = this.#filled(key, nowMs);
    if (bucket.tokens >= count) {
      bucket.tokens -= count;
      bucket.told = false;
      return { outcome: 'granted' };
    }
    const first = !bucket.told;
    bucket.told = true;
    return refused(this.#options, bucket.tokens - (count - 1), first);
  }

  #filled(key: string, nowMs: number): Bucket {
    const { perHour } = this.#options;
    const known = this.#buckets.get(key);
    if (known === undefined) {
      if (this.#buckets.size >= 10_000) this.#forgetFull(nowMs);
      const bucket = { tokens: perHour, filledMs: nowMs, told: false };
      this.#buckets.set(key, bucket);
      return bucket;
    }
    // A clock that was set back fills nothing and empties nothing.
    const elapsedMs = Math.max(0, nowMs - known.filledMs);
    known.tokens = Math.min(perHour, known.tokens + (elapsedMs * perHour) / 3_600_000);
    known.filledMs = nowMs;
    return known;
  }

  /** Who has asked for nothing in an hour has a full hour again, with or without a bucket. */
  #forgetFull(nowMs: number): void {
    for (const [key, { filledMs }] of this.#buckets) {
      if (nowMs - filledMs >= 3_600_000) this.#buckets.delete(key);
    }
  }
}

function refused(
  { perHour, what, code }: Pick<HourlyQuotaOptions, 'perHour' | 'what' | 'code'>,
  tokens: number,
  first: boolean,
): QuotaAnswer {
  const retryAfterSeconds = Math.ceil(((1 - tokens) * 3600) / perHour);
  const error = new CodedError(
    code,
    `You asked for ${perHour} ${what} within the hour, which is the limit of this broker.`,
    { next: `Use what you have, or try again in ${retryAfterSeconds} s.`, details: { retryAfterSeconds } },
  );
  return { outcome: 'refused', error, first };
}

/** The same for all brokers on one database, by its time: what one grants, the others have less. */
function sharedQuota(options: Omit<HourlyQuotaOptions, 'clock'>, memory: QuotaMemory): Quota {
  const { perHour, what } = options;
  return {
    async take(key) {
      const taken = await memory.takeFromHour({ key: sha256(Buffer.from(`${what} ${key}`)), perHour });
      if (taken.isGranted) return { outcome: 'granted' };
      return refused(options, taken.tokens, taken.refusalsBefore === 0);
    },
  };
}

export interface SomeQuotaOptions extends Pick<HourlyQuotaOptions, 'perHour' | 'clock'> {
  /** Where there are several brokers. */
  readonly shared?: QuotaMemory | undefined;
}

function createQuota({ shared, ...options }: HourlyQuotaOptions & SomeQuotaOptions): Quota {
  return shared === undefined ? new HourlyQuota(options) : sharedQuota(options, shared);
}

/** How many certificates one person may ask for. */
export function createCertificateQuota(options: SomeQuotaOptions): Quota {
  return createQuota({ ...options, what: 'certificates', code: 'policy.too_many_certificates' });
}

/** How often one person without a role may look, and anybody try what is not permitted. */
export function createLookQuota(options: SomeQuotaOptions): Quota {
  return createQuota({ ...options, what: 'answers', code: 'policy.too_many_looks' });
}

/** How many refusals of hosts one address can have recorded: what is refused beyond that is refused without an entry. */
export function createHostRefusalQuota(options: Pick<HourlyQuotaOptions, 'perHour' | 'clock'>): HourlyQuota {
  return new HourlyQuota({ ...options, what: 'enrolments', code: 'hosts.too_many_refusals' });
}

/** How much one host can report. Kept by each broker for itself: with several of them a host can say so much to each. */
export function createHostReportQuota(options: Pick<HourlyQuotaOptions, 'perHour' | 'clock'>): HourlyQuota {
  return new HourlyQuota({ ...options, what: 'events', code: 'hosts.too_many_events' });
}
