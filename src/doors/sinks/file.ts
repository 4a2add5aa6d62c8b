import { constants } from 'node:fs';
import { open, stat, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Sink, StoredEntry } from '../../broker/index.ts';
import { CodedError } from '../../kernel/index.ts';

export interface FileSinkOptions {
  readonly name: string;
  readonly format: string;
  readonly path: string;
  /** One line without its end. */
  readonly line: (entry: StoredEntry) => string;
}

const chunkBytes = 64 * 1024;

/**
 * Appends lines to a file, mode 0600 when it makes it, durable on disk before a batch counts as delivered. A file that was renamed
 * or removed is left, and a new one begun under the configured name: log rotation needs no signal. Half a line that a crash left
 * at the end is cut off before the first new one.
 */
export function createFileSink({ name, format, path, line }: FileSinkOptions): Sink {
  let file: FileHandle | undefined;
  const letGo = async (): Promise<void> => {
    const left = file;
    file = undefined;
    await left?.close().catch(() => undefined);
  };
  return {
    name,
    kind: 'file',
    format,
    async deliver(entries, signal) {
      try {
        if (file !== undefined && !(await isStillThere(file, path))) await letGo();
        file ??= await openForAppend(path);
        const lines = Buffer.from(entries.map((entry) => `${line(entry)}\n`).join(''));
        signal.throwIfAborted();
        await writeAll(file, lines);
        await file.datasync();
      } catch (error) {
        // Half of the batch may be there: the next try looks at the end of the file again.
        await letGo();
        throw error instanceof CodedError ? error : cannotWrite(path, error);
      }
    },
    close: letGo,
  };
}

async function isStillThere(file: FileHandle, path: string): Promise<boolean> {
  const ours = await file.stat();
  try {
    const named = await stat(path);
    return named.ino === ours.ino && named.dev === ours.dev;
  } catch {
    // Gone, or out of reach: opening it anew says which.
    return false;
  }
}

async function openForAppend(path: string): Promise<FileHandle> {
  const { O_APPEND, O_CREAT, O_RDWR, O_NOFOLLOW, O_NONBLOCK } = constants;
  // O_NONBLOCK: a named pipe in this place must not hang us; it is refused below.
  const file = await open(path, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600);
  try {
    const { mode, uid, size, nlink } = await file.stat();
    const isRegular = (mode & constants.S_IFMT) === constants.S_IFREG && nlink === 1;
    const own = process.geteuid?.() ?? uid;
    if (!isRegular || (mode & 0o022) !== 0 || (uid !== own && uid !== 0)) {
      throw new CodedError(
        'sinks.loose_file',
        `The file ${path} is no plain file that only the broker's user can change.`,
        { next: `Move it away, or run: chmod go-w ${path}` },
      );
    }
    if (size === 0) await syncFolderOf(path);
    else await cutHalfLine(file, size);
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function cutHalfLine(file: FileHandle, size: number): Promise<void> {
  const chunk = Buffer.alloc(chunkBytes);
  for (let end = size; end > 0;) {
    const from = Math.max(0, end - chunkBytes);
    const { bytesRead } = await file.read(chunk, 0, end - from, from);
    const newline = chunk.subarray(0, bytesRead).lastIndexOf(10);
    if (newline >= 0 || from === 0) {
      const whole = from + newline + 1;
      if (whole < size) await file.truncate(whole);
      return;
    }
    end = from;
  }
}

async function writeAll(file: FileHandle, bytes: Buffer): Promise<void> {
  for (let done = 0; done < bytes.length;)
    done += (await file.write(bytes, done, bytes.length - done, null)).bytesWritten;
}

/** Makes the name of a new file durable. */
async function syncFolderOf(path: string): Promise<void> {
  const folder = await open(dirname(path), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function cannotWrite(path: string, error: unknown): CodedError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
  return new CodedError('sinks.file_unwritable', `The file ${path} cannot be written (${code}).`, {
    next: 'Check that its folder exists, belongs to the user that runs the broker and has room.',
    cause: error,
  });
}
