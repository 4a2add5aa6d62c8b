import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeBrokerFolder, type BrokerFolder } from '../support/broker.ts';
import { expectNothingLost, killUnderLoad, moments, revokeEvery } from '../support/kill-under-load.ts';

const kills = 200;
const seeds = [20_261_123, 20_261_124];

// Two brokers side by side: while one works and dies, the other starts, which takes much longer.
let lanes: readonly BrokerFolder[] = [];
beforeAll(async () => {
  lanes = await Promise.all(seeds.map(() => makeBrokerFolder()));
});
afterAll(() => {
  for (const made of lanes) made.remove();
});

describe('kill -9 of the broker under load', () => {
  it(`leaves no certificate without its entry and loses no revocation, at ${kills} moments`, async () => {
    const all = await Promise.all(
      lanes.map((made, lane) =>
        killUnderLoad(made, { rounds: kills / lanes.length, random: moments(seeds[lane] ?? 0) }),
      ),
    );
    expect(all.flatMap(({ held }) => held).length).toBeGreaterThan(kills);
    expect(all.flatMap(({ revoked }) => revoked).length).toBeGreaterThanOrEqual(kills / revokeEvery / 2);

    for (const [lane, made] of lanes.entries())
      await expectNothingLost(made, all[lane] ?? { held: [], revoked: [] });
  }, 1_200_000);
});
