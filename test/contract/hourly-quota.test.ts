import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createCertificateQuota, type Quota, type Store } from '../../src/broker/index.ts';
import { implementations, type Place } from './store-fixture.ts';

const clock = { nowMs: () => 1_000_000 };

describe.each(implementations.filter(({ name }) => name === 'PostgreSQL'))(
  'the hour of a person, counted by two brokers on $name',
  ({ newPlace }) => {
    let place: Place;
    let stores: readonly Store[];
    beforeEach(async () => {
      place = newPlace();
      stores = [await place.open(), await place.open()];
    });
    afterEach(async () => {
      await Promise.all(stores.map((store) => store.close()));
      place.remove();
    });
    const quotas = (perHour: number): Quota[] =>
      stores.map(({ shared }) => createCertificateQuota({ perHour, clock, shared }));
    const outcomes = async (all: readonly Quota[], count: number): Promise<string[]> => {
      const answers = await Promise.all(
        Array.from({ length: count }, async (_, nth) => all[nth % all.length]?.take('anna')),
      );
      return answers.map((answer) =>
        answer?.outcome === 'refused' ? `refused${answer.first ? ' first' : ''}` : 'granted',
      );
    };

    it('grants no more than one broker would, however many ask at once, and tells one refusal', async () => {
      const all = await outcomes(quotas(10), 40);
      expect(all.filter((outcome) => outcome === 'granted')).toHaveLength(10);
      expect(all.filter((outcome) => outcome === 'refused first')).toHaveLength(1);
      expect(await outcomes(quotas(10), 2)).toEqual(['refused', 'refused']);
    });

    it('says how long to wait, and leaves others alone', async () => {
      const [one, two] = quotas(1);
      expect(await one?.take('anna')).toEqual({ outcome: 'granted' });
      const refused = await two?.take('anna');
      const wait = refused?.outcome === 'refused' ? refused.error.details['retryAfterSeconds'] : 0;
      expect(wait).toBeGreaterThan(3500);
      expect(wait).toBeLessThanOrEqual(3600);
      expect(await two?.take('bert')).toEqual({ outcome: 'granted' });
    });

    it('fills again by the time of the database, never beyond the limit', async () => {
      const both = quotas(4);
      await outcomes(both, 6);
      place.sql('UPDATE hourly_quota SET filled_ms = filled_ms - 1800000');
      // Whichever of the two comes first.
      expect((await outcomes(both, 3)).sort()).toEqual(['granted', 'granted', 'refused first']);
      place.sql('UPDATE hourly_quota SET filled_ms = filled_ms - 36000000');
      expect((await outcomes(both, 6)).filter((outcome) => outcome === 'granted')).toHaveLength(4);
      // A clock that was set back fills nothing.
      place.sql('UPDATE hourly_quota SET filled_ms = filled_ms + 7200000');
      expect(await outcomes(both, 1)).toEqual(['refused']);
    });

    it('keeps no name', async () => {
      await outcomes(quotas(4), 1);
      expect(place.count("SELECT count(*) FROM hourly_quota WHERE position('anna'::bytea IN key) > 0")).toBe(
        0,
      );
    });
  },
);
