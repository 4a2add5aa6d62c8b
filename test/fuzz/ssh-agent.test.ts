import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SshWriter, connectAgent } from '../../src/ssh/index.ts';
import { rejectionCodeOf, testCa } from '../ssh/fixtures.ts';
import { startFakeAgent } from '../support/fake-agent.ts';
import type { FakeAgent } from '../support/fake-agent.ts';

describe('whatever an agent answers', () => {
  const key = testCa('ed25519');
  const listing = new SshWriter().byte(12).uint32(2);
  for (const comment of ['one', 'two']) listing.string(key.publicKey.blob).string(comment);
  const valid = new SshWriter().string(listing.finish()).finish();
  let fake: FakeAgent;
  let reply = Buffer.alloc(0);

  beforeAll(async () => {
    fake = await startFakeAgent((socket) => socket.end(reply));
  });
  afterAll(() => fake?.stop());

  const answers = fc.oneof(
    fc.uint8Array({ maxLength: 64 }),
    fc.uint8Array({ maxLength: 64 }).map((bytes) => new SshWriter().string(bytes).finish()),
    fc
      .uint8Array({ maxLength: 64 })
      .map((bytes) => new SshWriter().string(Buffer.concat([Buffer.of(12), bytes])).finish()),
    fc.tuple(fc.nat(valid.length - 1), fc.nat(255)).map(([at, value]) => {
      const changed = Buffer.from(valid);
      changed.writeUInt8(value, at);
      return changed;
    }),
  );

  it('it is a list or a coded error, and never waits for the time limit', async () => {
    await fc.assert(
      fc.asyncProperty(answers, fc.boolean(), async (bytes, adding) => {
        reply = Buffer.from(bytes);
        const agent = await connectAgent(fake.socketPath, { timeoutMs: 20_000 });
        const asked = adding ? agent.addKey({ privateKey: key.privateKey, comment: '' }) : agent.list();
        const code = await rejectionCodeOf(asked);
        agent.close();
        expect(code).toMatch(/^accepted$|^ssh\.(malformed|agent_(closed|protocol|refused|locked))$/);
      }),
      { seed: 20_261_123, numRuns: 1500 },
    );
  });
});
