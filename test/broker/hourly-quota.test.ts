import { describe, expect, it } from 'vitest';
import { HourlyQuota } from '../../src/broker/index.ts';
import type { PersonId } from '../../src/kernel/index.ts';

const anna = 'builtin:anna' as PersonId;
const bert = 'builtin:bert' as PersonId;

function quotaAt(perHour: number): { quota: HourlyQuota; pass: (ms: number) => void } {
  let nowMs = 1_000_000;
  const quota = new HourlyQuota({
    perHour,
    clock: { nowMs: () => nowMs },
    what: 'certificates',
    code: 'policy.too_many_certificates',
  });
  return {
    quota,
    pass(ms) {
      nowMs += ms;
    },
  };
}

describe('the hourly limit of one person', () => {
  it('grants so many, then refuses with the time to wait, and leaves others alone', () => {
    const { quota } = quotaAt(3);
    const outcomes = Array.from({ length: 5 }, () => quota.take(anna).outcome);
    expect(outcomes).toEqual(['granted', 'granted', 'granted', 'refused', 'refused']);
    const refused = quota.take(anna);
    expect(refused.outcome === 'refused' && refused.error.details['retryAfterSeconds']).toBe(1200);
    expect(quota.take(bert).outcome).toBe('granted');
  });

  it('calls only the first refusal of a stretch the first', () => {
    const { quota, pass } = quotaAt(1);
    const firsts = (): unknown[] =>
      Array.from({ length: 3 }, () => {
        const answer = quota.take(anna);
        return answer.outcome === 'refused' ? answer.first : 'granted';
      });
    expect(firsts()).toEqual(['granted', true, false]);
    pass(3_600_000);
    expect(firsts()).toEqual(['granted', true, false]);
  });

  it('fills again over the hour, never beyond the limit, and not when the clock goes back', () => {
    const { quota, pass } = quotaAt(2);
    quota.take(anna);
    quota.take(anna);
    pass(-7_200_000);
    expect(quota.take(anna).outcome).toBe('refused');
    pass(1_800_000);
    expect([quota.take(anna).outcome, quota.take(anna).outcome]).toEqual(['granted', 'refused']);
    pass(36_000_000);
    const outcomes = Array.from({ length: 3 }, () => quota.take(anna).outcome);
    expect(outcomes).toEqual(['granted', 'granted', 'refused']);
  });
});
