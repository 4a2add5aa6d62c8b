import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { verifyBundle } from '../../src/accounting/verify/index.ts';
import type { Verdict } from '../../src/accounting/verify/index.ts';
import { heartbeat } from '../../src/broker/index.ts';
import { parseCertificate } from '../../src/ssh/index.ts';
import { newPublicKey } from '../doors/http/support.ts';
import { alice, boss, startTestBroker, type TestBroker } from '../support/broker.ts';

const hourMs = 3_600_000;
let skewMs = 0;
const clock = { nowMs: () => Date.now() + skewMs };
let broker: TestBroker;
beforeEach(async () => {
  skewMs = 0;
  broker = await startTestBroker({ clock });
});
afterEach(() => broker.stop());

async function judged(): Promise<Verdict> {
  const chunks: Buffer[] = [];
  const client = await broker.loggedIn(boss);
  for await (const chunk of await client.exportLog({})) chunks.push(chunk);
  async function* bundle(): AsyncGenerator<Buffer> {
    yield* chunks;
  }
  return verifyBundle(bundle(), { verifierKey: readFileSync(broker.logKeyFile, 'utf8').trim() });
}

/** Seconds from now on, by the clock as it is set, at which a fresh certificate begins and ends. */
async function lifeOfNext(): Promise<readonly [number, number]> {
  const client = await broker.loggedIn(alice);
  const nowSeconds = Math.floor(clock.nowMs() / 1000);
  const { validAfter, validBefore } = parseCertificate((await client.sign(newPublicKey(), {})).certificate);
  return [Number(validAfter) - nowSeconds, Number(validBefore) - nowSeconds];
}

describe('a clock that is set while the broker runs', () => {
  it.each([
    ['back', -hourMs],
    ['forward', hourMs],
  ])('%s by an hour gives no certificate that policy does not, and the log shows it', async (_way, byMs) => {
    // It has been up for two hours: proofs from before its start are nobody's business.
    for (let beat = 0; beat < 12; beat += 1) {
      skewMs += 600_000;
      await heartbeat(broker.running.rooms);
    }
    await lifeOfNext();
    expect((await judged()).exitCode).toBe(0);
    skewMs += byMs;
    const [begins, ends] = await lifeOfNext();
    expect(begins).toBeGreaterThanOrEqual(-61);
    expect(begins).toBeLessThanOrEqual(0);
    expect(ends).toBeGreaterThan(8 * 3600 - 10);
    expect(ends).toBeLessThanOrEqual(8 * 3600 + 5);
    // Nothing was changed: the time itself is what does not add up.
    const verdict = await judged();
    expect(verdict.integrity.state).toBe('verified');
    expect(verdict.completeness.state).toBe('incomplete');
    expect(verdict.completeness.index).toBeDefined();
  });
});
