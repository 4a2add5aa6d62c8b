import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openKeyFile } from '../../src/keys/index.ts';
import { codeOf, passphrase, temporaryFolder } from '../keys/fixtures.ts';

const folder = temporaryFolder();
const path = join(folder, 'fuzzed.key');
const open = (content: string | Uint8Array): Promise<string> => {
  writeFileSync(path, content, { mode: 0o600 });
  return codeOf(() => openKeyFile(path, 'ssh-user-ca', passphrase));
};

const base64 = fc.base64String({ maxLength: 64 });
/** Something in the shape of an envelope, with each part right or wrong. `n` is never a real cost: that would take minutes. */
const almost = fc.record(
  {
    format: fc.oneof(fc.constant('sallyport-key@1'), fc.jsonValue()),
    purpose: fc.oneof(fc.constant('ssh-user-ca'), fc.jsonValue()),
    publicKey: fc.oneof(base64, fc.jsonValue()),
    kdf: fc.oneof(
      fc.record(
        {
          name: fc.oneof(fc.constant('scrypt'), fc.jsonValue()),
          n: fc.oneof(
            fc.integer({ max: 16_383 }),
            fc.integer({ min: 1_048_577 }),
            fc.constant('65536'),
            fc.jsonValue(),
          ),
          r: fc.oneof(fc.constant(8), fc.jsonValue()),
          p: fc.oneof(fc.constant(1), fc.jsonValue()),
          salt: fc.oneof(fc.constant('A'.repeat(22).concat('==')), base64, fc.jsonValue()),
        },
        { requiredKeys: [] },
      ),
      fc.jsonValue(),
    ),
    cipher: fc.oneof(
      fc.record(
        {
          name: fc.oneof(fc.constant('aes-256-gcm'), fc.jsonValue()),
          nonce: fc.oneof(fc.constant('A'.repeat(16)), base64, fc.jsonValue()),
          tag: fc.oneof(fc.constant('A'.repeat(22).concat('==')), base64, fc.jsonValue()),
          ciphertext: fc.oneof(base64, fc.jsonValue()),
        },
        { requiredKeys: [] },
      ),
      fc.jsonValue(),
    ),
  },
  { requiredKeys: ['format'] },
);

describe('whatever a key file holds', () => {
  it('random JSON is malformed and nothing else', async () => {
    await fc.assert(
      fc.asyncProperty(fc.jsonValue(), async (value) => {
        expect(await open(JSON.stringify(value))).toBe('keys.malformed');
      }),
      { seed: 20_261_123, numRuns: 500 },
    );
  });

  it('what almost is an envelope is malformed and nothing else', async () => {
    await fc.assert(
      fc.asyncProperty(almost, async (value) => {
        expect(await open(JSON.stringify(value))).toBe('keys.malformed');
      }),
      { seed: 20_261_123, numRuns: 3000 },
    );
  });

  it('random bytes are malformed and nothing else', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 400 }), async (bytes) => {
        expect(await open(bytes)).toBe('keys.malformed');
      }),
      { seed: 20_261_123, numRuns: 500 },
    );
  });
});
