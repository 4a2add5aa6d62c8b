import { describe, expect, it } from 'vitest';
import { systemRandom } from '../../src/kernel/index.ts';
import { openSealedStream, sealStream } from '../../src/keys/index.ts';
import { codeOf } from '../support/code-of.ts';

const passphrase = 'twelve characters and more';
const piece = 64 * 1024;

async function* inChunks(bytes: Buffer, sizeBytes: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += sizeBytes) yield bytes.subarray(at, at + sizeBytes);
}
async function collect(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

describe('a sealed stream', () => {
  it.each([1, piece - 1, piece, piece + 1, 2 * piece, 3 * piece + 7])(
    'of %d bytes opens to the same bytes, however it is cut into chunks',
    async (sizeBytes) => {
      const clear = systemRandom(sizeBytes);
      const sealed = await collect(sealStream(inChunks(clear, 10_007), passphrase, systemRandom));
      const pieces = Math.ceil(sizeBytes / piece);
      expect(sealed.length).toBe(sealed.indexOf('\n') + 1 + sizeBytes + 16 * pieces);
      for (const chunk of [1009, piece + 16, 1 << 20])
        expect((await collect(openSealedStream(inChunks(sealed, chunk), passphrase))).equals(clear)).toBe(
          true,
        );
    },
  );

  it('differs each time, under a key of its own', async () => {
    const clear = Buffer.alloc(100);
    const [a, b] = await Promise.all(
      [1, 2].map(() => collect(sealStream(inChunks(clear, 100), passphrase, systemRandom))),
    );
    expect(a?.subarray(-50).equals(b?.subarray(-50) ?? clear)).toBe(false);
  });

  it('asks for the usual cost only', async () => {
    const sealed = await collect(sealStream(inChunks(Buffer.alloc(9), 9), passphrase, systemRandom));
    for (const [from, to] of [
      ['"n":65536', '"n":99999'],
      ['"r":8', '"r":9'],
      ['"p":1', '"p":2'],
      ['scrypt', 'scripd'],
      ['sealed@1', 'sealed@2'],
    ] as const) {
      const changed = Buffer.from(sealed.toString('latin1').replace(from, to), 'latin1');
      expect(await codeOf(collect(openSealedStream(inChunks(changed, 999), passphrase)))).toBe(
        'keys.not_sealed',
      );
    }
  });
});
