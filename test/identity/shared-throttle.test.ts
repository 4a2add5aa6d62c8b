import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  createLoginThrottle,
  createSharedThrottle,
  type SharedLoginTicket,
  type SharedThrottleRow,
  type ThrottleRow,
  type ThrottleTable,
} from '../../src/identity/index.ts';

const start = Date.UTC(2026, 10, 23);

/** A table in memory: one change at a time, as the store promises. Rows go through JSON, as they do there. */
function newTable(): ThrottleTable & { readonly rows: Map<string, string> } {
  const rows = new Map<string, string>();
  return {
    rows,
    async changeThrottle(keys, work) {
      const known = keys.flatMap((key) => {
        const row = rows.get(key);
        return row === undefined ? [] : [[key, JSON.parse(row) as ThrottleRow] as const];
      });
      const changed = work(new Map(known));
      for (const row of changed.rows) rows.set(row.key, JSON.stringify(row));
      return changed.result;
    },
  };
}

const anna = { login: 'anna', address: '192.0.2.1' };

describe('a throttle that brokers share', () => {
  it('says what one broker alone would say, whichever of them is asked', async () => {
    const settlements = ['failed', 'succeeded', 'turnedAway', 'withdrawn'] as const;
    const step = fc.record({
      broker: fc.constantFrom(0, 1),
      login: fc.constantFrom('anna', 'bert'),
      address: fc.constantFrom('192.0.2.1', '192.0.2.2', '2001:db8::1'),
      how: fc.constantFrom(...settlements),
      laterMs: fc.constantFrom(0, 1, 900, 5000, 20_000, 100_000),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 60 }), async (steps) => {
        let nowMs = start;
        const clock = { nowMs: () => nowMs };
        const alone = createLoginThrottle({ clock });
        const table = newTable();
        const brokers = [0, 1].map(() => createSharedThrottle({ clock, table }));
        for (const { broker, how, laterMs, ...attempt } of steps) {
          const expected = alone.admit(attempt);
          const admission = await brokers[broker]?.admit(attempt);
          expect(admission?.outcome).toBe(expected.outcome);
          if (expected.outcome === 'throttled') {
            const { retryAfterSeconds, first } = expected;
            expect(admission).toMatchObject({ retryAfterSeconds, first });
          } else if (admission?.outcome === 'admitted') {
            expect(admission.ticket.standing).toEqual(expected.ticket.standing);
            expected.ticket[how]();
            expect(await admission.ticket[how]()).toEqual([]);
          }
          nowMs += laterMs;
        }
      }),
      { seed: 20_261_124, numRuns: 300 },
    );
  });

  it('counts what is under way at another broker as failed', async () => {
    const clock = { nowMs: () => start };
    const table = newTable();
    const [first, second] = [createSharedThrottle({ clock, table }), createSharedThrottle({ clock, table })];
    const outcomes = [];
    for (const throttle of [first, second, first, second])
      outcomes.push((await throttle.admit(anna)).outcome);
    expect(outcomes).toEqual(['admitted', 'admitted', 'admitted', 'throttled']);
  });

  it('forgets what was under way at a broker that died, and counts it when it comes after all', async () => {
    let nowMs = start;
    const clock = { nowMs: () => nowMs };
    const table = newTable();
    const throttle = createSharedThrottle({ clock, table });
    const tickets: SharedLoginTicket[] = [];
    for (let count = 0; count < 3; count += 1) {
      const admission = await throttle.admit(anna);
      if (admission.outcome === 'admitted') tickets.push(admission.ticket);
    }
    expect((await throttle.admit(anna)).outcome).toBe('throttled');
    nowMs += 120_000;
    const later = await throttle.admit(anna);
    expect(later.outcome).toBe('admitted');
    for (const ticket of tickets) await ticket.failed();
    const pair = [...table.rows.values()]
      .map((row) => JSON.parse(row) as SharedThrottleRow)
      .find(({ key }) => key.startsWith('pair:'));
    expect(pair?.failures).toBe(3);
    expect(pair?.flights).toHaveLength(1);
  });

  it('settles a ticket once', async () => {
    const table = newTable();
    const throttle = createSharedThrottle({ clock: { nowMs: () => start }, table });
    const admission = await throttle.admit(anna);
    if (admission.outcome !== 'admitted') throw new Error('it was turned away');
    await admission.ticket.failed();
    const before = [...table.rows];
    await admission.ticket.succeeded();
    await admission.ticket.withdrawn();
    expect([...table.rows]).toEqual(before);
  });

  it('goes on from rows that one broker alone had stored', async () => {
    const clock = { nowMs: () => start };
    const alone = createLoginThrottle({ clock });
    const table = newTable();
    for (let count = 0; count < 3; count += 1) {
      const admission = alone.admit(anna);
      if (admission.outcome !== 'admitted') throw new Error('it was turned away');
      for (const row of admission.ticket.failed()) table.rows.set(row.key, JSON.stringify(row));
    }
    expect((await createSharedThrottle({ clock, table }).admit(anna)).outcome).toBe('throttled');
  });
});
