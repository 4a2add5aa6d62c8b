import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileFault, syncFolder } from '../client/index.ts';
import type { RandomBytes } from '../../kernel/index.ts';
import { CodedError } from '../../kernel/index.ts';

/**
 * Writes what arrives to a file that gets its name only when everything is there and on disk (mode 0600: a log names people).
 * @returns its size in bytes. @throws CodedError `client.cannot_write`, and whatever the source throws when it breaks off.
 */
export async function receiveFile(
  path: string,
  chunks: AsyncIterable<Uint8Array>,
  random: RandomBytes,
): Promise<number> {
  const draft = `${path}.${random(6).toString('hex')}.new`;
  let sizeBytes = 0;
  try {
    const file = await open(draft, 'wx', 0o600);
    try {
      for await (const chunk of chunks) {
        await file.writeFile(chunk);
        sizeBytes += chunk.length;
      }
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(draft, path);
    syncFolder(dirname(path));
    return sizeBytes;
  } catch (error) {
    // Where even this fails there is nothing to remove, and the first fault is the one to tell.
    await rm(draft, { force: true }).catch(() => undefined);
    throw error instanceof CodedError ? error : fileFault('client.cannot_write', 'written', path, error);
  }
}
