import { expect, test } from 'vitest';
import { createBrokerClient } from '../../../src/doors/client/index.ts';
import { systemClock, systemRandom } from '../../../src/kernel/index.ts';
import { startBrokerStub, type StubAnswer } from '../../support/broker-stub.ts';

async function askOnce(answer: StubAnswer | undefined): Promise<void> {
  const stub = await startBrokerStub();
  if (answer !== undefined) stub.override('GET /v1/krl.sig', () => answer);
  const common = { clock: systemClock, random: systemRandom, userAgent: 'test' };
  const client = createBrokerClient({ origin: stub.url, ca: stub.caPem, ...common });
  await client.krlSignature().catch(() => undefined);
  client.close();
  await stub.stop();
}

test('the stub stands for the broker only as far as it keeps the broker’s contract', async () => {
  await askOnce(undefined);
  const broken = 'the contract of the broker is broken:\nGET /v1/krl.sig: ';
  await expect(askOnce({ body: { signature: 'x' } })).rejects.toThrow(`${broken}bytes where none belong`);
  await expect(askOnce({ body: 'x', status: 201 })).rejects.toThrow(`${broken}it answers 200, not 201`);
  await expect(askOnce({ body: { detail: 'no' }, status: 404 })).rejects.toThrow(
    `${broken}the problem document`,
  );
  await askOnce({ body: { signature: 'x' }, lies: true });
});
