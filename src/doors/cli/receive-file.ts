import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { open, rename, rm, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileFault, syncFolder } from '../client/index.ts';
import { CodedError } from '../../kernel/index.ts';

/** What an earlier try left of a file. */
export interface HeldBytes {
  /** The first bytes of it, at most 64 KiB. */
  readonly beginning: Buffer;
  readonly sizeBytes: number;
  /** Hex, over all of them. */
  readonly sha256: string;
}

const beginningBytes = 64 * 1024;

/**
 * Writes what arrives to a file that gets its name only when everything is there and on disk (mode 0600: a log names people).
 * What breaks off stays as `PATH.part`, and the next try is told what is there.
 * @param ask gives what comes behind the held bytes; where it says that these are no beginning any more, `again` starts over.
 * @returns its size in bytes. @throws CodedError `client.cannot_write`, and whatever the source throws when it breaks off.
 */
export async function receiveFile(
  path: string,
  ask: (
    held: HeldBytes | undefined,
  ) => Promise<{ readonly chunks: AsyncIterable<Uint8Array>; readonly again: boolean }>,
): Promise<number> {
  const part = partOf(path);
  let file: FileHandle | undefined;
  try {
    // Nobody else's file, wherever its name leads: O_NOFOLLOW, and 0600 when it is made here.
    file = await open(part, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
    await checkOwn(file, part);
    const { chunks, again } = await ask(await readHeld(file));
    if (again) await file.truncate(0);
    let sizeBytes = again ? 0 : (await file.stat()).size;
    for await (const chunk of chunks) {
      await file.write(chunk, 0, chunk.length, sizeBytes);
      sizeBytes += chunk.length;
    }
    await file.sync();
    await file.close();
    file = undefined;
    await rename(part, path);
    syncFolder(dirname(path));
    return sizeBytes;
  } catch (error) {
    throw error instanceof CodedError ? error : fileFault('client.cannot_write', 'written', path, error);
  } finally {
    const left = await file?.stat();
    await file?.close();
    // Nothing came: nothing to go on from.
    if (left?.size === 0) await rm(part, { force: true });
  }
}

/** Where a file lies that is not whole yet. */
export function partOf(path: string): string {
  return `${path}.part`;
}

async function checkOwn(file: FileHandle, part: string): Promise<void> {
  const stat = await file.stat();
  const own = process.geteuid?.();
  if (stat.isFile() && (own === undefined || (stat.uid === own && (stat.mode & 0o077) === 0))) return;
  throw new CodedError('client.cannot_write', `${part} is not a private file of yours.`, {
    next: 'Remove it, or write somewhere else.',
  });
}

async function readHeld(file: FileHandle): Promise<HeldBytes | undefined> {
  const digest = createHash('sha256');
  let sizeBytes = 0;
  let beginning: Buffer = Buffer.alloc(0);
  const buffer = Buffer.alloc(beginningBytes);
  for (;;) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length, sizeBytes);
    if (bytesRead === 0) break;
    const read = buffer.subarray(0, bytesRead);
    if (sizeBytes === 0) beginning = Buffer.from(read);
    digest.update(read);
    sizeBytes += bytesRead;
  }
  return sizeBytes === 0 ? undefined : { beginning, sizeBytes, sha256: digest.digest('hex') };
}
