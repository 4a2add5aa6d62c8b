import { createHash } from 'node:crypto';
import { encodeCheckpoint, signatureLines } from '../../src/accounting/checkpoint.ts';
import { emptyLogHead, tilesOverLeaves, writeBundle } from '../../src/accounting/index.ts';
import { type newSigner, origin } from '../accounting/log-fixture.ts';

/** Bytes where an entry should be, and where its openings should be. */
export interface RawEntry {
  readonly entry: string | Buffer;
  readonly openings?: string | Buffer;
}

const digest = (...parts: readonly Uint8Array[]): Buffer =>
  createHash('sha256').update(Buffer.concat(parts)).digest();

function rootOf(leaves: readonly Buffer[]): Buffer {
  const [first] = leaves;
  if (first === undefined) return digest();
  if (leaves.length === 1) return first;
  let left = 1;
  while (left * 2 < leaves.length) left *= 2;
  return digest(Buffer.of(1), rootOf(leaves.slice(0, left)), rootOf(leaves.slice(left)));
}

/**
 * A bundle over anything at all, with a right tree and right signatures: what somebody with the log's own key could do.
 * `change` may change what stands before the end.
 */
export async function rawBundle(
  signer: ReturnType<typeof newSigner>,
  entries: readonly RawEntry[],
  { from = 0, to = entries.length, change = (body: string): string => body } = {},
): Promise<Buffer> {
  const sign = signatureLines(origin, signer);
  const leaves = entries.map(({ entry }) => digest(Buffer.of(0), Buffer.from(entry)));
  const head = { ...emptyLogHead(origin), size: BigInt(entries.length), root: rootOf(leaves) };
  const checkpoint = encodeCheckpoint(head, sign);
  const readTile = tilesOverLeaves((first, count) =>
    Buffer.concat(leaves.slice(Number(first), Number(first) + count)),
  );
  const placeholders = leaves
    .map((_, nth) => ({ index: BigInt(nth), bytes: Buffer.from('{}'), openings: undefined }))
    .slice(from, to);
  const written: Buffer[] = [];
  const range = { from: BigInt(from), to: BigInt(to) };
  for await (const piece of writeBundle({ checkpoint, ...range, entries: placeholders, readTile, signer }))
    written.push(piece);
  const [body = ''] = Buffer.concat(written).toString('utf8').split('sallyport-bundle-end');
  const pieces = change(body)
    .split(/(?<=\nentry \d+\n)\{\}\n\{\}\n/)
    .flatMap((text, nth, all) => {
      const { entry, openings = '{}' } = entries[from + nth] ?? { entry: '' };
      const lines = [Buffer.from(entry), Buffer.from('\n'), Buffer.from(openings), Buffer.from('\n')];
      return nth === all.length - 1 ? [Buffer.from(text)] : [Buffer.from(text), ...lines];
    });
  const [, shown = ''] = /^sallyport-bundle v1 (\d+ \d+)\n/.exec(body) ?? [];
  const end = `sallyport-bundle-end v1 ${shown} ${digest(...pieces).toString('base64')}\n`;
  return Buffer.concat([...pieces, Buffer.from(`${end}\n${sign(end)}`)]);
}
