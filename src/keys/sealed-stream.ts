import { createCipheriv, createDecipheriv } from 'node:crypto';
import { CodedError, decodeBase64, type RandomBytes } from '../kernel/index.ts';
import { derive } from './key-file.ts';

/** Clear bytes in every piece but the last, which has 1 to as many. */
const pieceBytes = 64 * 1024;
const tagBytes = 16;
const maxHeaderBytes = 512;
const scryptN = 1 << 16;
const shortestPassphrase = 12;

interface Header {
  readonly format: 'sallyport-sealed@1';
  readonly kdf: {
    readonly name: 'scrypt';
    readonly n: number;
    readonly r: number;
    readonly p: number;
    readonly salt: string;
  };
}

/**
 * Seals a stream with a passphrase (docs/formats/backup.md): AES-256-GCM in pieces of 64 KiB, in memory that does not grow. The
 * number of a piece and whether it is the last are in its nonce, the header in every tag; the key is of this stream alone.
 * @throws CodedError `keys.weak_passphrase`
 */
export async function* sealStream(
  clear: AsyncIterable<Uint8Array>,
  passphrase: string,
  random: RandomBytes,
): AsyncGenerator<Buffer> {
  if (passphrase.length < shortestPassphrase) {
    throw new CodedError('keys.weak_passphrase', 'The passphrase is shorter than 12 characters.', {
      next: 'Choose a longer one, and keep it where it is found when the machine is gone.',
    });
  }
  const kdf = { name: 'scrypt', n: scryptN, r: 8, p: 1, salt: random(16).toString('base64') } as const;
  const header = Buffer.from(`${JSON.stringify({ format: 'sallyport-sealed@1', kdf } satisfies Header)}\n`);
  const key = await derive(passphrase, kdf);
  yield header;
  let number = 0;
  for await (const { bytes, isLast } of inPieces(clear, pieceBytes)) {
    const cipher = createCipheriv('aes-256-gcm', key, nonceOf(number, isLast)).setAAD(header);
    yield Buffer.concat([cipher.update(bytes), cipher.final(), cipher.getAuthTag()]);
    number += 1;
  }
}

/**
 * Opens what `sealStream` made. Every byte that it yields is authentic and in its place; that the end was reached is known only
 * when it returns, so nothing of it counts before.
 * @throws CodedError `keys.not_sealed`, `keys.wrong_passphrase` (or the beginning was changed), `keys.sealed_changed`, `keys.sealed_cut`
 */
export async function* openSealedStream(
  sealed: AsyncIterable<Uint8Array>,
  passphrase: string,
): AsyncGenerator<Buffer> {
  const { header, rest } = await readHeader(sealed);
  const { kdf } = parseHeader(header);
  const key = await derive(passphrase, kdf);
  const open = (number: number, piece: Buffer, isLast: boolean): Buffer | undefined => {
    if (piece.length <= tagBytes) return undefined;
    const tag = piece.subarray(piece.length - tagBytes);
    const decipher = createDecipheriv('aes-256-gcm', key, nonceOf(number, isLast), {
      authTagLength: tagBytes,
    });
    decipher.setAAD(header).setAuthTag(tag);
    try {
      return Buffer.concat([decipher.update(piece.subarray(0, -tagBytes)), decipher.final()]);
    } catch {
      // GCM says no more than that it does not fit.
      return undefined;
    }
  };
  let number = 0;
  for await (const { bytes, isLast } of inPieces(rest, pieceBytes + tagBytes)) {
    const clear = open(number, bytes, isLast);
    if (clear === undefined) throw refusal(number, isLast && open(number, bytes, false) !== undefined);
    yield clear;
    number += 1;
  }
  if (number === 0) throw refusal(1, true);
}

/** Big-endian number of the piece in 11 bytes, then 1 for the last piece and 0 for the others. */
function nonceOf(number: number, isLast: boolean): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeUIntBE(number, 5, 6);
  nonce[11] = isLast ? 1 : 0;
  return nonce;
}

/** The same bytes in pieces of one size; the last one may be shorter, and is told as the last. */
async function* inPieces(
  source: AsyncIterable<Uint8Array>,
  sizeBytes: number,
): AsyncGenerator<{ readonly bytes: Buffer; readonly isLast: boolean }> {
  let waiting: Buffer[] = [];
  let waitingBytes = 0;
  for await (const chunk of source) {
    waiting.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
    waitingBytes += chunk.length;
    if (waitingBytes <= sizeBytes) continue;
    const bytes = Buffer.concat(waiting);
    let from = 0;
    // One piece stays: only what follows tells whether it is the last.
    for (; bytes.length - from > sizeBytes; from += sizeBytes)
      yield { bytes: bytes.subarray(from, from + sizeBytes), isLast: false };
    waiting = [bytes.subarray(from)];
    waitingBytes = bytes.length - from;
  }
  if (waitingBytes > 0) yield { bytes: Buffer.concat(waiting), isLast: true };
}

async function readHeader(
  sealed: AsyncIterable<Uint8Array>,
): Promise<{ readonly header: Buffer; readonly rest: AsyncIterable<Uint8Array> }> {
  const iterator = sealed[Symbol.asyncIterator]();
  let begun = Buffer.alloc(0);
  while (!begun.includes('\n') && begun.length <= maxHeaderBytes) {
    const next = await iterator.next();
    if (next.done === true) break;
    begun = Buffer.concat([begun, next.value]);
  }
  const end = begun.indexOf('\n') + 1;
  if (end === 0 || end > maxHeaderBytes) throw notSealed();
  async function* rest(): AsyncGenerator<Uint8Array> {
    if (begun.length > end) yield begun.subarray(end);
    yield* { [Symbol.asyncIterator]: () => iterator };
  }
  return { header: begun.subarray(0, end), rest: rest() };
}

function parseHeader(header: Buffer): Header {
  let value: Partial<Header> | null;
  try {
    value = JSON.parse(header.toString('utf8')) as Partial<Header> | null;
  } catch {
    throw notSealed();
  }
  const { format, kdf } = value ?? {};
  // The same cost for every file: a changed one must not make the reader work for hours.
  const salt: unknown = kdf?.salt;
  const isOurs = kdf?.name === 'scrypt' && kdf.n === scryptN && kdf.r === 8 && kdf.p === 1;
  if (format !== 'sallyport-sealed@1' || !isOurs || typeof salt !== 'string') throw notSealed();
  if (decodeBase64(salt)?.length !== 16) throw notSealed();
  return { format, kdf };
}

function notSealed(): CodedError {
  return new CodedError('keys.not_sealed', 'This file was not sealed by this version of Sallyport.', {
    next: 'Check that it is the right file. A damaged beginning looks the same: take another copy.',
  });
}

function refusal(number: number, isCut: boolean): CodedError {
  if (isCut) {
    return new CodedError('keys.sealed_cut', 'The file ends early: what follows is missing.', {
      next: 'Fetch it again, or take another copy. Nothing of it was used.',
    });
  }
  if (number === 0) {
    return new CodedError(
      'keys.wrong_passphrase',
      'The file does not open: the passphrase is wrong, or its beginning was changed.',
      { next: 'Check the passphrase; otherwise take another copy.' },
    );
  }
  return new CodedError(
    'keys.sealed_changed',
    `The file was changed, ${number * 64} KiB from its beginning.`,
    {
      next: 'Take another copy. Nothing of it was used.',
    },
  );
}
