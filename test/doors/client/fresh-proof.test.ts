import { afterEach, expect, test } from 'vitest';
import { createBrokerClient, generateProofKey, type BrokerClient } from '../../../src/doors/client/index.ts';
import { isCodedError, systemClock, systemRandom } from '../../../src/kernel/index.ts';
import { problem, startBrokerStub, type BrokerStub } from '../../support/broker-stub.ts';

const forgotten = problem(401, 'identity.dpop_forgotten', 'The proof of possession cannot be taken.');
const open: { readonly stub: BrokerStub; readonly client: BrokerClient }[] = [];
afterEach(async () => {
  for (const { stub, client } of open.splice(0)) {
    client.close();
    await stub.stop();
  }
});

/** A client whose first `refusals` questions about its session are answered with “forgotten”. */
async function clientRefused(refusals: number): Promise<{ client: BrokerClient; asked: () => number }> {
  const stub = await startBrokerStub();
  let asked = 0;
  stub.override('DELETE /v1/session', () => {
    asked += 1;
    return asked <= refusals ? forgotten : { status: 204 };
  });
  const session = { token: 'a'.repeat(43), proofKey: generateProofKey() };
  const common = { clock: systemClock, random: systemRandom, userAgent: 'test' };
  const client = createBrokerClient({ origin: stub.url, ca: stub.caPem, session, ...common });
  open.push({ stub, client });
  return { client, asked: () => asked };
}

test('a client whose proof is older than the memory of a broker that has just started sends a fresh one', async () => {
  const { client, asked } = await clientRefused(1);
  await client.logout();
  expect(asked()).toBe(2);
});

test('and gives up when that one is not taken either', async () => {
  const { client, asked } = await clientRefused(2);
  const error: unknown = await client.logout().catch((cause: unknown) => cause);
  expect(isCodedError(error, 'identity.dpop_forgotten')).toBe(true);
  expect(asked()).toBe(2);
});
